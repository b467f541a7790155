"""From the trigger to the first step's process, and runs of no-op steps beside make.

Coordinator, worker, Huey and the embedded Hermes are the real ones, in one process, as `olympus up` has them.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

from olympus.hephaestus import execute_process
from olympus.hephaestus.artifacts import Artifacts
from olympus.hephaestus.execute_process import Tools
from olympus.hephaestus.ports import DeclaredNode
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
from olympus.host.process import Command, Identity
from olympus.host.users import own_name
from olympus.kernel.clock import SystemClock
from olympus.records.desired import BlobRef
from olympus.records.run import Run
from olympus.testing.hephaestus import NotesKept, SpecsGiven
from olympus.testing.trust import signer_of
from tests.bench.aims import Aim

RUNS = 200
STEPS = 10


async def no_files(_ref: BlobRef) -> bytes:
    raise FileNotFoundError


@asynccontextmanager
async def hephaestus(state: Path) -> AsyncIterator[tuple[Starts, EmbeddedKv]]:
    """All of Hephaestus, at work in `state`."""
    user = own_name()
    step = f"{{name: s%d, run: ['true'], user: {user}%s}}"
    pipelines = {
        "one": f"steps: [{step % (0, '')}]",
        "ten": f"steps: [{', '.join(step % (i, '') for i in range(STEPS))}]",
        "together": f"steps: [{', '.join(step % (i, ', needs: []') for i in range(STEPS))}]",
    }
    clock = SystemClock()
    specs = SpecsGiven(pipelines)
    specs.known_nodes["n1"] = DeclaredNode("n1", allow_users=(user,))
    kv = EmbeddedKv.open(state / "hermes" / "hermes.db", clock)
    bus = Bus(kv, "n1", clock=clock)
    starts = Starts(kv, bus, clock, specs)
    for name in ("runs", "workspaces", "artifacts", "worker"):
        (state / name).mkdir(mode=0o711)
    workspaces = Workspaces(state / "workspaces", Artifacts(state / "artifacts", kv, "n1"), no_files)
    tools = Tools(state / "runs", workspaces, SecretReader(os.environ), clock)
    signer = await signer_of(kv, state)
    worker = Worker(
        kv, bus, "n1", tools, state=state / "worker", client=HttpClient(), objection=signer.objection
    )
    coordinator = Hephaestus(Means(kv, bus, clock, specs, starts, "n1", NotesKept()), signer)
    tasks = [
        asyncio.ensure_future(work)
        for work in (bus.run(), worker.run(), lead(Lease(kv, ROLE, "n1"), coordinator.lead))
    ]
    try:
        await asyncio.sleep(0.5)
        yield starts, kv
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await kv.close()


class Spawned:
    """When the last process was begun."""

    def __init__(self) -> None:
        self.at = 0.0
        self._spawn = execute_process.spawn

    def __call__(self, command: Command) -> Identity:
        identity = self._spawn(command)
        self.at = time.perf_counter()
        return identity


async def finished(kv: EmbeddedKv, wanted: str) -> Run:
    """The run when it is over."""
    async with aclosing(kv.watch(keys.run(wanted))) as watch:
        async for snapshot in watch:
            if snapshot.entries and (run := Run.from_bytes(snapshot.entries[0].value)).finished:
                return run
    raise AssertionError


async def to_first_step(
    starts: Starts, kv: EmbeddedKv, spawned: Spawned, pause: float, count: int
) -> list[float]:
    """Milliseconds from the call that starts a run to its first process."""
    found = []
    for _ in range(count):
        await asyncio.sleep(pause)
        begun = time.perf_counter()
        run = (await starts.start(Asked("one", {}))).id
        assert (await finished(kv, run)).state == "succeeded"
        found.append((spawned.at - begun) * 1e3)
    return found


async def whole(starts: Starts, kv: EmbeddedKv, pipeline: str, count: int = 30) -> float:
    """Milliseconds of a run from the call to its stored end."""
    found = []
    for _ in range(count):
        begun = time.perf_counter()
        await finished(kv, (await starts.start(Asked(pipeline, {}))).id)
        found.append((time.perf_counter() - begun) * 1e3)
    return statistics.median(found)


def make(folder: Path) -> tuple[float, float]:
    """Milliseconds of make itself, and of ten rules with a no-op in one make."""
    rules = "".join(f"r{i}:\n\t@/bin/true\n" for i in range(STEPS))
    names = " ".join(f"r{i}" for i in range(STEPS))
    (folder / "Makefile").write_text(f".PHONY: all none {names}\nnone:\nall: {names}\n{rules}")

    def timed(target: str) -> float:
        found = []
        for _ in range(30):
            begun = time.perf_counter()
            subprocess.run(["make", "-s", "-C", str(folder), target], check=True)
            found.append((time.perf_counter() - begun) * 1e3)
        return statistics.median(found)

    return timed("none"), timed("all")


def percentiles(found: Sequence[float]) -> str:
    """The median and the 99th of a hundred."""
    ordered = sorted(found)
    return f"p50 {statistics.median(ordered):6.2f} ms  p99 {ordered[int(len(ordered) * 0.99)]:6.2f} ms"


async def measure(folder: Path) -> list[Aim]:
    """All of it, printed as it comes."""
    spawned = Spawned()
    execute_process.spawn = spawned
    async with hephaestus(folder) as (starts, kv):
        await to_first_step(starts, kv, spawned, 0, 20)
        busy = await to_first_step(starts, kv, spawned, 0.005, RUNS)
        print(f"trigger → first step       {percentiles(busy)}  (aim 2 / 5)")
        idle = await to_first_step(starts, kv, spawned, 3.0, 10)
        print(f"… after 3 s of idling      {percentiles(idle)}")
        alone, all_ = make(folder)
        one, ten, together = [await whole(starts, kv, name) for name in ("one", "ten", "together")]
        per_step, rule = (ten - one) / (STEPS - 1), (all_ - alone) / STEPS
        print(f"make: a rule               {rule:6.2f} ms, make itself {alone:.2f} ms")
        print(f"a no-op step more          {per_step:6.2f} ms  {per_step / rule:.2f} × make (aim ≤ 2)")
        print(f"a run of its own           {one - per_step:6.2f} ms  (aim ≤ 10)")
        print(f"ten steps, one at a time   {ten:6.2f} ms  {ten / all_:.2f} × make")
        print(f"ten steps together         {together:6.2f} ms")
        return [
            Aim("trigger → first step, p50", statistics.median(busy), "ms", 2),
            Aim("trigger → first step, p99", sorted(busy)[int(len(busy) * 0.99)], "ms", 5),
            Aim("a no-op step more beside a rule of make's", per_step, "ms", 2, rule),
            Aim("a run's own time", one - per_step, "ms", 10),
        ]


def main() -> list[Aim]:
    with tempfile.TemporaryDirectory() as name:
        return asyncio.run(measure(Path(name)))


if __name__ == "__main__":
    main()
