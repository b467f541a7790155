"""10,000 schedules: how late they fire, and how long until 10,000 that are due at once are stored."""

from __future__ import annotations

import asyncio
import tempfile
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from olympus.chronos.service import Chronos
from olympus.hermes import keys
from olympus.hermes.bus import Bus
from olympus.hermes.kv import Put
from olympus.hermes.kv_embedded import EmbeddedKv
from olympus.hermes.lease import Lease, lead
from olympus.kernel.clock import SystemClock, parse_rfc3339
from olympus.records.blobs import save_blob
from olympus.records.catalog import CatalogRoot, CatalogStore
from olympus.spec.catalog import Catalog, Resource, resource_of
from tests.bench.aims import Aim

CLOCK = SystemClock()
COUNT = 10_000


def schedule(name: str, **spec: object) -> Resource:
    return resource_of(
        {
            "kind": "Schedule",
            "metadata": {"name": name},
            "spec": {"pipeline": "p", "overlap": "allow", **spec},
        }
    )


async def _play(resources: list[Resource], wanted: int) -> list[tuple[float, float]]:
    """For each firing: how late it was fired, and when it was known to be stored."""
    with tempfile.TemporaryDirectory() as folder:
        kv = EmbeddedKv.open(Path(folder) / "h.db", CLOCK)
        blob = await save_blob(kv, Catalog(resources).to_bytes())
        root = CatalogRoot(revision="r", committed_at=CLOCK.now(), resources=blob)
        await kv.transact([Put(keys.CATALOG, root.to_bytes())])
        bus = Bus(kv, "n", clock=CLOCK)
        god = Chronos(kv, bus, CLOCK, CatalogStore(kv))
        tasks = [
            asyncio.ensure_future(bus.run()),
            asyncio.ensure_future(lead(Lease(kv, "chronos", "n"), god.lead)),
        ]
        found: list[tuple[float, float]] = []
        async for batch in bus.subscribe({}):
            known = CLOCK.now()
            for event in batch.events:
                slot = parse_rfc3339(event.data["slot"])
                found.append(((event.time - slot).total_seconds(), (known - slot).total_seconds()))
            if len(found) >= wanted:
                break
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await kv.close()
        return found


def main() -> list[Aim]:
    begun = time.perf_counter()
    spread = [
        schedule(f"s{i}", at=(CLOCK.now() + timedelta(seconds=12 + i / 1000)).isoformat())
        for i in range(COUNT)
    ]
    late = sorted(one for one, _ in asyncio.run(_play(spread, COUNT)))
    p50, p99 = late[len(late) // 2] * 1e3, late[int(len(late) * 0.99)] * 1e3
    print(f"1,000 a second, {COUNT} schedules: late by p50 {p50:.2f} ms, p99 {p99:.2f} ms (aim p99 ≤ 2 ms)")
    moment = (CLOCK.now() + timedelta(seconds=12)).isoformat()
    together = asyncio.run(_play([schedule(f"s{i}", at=moment) for i in range(COUNT)], COUNT))
    last = max(known for _, known in together)
    print(f"{COUNT} due at once: all told after {last:.2f} s (aim 0.5 s), {COUNT / last:,.0f} a second")
    print(f"({time.perf_counter() - begun:.0f} s in all)")
    return [
        Aim("10,000 schedules: late by, p99", p99, "ms", 2),
        Aim("10,000 due at once: all are told after", last, "s", 0.5),
    ]
