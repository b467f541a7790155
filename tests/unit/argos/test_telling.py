"""What is told, and how far: of what can't be read again nothing is kept."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from olympus.argos.telling import Reached, Telling
from olympus.hermes import keys
from olympus.hermes.bus import Bus
from olympus.kernel.clock import SystemClock
from olympus.kernel.events import Event


def event(name):
    return Event(id=name, type="olympus.argos.match", source="s", time=datetime.now(UTC), data={"watch": "w"})


async def test_of_lines_without_a_part_only_events_are_written(kv):
    bus = Bus(kv, "n1", clock=SystemClock())
    async with asyncio.TaskGroup() as group:
        running = group.create_task(bus.run())
        telling = Telling(kv, bus, "n1", "w")
        await telling.load()
        forged = [Reached(f"syslog/192.0.2.1/app{n}", "", n, (event(f"e{n}"),), 500) for n in range(500)]
        await telling.tell(forged, 1)
        assert await kv.keys(keys.told("n1", "w")) == []
        assert telling.told_at("syslog/192.0.2.1/app0", "", 0) is None
        await telling.tell([Reached("/a.log", "p", 7, (event("f"),), 500)], 2)
        assert await kv.keys(keys.told("n1", "w")) == [keys.told_of("n1", "w", "/a.log")]
        assert telling.told_at("/a.log", "p", 7) == 2
        found, _ = await bus.history(newest_first=False, limit=1000)
        assert len(found) == 501
        running.cancel()
