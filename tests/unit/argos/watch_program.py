"""One LogWatch with an embedded Hermes as a process that a test kills: `python watch_program.py STATE FILE`.

What it tells is written to STATE/seen, a line for each event: the number of its line. Without FILE, all that was ever
told is printed: an event's id and the number, or `lost` for lines that it knows are lost.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from olympus.argos.recent import Recent
from olympus.argos.watches import Watches
from olympus.hermes.bus import Bus
from olympus.hermes.kv_embedded import EmbeddedKv
from olympus.kernel.clock import SystemClock
from olympus.kernel.events import Event
from olympus.records.desired import WatchDesired

MATCHED, LOST = "olympus.argos.match", "olympus.argos.lines-lost"


def watch(file: str) -> WatchDesired:
    match = {"name": "numbered", "pattern": r"^line (?P<number>\d+) of the log$"}
    return WatchDesired(name="log", spec={"source": {"files": [file], "from": "end"}, "match": [match]})


def told(event: Event) -> str:
    if event.type == MATCHED:
        return str(event.data["groups"]["number"])
    return f"lost: {event.data['bytes']} bytes, {event.data['reason']}"


async def show(bus: Bus, seen: Path) -> None:
    with seen.open("a") as file:
        async for batch in bus.subscribe():
            file.writelines(f"{told(event)}\n" for event in batch.events if event.type in (MATCHED, LOST))
            file.flush()


async def everything(state: Path) -> None:
    clock = SystemClock()
    kv = EmbeddedKv.open(state / "hermes.db", clock)
    bus, after = Bus(kv, "n1", clock=clock), None
    while True:
        events, after = await bus.history(types=(MATCHED, LOST), newest_first=False, limit=1000, after=after)
        for event in events:
            print(event.id, told(event))
        if after is None:
            break
    await kv.close()


async def main(state: Path, file: str) -> None:
    clock = SystemClock()
    kv = EmbeddedKv.open(state / "hermes.db", clock)
    bus = Bus(kv, "n1", clock=clock)
    watches = Watches(kv, bus, clock, "n1", state=state, recent=Recent())
    watches.take([watch(file)])
    async with asyncio.TaskGroup() as group:
        group.create_task(bus.run())
        group.create_task(watches.run())
        group.create_task(show(bus, state / "seen"))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]) if sys.argv[2:] else everything(Path(sys.argv[1])))
