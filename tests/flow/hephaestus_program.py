"""Coordinator, worker and embedded Hermes as one process that a test kills: `python hephaestus_program.py STATE`.

At its first start it starts the runs that STATE/runs.json asks for; then it goes on until all are finished,
writes STATE/done.json and ends.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

from olympus.hephaestus.artifacts import Artifacts
from olympus.hephaestus.execute_process import Tools
from olympus.hephaestus.secrets import SecretReader
from olympus.hephaestus.service import ROLE, Hephaestus
from olympus.hephaestus.starts import Asked, Means, Starts
from olympus.hephaestus.worker import Worker
from olympus.hephaestus.workspace import Workspaces
from olympus.hermes import keys
from olympus.hermes.bus import Bus
from olympus.hermes.kv_embedded import EmbeddedKv
from olympus.hermes.lease import Lease, lead
from olympus.host.http_aiohttp import HttpClient
from olympus.kernel.clock import SystemClock
from olympus.records.desired import BlobRef
from olympus.records.run import Run
from olympus.testing.hephaestus import NotesKept, SpecsGiven
from olympus.testing.trust import signer_of


async def no_files(_ref: BlobRef) -> bytes:
    raise FileNotFoundError


async def main(state: Path) -> None:
    clock = SystemClock()
    asked = json.loads((state / "runs.json").read_text())
    specs = SpecsGiven(asked["pipelines"])
    kv = EmbeddedKv.open(state / "hermes" / "hermes.db", clock)
    bus = Bus(kv, "n1", clock=clock)
    starts = Starts(kv, bus, clock, specs)
    for name in ("runs", "workspaces", "artifacts", "worker"):
        (state / name).mkdir(exist_ok=True, mode=0o711)
    tools = Tools(
        state / "runs",
        Workspaces(state / "workspaces", Artifacts(state / "artifacts", kv, "n1"), no_files),
        SecretReader(os.environ),
        clock,
    )
    signer = await signer_of(kv, state)
    worker = Worker(
        kv, bus, "n1", tools, state=state / "worker", client=HttpClient(), objection=signer.objection
    )
    coordinator = Hephaestus(Means(kv, bus, clock, specs, starts, "n1", NotesKept()), signer)
    (state / "up").touch()
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(bus.run()),
            group.create_task(worker.run()),
            group.create_task(lead(Lease(kv, ROLE, "n1"), coordinator.lead)),
        ]
        for i, (pipeline, params) in enumerate(asked["runs"]):
            await starts.start(Asked(pipeline, params), idempotency_key=f"run{i}")
        await until_all_are_finished(kv, len(asked["runs"]))
        runs = [Run.from_bytes(entry.value).to_json() for entry in (await kv.scan(keys.RUNS)).entries]
        (state / "done.part").write_text(json.dumps(runs))
        (state / "done.part").rename(state / "done.json")
        for task in tasks:
            task.cancel()


async def until_all_are_finished(kv: EmbeddedKv, count: int) -> None:
    async for snapshot in kv.watch(keys.RUNS):
        runs = [Run.from_bytes(entry.value) for entry in snapshot.entries]
        if len(runs) >= count and all(run.finished for run in runs):
            return


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
