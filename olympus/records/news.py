"""What a node has to tell: of each of its keys the latest value, and all events of it, in one transaction.

Telling never holds up what it is about: while Hermes is away, that goes on all the same, and what there is to tell
waits.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from itertools import islice
from typing import Final

from olympus.hermes.bus import Bus
from olympus.hermes.kv import Delete, Op, Put
from olympus.kernel.errors import HermesUnreachable
from olympus.kernel.events import Event

log = logging.getLogger("olympus.records")

_PER_TRANSACTION: Final = 50
_RETRY: Final = 1.0


class News:
    """Of keys that nobody else writes."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._values: dict[str, bytes | None] = {}
        self._events: list[tuple[str, Event]] = []
        self._some = asyncio.Event()

    def note(self, key: str, value: bytes | None, events: Sequence[Event] = ()) -> None:
        """To be told soon. A value of None: the key goes."""
        self._values[key] = value
        self._events += [(key, event) for event in events]
        self._some.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._some.wait()
            self._some.clear()
            while self._values:
                await self._tell(dict(islice(self._values.items(), _PER_TRANSACTION)))

    async def _tell(self, part: dict[str, bytes | None]) -> None:
        events = [event for key, event in self._events if key in part]
        await self.publish(events, [Delete(key) if v is None else Put(key, v) for key, v in part.items()])
        told = {event.id for event in events}
        self._events = [(key, event) for key, event in self._events if event.id not in told]
        for key, value in part.items():
            # What came meanwhile is for the next time.
            if self._values[key] is value and not any(of == key for of, _ in self._events):
                del self._values[key]

    async def publish(self, events: Sequence[Event], ops: Sequence[Op]) -> None:
        """As soon as Hermes is there."""
        while True:
            try:
                await self._bus.publish(events, ops, durable=False)
                break
            except HermesUnreachable as error:
                log.info("status_waits", extra={"why": str(error)})
                await asyncio.sleep(_RETRY)
