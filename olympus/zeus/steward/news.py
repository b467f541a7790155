"""What the steward has to tell: of each service the latest record, and all events, in one transaction.

Telling never holds up the services: while Hermes is away they are kept alive all the same, and what there is to
tell waits.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from itertools import islice
from typing import Final

from olympus.hermes import keys
from olympus.hermes.bus import Bus
from olympus.hermes.kv import Delete, Op, Put
from olympus.kernel.errors import HermesUnreachable
from olympus.kernel.events import Event
from olympus.records.instance import Instance

log = logging.getLogger("olympus.zeus")

_PER_TRANSACTION: Final = 50
_RETRY: Final = 1.0


class News:
    """Of one node."""

    def __init__(self, bus: Bus, node: str) -> None:
        self._bus = bus
        self._node = node
        self._records: dict[str, Instance | None] = {}
        self._events: list[Event] = []
        self._some = asyncio.Event()

    def note(self, service: str, record: Instance | None, events: Sequence[Event]) -> None:
        """To be told soon. A record of None: the service is gone."""
        self._records[service] = record
        self._events += events
        self._some.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._some.wait()
            self._some.clear()
            while self._records:
                await self._tell(dict(islice(self._records.items(), _PER_TRANSACTION)))

    async def _tell(self, part: dict[str, Instance | None]) -> None:
        events = [event for event in self._events if event.subject in part]
        ops: list[Op] = []
        for service, record in part.items():
            key = keys.instance(self._node, service)
            ops.append(Delete(key) if record is None else Put(key, record.to_bytes()))
        await self.publish(events, ops)
        told = {event.id for event in events}
        self._events = [event for event in self._events if event.id not in told]
        for service, record in part.items():
            # What came meanwhile is for the next time.
            if self._records[service] is record:
                del self._records[service]

    async def publish(self, events: Sequence[Event], ops: Sequence[Op]) -> None:
        """As soon as Hermes is there."""
        while True:
            try:
                await self._bus.publish(events, ops, durable=False)
                break
            except HermesUnreachable as error:
                log.info("status_waits", extra={"why": str(error)})
                await asyncio.sleep(_RETRY)
