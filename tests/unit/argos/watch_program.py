"""One LogWatch with an embedded Hermes as a process that a test kills: `python watch_program.py STATE FILE`.

What it tells is written to STATE/told, a line for each event: its id and its line's number. `lost` stands there for
lines that it knows are lost.
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
from olympus.records.desired import WatchDesired

MATCHED, LOST = "olympus.argos.match", "olympus.argos.lines-lost"


def watch(file: str) -> WatchDesired:
    match = {"name": "numbered", "pattern": r"^line (?P<number>\d+) of the log$"}
    return WatchDesired(name="log", spec={"source": {"files": [file], "from": "end"}, "match": [match]})


async def tell(bus: Bus, told: Path) -> None:
    with told.open("a") as file:
        async for batch in bus.subscribe({}):
            for event in batch.events:
                if event.type == MATCHED:
                    file.write(f"{event.id} {event.data['groups']['number']}\n")
                elif event.type == LOST:
                    file.write(f"{event.id} lost: {event.data['bytes']} bytes, {event.data['reason']}\n")
            file.flush()


async def main(state: Path, file: str) -> None:
    clock = SystemClock()
    kv = EmbeddedKv.open(state / "hermes.db", clock)
    bus = Bus(kv, "n1", clock=clock)
    watches = Watches(kv, bus, clock, "n1", state=state, recent=Recent())
    watches.take([watch(file)])
    async with asyncio.TaskGroup() as group:
        group.create_task(bus.run())
        group.create_task(watches.run())
        group.create_task(tell(bus, state / "told"))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
