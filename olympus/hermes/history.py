"""What is kept of the log, looked at by time: one event by its id, or pages of many."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeAlias

import orjson

from olympus.hermes.following import Heard
from olympus.hermes.heads import Heads
from olympus.hermes.segment_reader import GAP, SegmentReader, readable
from olympus.hermes.segments import Head
from olympus.kernel.errors import Refused
from olympus.kernel.events import Event
from olympus.kernel.ids import milliseconds_of

# Segments after the moment of an id in which its event is looked for first.
_NEAR: Final = 256


_Read: TypeAlias = Callable[[str, int], Awaitable[tuple[Event, ...] | None]]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a page shows. types: exact, or a prefix with `*` at its end; none: all."""

    types: Sequence[str] = ()
    since: datetime | None = None
    until: datetime | None = None
    node: str | None = None

    def has(self, event: Event) -> bool:
        return (
            (not self.types or any(_is_of(event.type, name) for name in self.types))
            and (self.since is None or event.time >= self.since)
            and (self.until is None or event.time < self.until)
            and (self.node is None or event.node == self.node)
        )


class History:
    """Reads from the store alone, so that it is true also while nothing is watched."""

    def __init__(self, heads: Heads, segments: SegmentReader, heard: Heard) -> None:
        self._heads = heads
        self._segments = segments
        self._heard = heard

    async def find(self, event_id: str) -> Event | None:
        """The event with that id, if it is still kept.

        Ids made here begin with their time, so that it is looked for where it should be; then everywhere.
        """
        heads = await self._heads.read()
        moment = milliseconds_of(event_id)
        if moment is not None:
            for publisher, head in heads.items():
                first = await self._first_at(publisher, head, moment / 1000 - 1)
                found = await self._find_within(publisher, first, min(head.next, first + _NEAR), event_id)
                if found is not None:
                    return found
        for publisher, head in heads.items():
            found = await self._find_within(publisher, head.first, head.next, event_id)
            if found is not None:
                return found
        return None

    async def _find_within(self, publisher: str, first: int, end: int, event_id: str) -> Event | None:
        # As JSON has it: a segment that cannot hold the id is not decoded.
        needle = orjson.dumps(event_id)
        missing = 0
        for number in range(first, end):
            raw = await self._segments.raw(publisher, number)
            missing = missing + 1 if raw is None else 0
            if missing > GAP:
                return None
            segment = readable(publisher, raw) if raw is not None and needle in raw else None
            for event in await self._heard(publisher, segment.events) if segment else ():
                if event.id == event_id:
                    return event
        return None

    async def _first_at(self, publisher: str, head: Head, timestamp: float) -> int:
        """The first segment that was written at `timestamp` or later, by bisection."""
        low, high = head.first, head.next
        while low < high:
            middle = (low + high) // 2
            segment = await self._segments.get(publisher, middle)
            if segment is None or segment.time.timestamp() < timestamp:
                low = middle + 1
            else:
                high = middle
        return low

    async def page(
        self, wanted: Wanted, *, newest_first: bool, limit: int, after: str | None
    ) -> tuple[list[Event], str | None]:
        """See `Bus.history`."""
        walks = []
        resume, since = _resume(after), wanted.since
        for publisher, head in (await self._heads.read()).items():
            first = head.first if since is None else await self._first_at(publisher, head, since.timestamp())
            span, start = range(first, head.next), resume.get(publisher)
            walks.append(_Walk(self._events, publisher, span, backwards=newest_first, resume=start))
        found: list[Event] = []
        while True:
            heads = [(event, walk) for walk in walks if (event := await walk.peek()) is not None]
            if not heads:
                return found, None
            pick = max if newest_first else min
            event, walk = pick(heads, key=lambda pair: (pair[0].time, pair[0].id))
            if len(found) == limit:
                position = {walk.publisher: walk.position for walk in walks}
                return found, base64.urlsafe_b64encode(orjson.dumps(position)).decode()
            walk.take()
            if wanted.has(event):
                found.append(event)

    async def _events(self, publisher: str, number: int) -> tuple[Event, ...] | None:
        """None where the segment is missing."""
        segment = await self._segments.get(publisher, number)
        return await self._heard(publisher, segment.events) if segment is not None else None


class _Walk:
    """One publisher's events, one after the other, in one direction."""

    def __init__(
        self, read: _Read, publisher: str, span: range, *, backwards: bool, resume: list[int] | None
    ) -> None:
        self.publisher = publisher
        self._read = read
        self._first, self._end = first, end = span.start, span.stop
        self._step = -1 if backwards else 1
        self._number = end - 1 if backwards else first
        self._taken = 0
        self._missing = 0
        if resume:
            self._number, self._taken = resume
        self._events: tuple[Event, ...] | None = None

    @property
    def position(self) -> list[int]:
        return [self._number, self._taken]

    async def peek(self) -> Event | None:
        while self._first <= self._number < self._end and self._missing <= GAP:
            if self._events is None:
                events = await self._read(self.publisher, self._number)
                self._missing = self._missing + 1 if events is None else 0
                self._events = (events or ())[:: self._step]
            if self._taken < len(self._events):
                return self._events[self._taken]
            self._number += self._step
            self._taken = 0
            self._events = None
        return None

    def take(self) -> None:
        self._taken += 1


def _is_of(type_: str, name: str) -> bool:
    return type_.startswith(name[:-1]) if name.endswith("*") else type_ == name


def _resume(after: str | None) -> dict[str, list[int]]:
    if not after:
        return {}
    try:
        found = orjson.loads(base64.urlsafe_b64decode(after))
        return {str(name): [int(place[0]), int(place[1])] for name, place in found.items()}
    except (ValueError, TypeError, AttributeError, IndexError) as error:
        raise Refused(f"cursor {after!r} is not one that was handed out") from error
