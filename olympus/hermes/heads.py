"""The heads of all publishers, as the watch and our own transactions last told of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from olympus.hermes import keys
from olympus.hermes.kv import Entry, Kv
from olympus.hermes.segment_reader import SegmentReader
from olympus.hermes.segments import Head, Segment, read_head
from olympus.kernel.errors import Invalid

log = logging.getLogger("olympus.hermes")


@dataclass(frozen=True, slots=True)
class Writing:
    """What a transaction of ours makes of our head.

    whole: `value` repeats the segment, so that who sees `value` in Hermes knows that it is all there.
    """

    value: bytes
    head: Head
    segment: Segment
    whole: bool


class Heads:
    """`known` is what subscribers read up to. `publisher` is our own name."""

    def __init__(self, kv: Kv, publisher: str, segments: SegmentReader) -> None:
        self.known: dict[str, Head] = {}
        self._kv = kv
        self._publisher = publisher
        self._segments = segments
        self._versions: dict[str, int] = {}
        self._listeners: set[asyncio.Event] = set()
        # Our transaction under way; and our head as the watch saw it meanwhile.
        self._writing: Writing | None = None
        self._deferred: Entry | None = None

    @contextmanager
    def listen(self) -> Iterator[asyncio.Event]:
        """An event that is set whenever a head moved, and at first."""
        stirred = asyncio.Event()
        stirred.set()
        self._listeners.add(stirred)
        try:
            yield stirred
        finally:
            self._listeners.discard(stirred)

    async def read(self) -> dict[str, Head]:
        """As they are in the store now."""
        found: dict[str, Head] = {}
        for entry in (await self._kv.scan(keys.HEADS)).entries:
            try:
                found[_publisher_of(entry)] = read_head(entry.value)
            except Invalid as error:
                log.warning("head_not_read", extra={"of": _publisher_of(entry), "why": str(error)})
        return found

    async def watch(self) -> None:
        """Until cancelled."""
        async for snapshot in self._kv.watch(keys.HEADS):
            for entry in snapshot.entries:
                writing = self._writing
                if writing is not None and _publisher_of(entry) == self._publisher:
                    self._deferred = entry
                    if writing.whole and entry.value == writing.value:
                        self._written(writing, entry.version)
                elif entry.version != self._versions.get(_publisher_of(entry)):
                    await self._see(entry)
            self._stir()
            # Those who are stirred come before the store is asked again.
            await asyncio.sleep(0)

    def begin(self, writing: Writing) -> None:
        """Our transaction begins: until `done` or `abandon`, what the watch tells of our head waits."""
        self._writing = writing

    def done(self, writing: Writing, version: int) -> None:
        """It is in Hermes: our own subscribers need not read it there."""
        self._writing = self._deferred = None
        self._written(writing, version)

    async def abandon(self) -> None:
        """It failed, or nobody knows: what the watch saw meanwhile counts."""
        self._writing = None
        if self._deferred is not None:
            deferred, self._deferred = self._deferred, None
            await self._see(deferred)
            self._stir()

    def _written(self, writing: Writing, version: int) -> None:
        if self._versions.get(self._publisher) != version:
            self._segments.remember(self._publisher, writing.head.next - 1, writing.segment)
            self._move(self._publisher, writing.head, version)
            self._stir()

    async def _see(self, entry: Entry) -> None:
        """A head as the store has it."""
        publisher = _publisher_of(entry)
        known = self._versions.get(publisher, 0)
        if publisher == self._publisher and entry.version < known:
            # Either the watch is behind ourselves, or the store was restored from a backup.
            fresh = await self._kv.get(entry.key)
            if fresh is None or self._versions.get(publisher) != known or fresh.version == known:
                return
            entry = fresh
        before = self.known.get(publisher)
        try:
            head = read_head(entry.value, before.next - 1 if before else None)
        except Invalid as error:
            # A node that writes nonsense is not heard any more; the others are.
            log.warning("head_not_read", extra={"of": publisher, "why": str(error)})
            self._versions[publisher] = entry.version
            return
        self._move(publisher, head, entry.version)

    def _move(self, publisher: str, head: Head, version: int) -> None:
        before = self.known.get(publisher)
        if before is not None and head.next < before.next:
            log.warning("store_went_back", extra={"of": publisher, "segments": before.next - head.next})
            self._segments.forget(publisher)
        self.known[publisher] = head
        self._versions[publisher] = version

    def _stir(self) -> None:
        for stirred in self._listeners:
            stirred.set()


def _publisher_of(entry: Entry) -> str:
    return entry.key.removeprefix(keys.HEADS)
