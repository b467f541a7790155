"""How long events are kept: each publisher removes its own oldest segments."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from olympus.hermes.appender import Appender
from olympus.hermes.grouping import OWN_OPS
from olympus.hermes.kv import MAX_OPS, TransactionConflict
from olympus.hermes.segment_reader import SegmentReader
from olympus.kernel.clock import Clock
from olympus.kernel.errors import HermesUnreachable

log = logging.getLogger("olympus.hermes")


@dataclass(frozen=True, slots=True)
class Retention:
    """What is older, or over `size` bytes of one publisher, is removed, looked after each `every` seconds."""

    age: timedelta = timedelta(days=14)
    size: int = 256 * 1024 * 1024
    every: float = 60.0


RETENTION: Final = Retention()


class Retainer:
    """Holds `publisher`'s segments to `retention`."""

    def __init__(
        self, publisher: str, retention: Retention, clock: Clock, appender: Appender, segments: SegmentReader
    ) -> None:
        self._publisher = publisher
        self._retention = retention
        self._clock = clock
        self._appender = appender
        self._segments = segments

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                while await self.retain():
                    pass
            except (HermesUnreachable, TransactionConflict) as error:
                log.info("retention_postponed", extra={"why": str(error)})
            await asyncio.sleep(self._retention.every)

    async def retain(self) -> int:
        """Remove our oldest segments that are over age or size; how many, up to a transaction's worth."""
        head = (await self._appender.own_head())[0]
        limit = self._clock.now() - self._retention.age
        first = head.first
        # The newest segment stays, so that a head never points at nothing.
        while first < head.next - 1 and first - head.first < MAX_OPS - OWN_OPS:
            segment = await self._segments.get(self._publisher, first)
            young = segment is not None and segment.time >= limit
            if young and segment is not None and head.bytes - segment.offset <= self._retention.size:
                break
            first += 1
        if first > head.first:
            await self._appender.cut(first)
        return first - head.first
