"""Segments as readers have them: the newest ones in memory, the others from the store."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from typing import Final

from olympus.hermes import keys
from olympus.hermes.kv import Kv
from olympus.hermes.segments import Head, Segment, read_segment, unpacked
from olympus.kernel.errors import Invalid

log = logging.getLogger("olympus.hermes")

GAP: Final = 256
"""Missing segments in a row after which a head is not believed that there are more."""

_CACHED: Final = 512


class SegmentReader:
    """A segment never changes, so that what was read once is kept; but see `forget`."""

    def __init__(self, kv: Kv) -> None:
        self._kv = kv
        self._cache: OrderedDict[tuple[str, int], Segment] = OrderedDict()

    async def get(self, publisher: str, number: int, head: Head | None = None) -> Segment | None:
        """None where retention has removed it meanwhile, or it cannot be read."""
        key = (publisher, number)
        if key in self._cache:
            return self._cache[key]
        if head is not None and head.inline is not None and number == head.next - 1:
            self.remember(publisher, number, head.inline)
            return head.inline
        return readable(publisher, await self.raw(publisher, number))

    async def several(self, publisher: str, numbers: range, head: Head) -> list[Segment | None]:
        """`get` for each of `numbers`, at once where they have to be fetched."""
        if len(numbers) == 1 or (publisher, numbers[-1]) in self._cache:
            return [await self.get(publisher, number, head) for number in numbers]
        return await asyncio.gather(*(self.get(publisher, number, head) for number in numbers))

    async def raw(self, publisher: str, number: int) -> bytes | None:
        """As JSON. None where it is not there, or is no segment."""
        # The embedded store answers without giving way: who reads much must let others live.
        await asyncio.sleep(0)
        entry = await self._kv.get(keys.segment(publisher, number))
        try:
            return unpacked(entry.value) if entry else None
        except Invalid as error:
            log.warning("segment_not_read", extra={"of": publisher, "why": str(error)})
            return None

    def remember(self, publisher: str, number: int, segment: Segment) -> None:
        self._cache[publisher, number] = segment
        if len(self._cache) > _CACHED:
            self._cache.popitem(last=False)

    def forget(self, publisher: str) -> None:
        """The store was restored from a backup: numbers come anew, with other events."""
        for key in [key for key in self._cache if key[0] == publisher]:
            del self._cache[key]


def readable(publisher: str, raw: bytes | None) -> Segment | None:
    """None, and a warning, where a publisher wrote nonsense."""
    try:
        return None if raw is None else read_segment(raw)
    except Invalid as error:
        log.warning("segment_not_read", extra={"of": publisher, "why": str(error)})
        return None
