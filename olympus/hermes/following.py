"""Following the log: from a cursor on, for ever, each publisher's segments in their order."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from olympus.hermes.heads import Heads
from olympus.hermes.segment_reader import GAP, SegmentReader
from olympus.hermes.segments import Head
from olympus.kernel.events import Event

log = logging.getLogger("olympus.hermes")

Cursor: TypeAlias = Mapping[str, int]
"""For each publisher the number of the next segment to be handled. Opaque, JSON."""

Heard: TypeAlias = Callable[[str, tuple[Event, ...]], Awaitable[tuple[Event, ...]]]
"""Of a publisher's events those that it may tell: the rest is nobody's (see `trust.Trust.heard`)."""

# Segments that a subscriber that lags asks for at once.
_AHEAD: Final = 4


async def hear_all(_publisher: str, events: tuple[Event, ...]) -> tuple[Event, ...]:
    """Where everybody who can write is believed."""
    return events


@dataclass(frozen=True, slots=True)
class Batch:
    """Events in order, and the cursor that says that they are handled."""

    events: tuple[Event, ...]
    cursor: Cursor


def end_of(heads: Mapping[str, Head]) -> Cursor:
    """The cursor after all that `heads` tell of."""
    return {publisher: head.next for publisher, head in heads.items()}


class Follower:
    """One subscriber. `position` moves with what is handed out."""

    def __init__(self, heads: Heads, segments: SegmentReader, heard: Heard) -> None:
        self._heads = heads
        self._segments = segments
        self._heard = heard
        self._position: dict[str, int] = {}

    async def follow(self, cursor: Cursor | None) -> AsyncGenerator[Batch, None]:
        """Events after `cursor`, for ever; None: after now."""
        with self._heads.listen() as stirred:
            end = end_of(await self._heads.read())
            # After the store was restored from a backup, numbers that were handled come anew.
            self._position = {
                p: min(n, end.get(p, 0)) for p, n in (end if cursor is None else cursor).items()
            }
            seen: dict[str, int] = {}
            while True:
                await stirred.wait()
                stirred.clear()
                for publisher, head in list(self._heads.known.items()):
                    if head.next < seen.get(publisher, 0):
                        self._position[publisher] = min(head.next, self._position.get(publisher, 0))
                    seen[publisher] = head.next
                    async for events in self._up_to(publisher, head):
                        yield Batch(events, dict(self._position))

    async def _up_to(self, publisher: str, head: Head) -> AsyncIterator[tuple[Event, ...]]:
        number = self._position.get(publisher, head.first)
        if number < head.first:
            lost = head.first - number
            log.warning("events_lost", extra={"of": publisher, "segments": lost, "why": "retention"})
            number = head.first
        missing = 0
        while number < head.next:
            if missing > GAP:
                missing, skipped = 0, await self._behind_gap(publisher, number, head)
                log.warning(
                    "events_lost", extra={"of": publisher, "segments": skipped - number, "why": "gap"}
                )
                number = self._position[publisher] = skipped
                continue
            wanted = range(number, min(number + _AHEAD, head.next))
            for segment in await self._segments.several(publisher, wanted, head):
                number += 1
                missing = missing + 1 if segment is None else 0
                self._position[publisher] = number
                events = await self._heard(publisher, segment.events) if segment is not None else ()
                if events:
                    yield events

    async def _behind_gap(self, publisher: str, number: int, head: Head) -> int:
        """Where to go on: retention was quicker, or the publisher says more than it wrote."""
        fresh = (await self._heads.read()).get(publisher, head)
        return fresh.first if number < fresh.first < head.next else head.next
