"""Groups, children, cancels and leaders that crash, at random, on a real Hermes: all ends, once, in order."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest

from olympus.hephaestus.orders import Order, Outcome
from olympus.hermes import keys
from olympus.kernel.errors import Conflict
from olympus.testing.hephaestus import HephaestusHere, hephaestus_here

PIPELINES = {
    "q": "{concurrency: {group: 'g-${{ params.k }}'}, steps: [{name: a, run: [a]}, {name: b, run: [b]}]}",
    "r": "{concurrency: {group: r, onBusy: replace}, steps: [{name: a, run: [a]}]}",
    "s": "{concurrency: {group: s, onBusy: skip}, steps: [{name: a, run: [a]}]}",
    "parent": "steps: [{name: c, pipeline: {name: q, params: {k: 1}}}, {name: d, run: [d]}]",
}


@pytest.mark.parametrize("seed", range(12))
async def test_everything_ends_once_and_in_order(tmp_path, seed):
    rng = random.Random(seed)

    def script(_order: Order) -> Outcome | None:
        choice = rng.random()
        if choice < 0.6:
            return Outcome(state="succeeded")
        return Outcome(state="failed", exit=1) if choice < 0.7 else None

    async with hephaestus_here(tmp_path, PIPELINES, script=script) as here:
        worker = here.workers["n1"]
        ids: list[str] = []
        for _ in range(40):
            match rng.choice(["start"] * 5 + ["crash", "cancel", "end", "end", "pause"]):
                case "start":
                    ids.append(await here.start(rng.choice(list(PIPELINES)), {"k": rng.randint(0, 1)}))
                case "crash":
                    await here.crash()
                    await asyncio.sleep(rng.random() * 0.01)
                    await here.lead()
                case "cancel" if ids:
                    try:
                        await here.starts.cancel(rng.choice(ids), "ann")
                    except Conflict:
                        continue
                case "end" if worker.open:
                    await worker.end(rng.choice(list(worker.open)), Outcome(state="succeeded"))
                case _:
                    await asyncio.sleep(rng.random() * 0.02)
        await all_end(here, len(ids))
        times = Counter((order.run, order.step, order.attempt) for order in worker.taken)
        assert set(times.values()) <= {1}
        assert await here.kv.keys(keys.LIVE_RUNS) == []
        runs = {run.id: run for run in await here.runs()}
        begun = [runs[order.run] for order in worker.taken if order.step == "a"]
        for group in ("g-0", "g-1"):
            mine = [run.id for run in begun if run.claims[0].group == group]
            assert mine == sorted(mine), "a queue keeps its order"


async def all_end(here: HephaestusHere, count: int) -> None:
    worker = here.workers["n1"]
    async with asyncio.timeout(30):
        while True:
            runs = await here.runs()
            if len(runs) >= count and all(run.finished for run in runs):
                return
            for order in list(worker.open):
                if order in worker.open:
                    await worker.end(order, Outcome(state="succeeded"))
            await asyncio.sleep(0.005)
