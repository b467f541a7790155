"""Chronos at work on Hermes: a slot fires once, over restarts and with two of them."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

import orjson

from olympus.chronos.service import Chronos
from olympus.hermes import keys
from olympus.hermes.bus import Bus
from olympus.hermes.kv import Put
from olympus.hermes.kv_embedded import EmbeddedKv
from olympus.hermes.lease import Lease, lead
from olympus.kernel.clock import SystemClock
from olympus.kernel.errors import HermesUnreachable
from olympus.records.blobs import save_blob
from olympus.records.catalog import CatalogRoot, CatalogStore
from olympus.records.schedule import ScheduleRecord
from olympus.spec.catalog import Catalog, resource_of

CLOCK = SystemClock()


def schedule(name, **spec):
    return resource_of(
        {
            "kind": "Schedule",
            "metadata": {"name": name},
            "spec": {"pipeline": "p", "overlap": "allow", **spec},
        }
    )


async def declare(kv, *resources, revision="r1"):
    resources_blob = await save_blob(kv, Catalog(resources).to_bytes())
    root = CatalogRoot(revision=revision, committed_at=CLOCK.now(), resources=resources_blob)
    await kv.transact([Put(keys.CATALOG, root.to_bytes())])


@asynccontextmanager
async def chronos(kv, node):
    bus = Bus(kv, node, clock=CLOCK)
    god = Chronos(kv, bus, CLOCK, CatalogStore(kv))
    tasks = [
        asyncio.ensure_future(bus.run()),
        asyncio.ensure_future(lead(Lease(kv, "chronos", node, ttl=10), god.lead)),
        asyncio.ensure_future(god.follow()),
    ]
    try:
        yield bus, god
    finally:
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def fired(bus, name):
    events, _ = await bus.history(types=["olympus.chronos.fired"], limit=1000, newest_first=False)
    return [event for event in events if event.data["schedule"] == name]


async def until(probe, within=15.0):
    async with asyncio.timeout(within):
        while not (found := await probe()):
            await asyncio.sleep(0.02)
    return found


async def test_slots_fire_once_with_two_of_them_and_over_restarts(tmp_path):
    kv = EmbeddedKv.open(tmp_path / "h.db", CLOCK)
    await declare(kv, schedule("tick", every="200ms", params={"n": 1}))
    async with chronos(kv, "n1") as (bus, _), chronos(kv, "n2"):
        await until(lambda: at_least(bus, 3))
    async with chronos(kv, "n2") as (bus, _):
        await until(lambda: at_least(bus, 8))
        events = await fired(bus, "tick")
    slots = [event.data["slot"] for event in events]
    assert slots == sorted(set(slots))
    assert events[0].data["pipeline"] == "p"
    assert events[0].data["params"] == {"n": 1}
    record = ScheduleRecord.from_bytes((await kv.get(keys.schedule("tick"))).value)
    assert record.handled.isoformat() >= slots[-1][:19]
    await kv.close()


async def at_least(bus, count):
    return len(await fired(bus, "tick")) >= count


async def test_each_skip_is_an_event_with_its_reason_and_a_withdrawn_schedule_is_forgotten(tmp_path):
    kv = EmbeddedKv.open(tmp_path / "h.db", CLOCK)
    await declare(kv, schedule("tick", every="100ms", paused=True))
    async with chronos(kv, "n1") as (bus, _):

        async def skips():
            return (await bus.history(types=["olympus.chronos.skipped"]))[0]

        (first, *_) = await until(skips)
        assert first.data["reason"] == "paused"
        assert await fired(bus, "tick") == []
        await declare(kv, revision="r2")
        await until(lambda: gone(kv))
    await kv.close()


async def gone(kv):
    return await kv.get(keys.schedule("tick")) is None


async def test_suspended_outside_git_is_paused(tmp_path):
    kv = EmbeddedKv.open(tmp_path / "h.db", CLOCK)
    await declare(kv, schedule("tick", every="100ms"))
    async with chronos(kv, "n1") as (bus, _):
        await until(lambda: at_least(bus, 1))
        intent = {"id": "1", "do": "suspend", "at": "2026-01-01T00:00:00Z", "suspended": True}
        await kv.transact([Put(keys.intent("schedule", "tick"), orjson.dumps(intent))])

        async def paused():
            events, _ = await bus.history(types=["olympus.chronos.*"], limit=2)
            return events and all(e.type.endswith("skipped") for e in events)

        await until(paused)
    await kv.close()


async def test_a_thousand_due_at_once_all_fire_and_are_stored(tmp_path):
    kv = EmbeddedKv.open(tmp_path / "h.db", CLOCK)
    at = (CLOCK.now() + timedelta(seconds=2)).isoformat()
    await declare(kv, *(schedule(f"s{i}", at=at) for i in range(1000)))
    async with chronos(kv, "n1") as (bus, god):

        async def all_fired():
            events, _ = await bus.history(types=["olympus.chronos.fired"], limit=1001)
            return events if len(events) >= 1000 else None

        events = await until(all_fired)
        assert len({event.data["schedule"] for event in events}) == 1000
        assert god.upcoming("s1", 3) == []
    await kv.close()


async def test_timetables_are_known_again_after_hermes_was_away(tmp_path):
    kv = EmbeddedKv.open(tmp_path / "h.db", CLOCK)
    scan, away = kv.scan, [True]

    async def fails_once(prefix):
        if away.pop() if away else False:
            raise HermesUnreachable("cut off")
        return await scan(prefix)

    kv.scan = fails_once
    await declare(kv, schedule("tick", every="1h"))
    async with chronos(kv, "n1") as (_, god):
        await until(lambda: asyncio.sleep(0, god.upcoming("tick", 1)))
    assert not away
    await kv.close()
