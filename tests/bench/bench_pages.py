"""The operators' pages where there is much: what a page takes from the request to its last byte, and its weight."""

from __future__ import annotations

import asyncio
import gzip
import statistics
import tempfile
import time
from pathlib import Path

from olympus.hermes import keys
from olympus.hermes.kv import Put
from olympus.kernel.clock import SystemClock
from olympus.kernel.events import Event
from olympus.kernel.ids import derived_id, new_id
from olympus.kernel.resources import shipped
from olympus.records.run import Run, StepRun
from tests.bench.aims import Aim
from tests.unit.apollo.conftest import Here, apollo

NODES = 5_000
RUNS = 100_000
EVENTS = 20_000
ASKED = 20
_OPS = 64
_APART = 78_000
"""Milliseconds between runs: 100,000 in 90 days."""
PAGES = (
    "/",
    "/nodes",
    "/nodes?q=zone%3Da",
    "/nodes/n77",
    "/pipelines",
    "/pipelines/p",
    "/runs",
    "/events",
    "/incidents",
)


def main() -> list[Aim]:
    with tempfile.TemporaryDirectory() as scratch:
        slowest = asyncio.run(_pages(Path(scratch)))
    static = shipped("web") / "static"
    loaded = [file for file in static.iterdir() if file.suffix in (".js", ".css")]
    weight = sum(len(gzip.compress(file.read_bytes(), 9)) for file in loaded) / 1000
    return [
        Aim(f"slowest page at {NODES} nodes and {RUNS} runs, p95", slowest, "ms", 100),
        Aim("scripts and styles of a page, packed", weight, "kB", 60),
    ]


async def _pages(folder: Path) -> float:
    async with apollo(folder) as here:
        await _fill(here)
        form = {"token": here.tokens["admin"]}
        await here.client.post("/login", form=form, headers={"Host": "127.0.0.1:4280"})
        slowest = 0.0
        for path in PAGES:
            took = []
            for _ in range(ASKED):
                begun = time.perf_counter()
                answer = await here.ask("GET", path)
                size = len(await answer.get_data())
                took.append((time.perf_counter() - begun) * 1000)
                assert answer.status_code == 200, path
            p95 = statistics.quantiles(took, n=20)[18]
            slowest = max(slowest, p95)
            print(
                f"{path:20} p50 {statistics.median(took):7.1f} ms  p95 {p95:7.1f} ms  {size / 1000:7.1f} kB"
            )
    return slowest


async def _fill(here: Here) -> None:
    pipeline = ("Pipeline", "p", {"steps": [{"name": "a", "run": ["true"]}]})
    nodes = [
        ("Node", f"n{i}", {"address": f"10.{i // 65536}.{i // 256 % 256}.{i % 256}"}) for i in range(NODES)
    ]
    await here.declare(pipeline, *nodes)
    now = SystemClock().now()
    step = StepRun(name="a", node="n1", target="n1", state="succeeded", started_at=now, finished_at=now)
    begun = int(now.timestamp() * 1000) - RUNS * _APART
    for start in range(0, RUNS, _OPS):
        runs = [
            Run(
                id=derived_id(begun + n * _APART, str(n)),
                pipeline=f"p{n % 50}" if n % 50 else "p",
                revision="r1",
                state="succeeded",
                spec="x",
                created_at=now,
                started_at=now,
                finished_at=now,
                steps=(step,),
            )
            for n in range(start, min(start + _OPS, RUNS))
        ]
        await here.kv.transact([Put(keys.run(run.id), run.to_bytes()) for run in runs])
    for _ in range(0, EVENTS, 1000):
        told = [Event(new_id(), "x.y", "bench", SystemClock().now(), {"n": n}) for n in range(1000)]
        await here.bus.publish(told)
