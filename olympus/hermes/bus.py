"""Events for all: each publisher appends segments and moves its head; subscribers watch the heads.

Blocking queries coalesce, so a key cannot be a queue: this is a log. A segment holds what was published while
the transaction before it was under way (group commit), so that throughput does not depend on round trips.

At least once, in order per publisher; the id of an event tells duplicates. What an event led to is stored in
one transaction with the cursor (`cursor_op`), so that a restart neither loses nor repeats it.
"""

from __future__ import annotations

import asyncio
import base64
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, TypeAlias

import orjson

from olympus.hermes import keys
from olympus.hermes.kv import (
    MAX_BODY,
    MAX_OPS,
    Cas,
    Delete,
    Entry,
    Kv,
    Op,
    Put,
    TooLarge,
    TransactionConflict,
)
from olympus.hermes.segments import (
    MAX_INLINE,
    Head,
    Segment,
    as_decoded,
    encode_events,
    head_bytes,
    read_head,
    read_segment,
    segment_bytes,
)
from olympus.hermes.spool import Spool
from olympus.kernel.clock import Clock
from olympus.kernel.errors import HermesUnreachable, Invalid, OlympusError, Refused
from olympus.kernel.events import Event
from olympus.kernel.ids import milliseconds_of

log = logging.getLogger("olympus.hermes")

Cursor: TypeAlias = Mapping[str, int]
"""For each publisher the number of the next segment to be handled. Opaque, JSON."""

Heard: TypeAlias = Callable[[str, tuple[Event, ...]], Awaitable[tuple[Event, ...]]]
"""Of a publisher's events those that it may tell: the rest is nobody's (see `trust.Trust.heard`)."""


async def hear_all(_publisher: str, events: tuple[Event, ...]) -> tuple[Event, ...]:
    """Where everybody who can write is believed."""
    return events


# The head repeats a small segment, and both carry some framing.
_MAX_EVENTS: Final = MAX_BODY - 24 * 1024
_OWN_OPS: Final = 2
_CACHED_SEGMENTS: Final = 512
# Segments after the moment of an id in which its event is looked for first.
_NEAR: Final = 256
# Missing segments in a row after which a head is not believed that there are more.
_GAP: Final = 256
# Segments that a subscriber that lags asks for at once.
_AHEAD: Final = 4
_RETRY: Final = 0.5


@dataclass(frozen=True, slots=True)
class Retention:
    """What is older, or over `size` bytes of one publisher, is removed, looked after each `every` seconds."""

    age: timedelta = timedelta(days=14)
    size: int = 256 * 1024 * 1024
    every: float = 60.0


@dataclass(frozen=True, slots=True)
class Batch:
    """Events in order, and the cursor that says that they are handled."""

    events: tuple[Event, ...]
    cursor: Cursor


@dataclass(slots=True)
class _Request:
    events: Sequence[Event]
    encoded: bytes
    ops: Sequence[Op]
    done: asyncio.Future[dict[str, int]]


@dataclass(slots=True)
class _Heads:
    """What the watch of the heads last saw."""

    known: dict[str, Head] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Writing:
    """whole: `value` repeats the segment, so that who sees `value` in Hermes knows that it is all there."""

    value: bytes
    head: Head
    segment: Segment
    whole: bool


class Bus:
    """One per process. `publisher` is the node's name: no two processes may share it."""

    def __init__(  # noqa: PLR0913 - what boot wires
        self,
        kv: Kv,
        publisher: str,
        *,
        clock: Clock,
        spool: Path | None = None,
        retention: Retention = Retention(),
        heard: Heard = hear_all,
    ) -> None:
        self._kv = kv
        self._publisher = publisher
        self._clock = clock
        self._spool = Spool(spool / f"{publisher}.jsonl") if spool else None
        self._retention = retention
        self._heard = heard
        self._requests: list[_Request] = []
        self._asked = asyncio.Event()
        # Our head and its version as we last wrote it; None: read it.
        self._own: tuple[Head, int] | None = None
        # Who moves our head holds it: a publisher, the writer or retention.
        self._moving = asyncio.Lock()
        # What our transaction under way makes of our head; and that head as the watch saw it meanwhile.
        self._writing: _Writing | None = None
        self._deferred: Entry | None = None
        self._heads = _Heads()
        self._subscribers: set[asyncio.Event] = set()
        self._cache: OrderedDict[tuple[str, int], Segment] = OrderedDict()

    async def run(self) -> None:
        """Until cancelled: writes what is published, watches the heads, removes what is old."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._write_for_ever())
            group.create_task(self._watch_heads())
            group.create_task(self._retain_for_ever())

    async def publish(
        self, events: Sequence[Event], ops: Sequence[Op] = (), *, durable: bool = True
    ) -> dict[str, int]:
        """Publish `events`, in order, and do `ops` in the same transaction; the versions of what `ops` set.

        durable: return when it also survives a power cut. Without `ops`, events wait in the spool while
        Hermes is away. Raises TransactionConflict (a guard of `ops` failed: nothing was done, no event is
        out), HermesUnreachable (with `ops`: it may be done or not), Refused (over the size of a transaction).
        """
        versions: dict[str, int] = {}
        for part, encoded, its_ops in self._parts(events, ops):
            request = _Request(part, encoded, its_ops, asyncio.get_running_loop().create_future())
            if self._requests or self._spool or self._moving.locked():
                self._requests.append(request)
                self._asked.set()
            else:
                async with self._moving:
                    await self._write_at_once(request)
            versions = await request.done or versions
        if durable:
            await self._kv.flush()
        return versions

    async def _write_at_once(self, request: _Request) -> None:
        """Nothing is under way: it need not wait for the writer's turn."""
        try:
            versions = await self._append(request.events, request.encoded, request.ops)
        except HermesUnreachable:
            self._requests.insert(0, request)
            self._asked.set()
        else:
            request.done.set_result({op.key: versions[op.key] for op in _setting(request.ops)})

    def _parts(
        self, events: Sequence[Event], ops: Sequence[Op]
    ) -> list[tuple[Sequence[Event], bytes, Sequence[Op]]]:
        """What fits into a transaction each, encoded. Raises Refused where `ops` have to go with too much."""
        if len(ops) > MAX_OPS - _OWN_OPS:
            raise Refused(f"{len(ops)} operations beside events, {MAX_OPS - _OWN_OPS} are allowed")
        encoded = encode_events(events)
        if not events or len(encoded) + _size(ops) <= _MAX_EVENTS:
            return [(events, encoded, ops)]
        if ops:
            raise TooLarge("these events and operations are over the size of one transaction: split them")
        if len(events) == 1:
            raise TooLarge(f"event {events[0].id} has {len(encoded)} bytes, {_MAX_EVENTS} are allowed")
        half = len(events) // 2
        return [*self._parts(events[:half], ()), *self._parts(events[half:], ())]

    async def now(self) -> Cursor:
        """The end of the log."""
        return {publisher: head.next for publisher, head in (await self._read_heads()).items()}

    async def stored_cursor(self, consumer: str) -> Cursor | None:
        """What `cursor_op` stored for `consumer`."""
        entry = await self._kv.get(keys.cursor(consumer))
        return dict(orjson.loads(entry.value)) if entry else None

    def cursor_op(self, consumer: str, cursor: Cursor) -> Op:
        """Put it in the transaction of what the events led to."""
        return Put(keys.cursor(consumer), orjson.dumps(dict(cursor)))

    async def subscribe(self, cursor: Cursor | None = None) -> AsyncIterator[Batch]:
        """Events after `cursor`, for ever; None: after now."""
        stirred = asyncio.Event()
        stirred.set()
        self._subscribers.add(stirred)
        try:
            end = await self.now()
            # After the store was restored from a backup, numbers that were handled come anew.
            position = {p: min(n, end.get(p, 0)) for p, n in (end if cursor is None else cursor).items()}
            seen: dict[str, int] = {}
            while True:
                await stirred.wait()
                stirred.clear()
                for publisher, head in list(self._heads.known.items()):
                    if head.next < seen.get(publisher, 0):
                        position[publisher] = min(head.next, position.get(publisher, 0))
                    seen[publisher] = head.next
                    async for events in self._after(publisher, head, position):
                        yield Batch(events, dict(position))
        finally:
            self._subscribers.discard(stirred)

    async def _after(
        self, publisher: str, head: Head, position: dict[str, int]
    ) -> AsyncIterator[tuple[Event, ...]]:
        """The segments from `position`, which moves with them, up to `head`."""
        number = position.get(publisher, head.first)
        if number < head.first:
            lost = head.first - number
            log.warning("events_lost", extra={"of": publisher, "segments": lost, "why": "retention"})
            number = head.first
        missing = 0
        while number < head.next:
            if missing > _GAP:
                missing, skipped = 0, await self._behind_gap(publisher, number, head)
                log.warning(
                    "events_lost", extra={"of": publisher, "segments": skipped - number, "why": "gap"}
                )
                number = position[publisher] = skipped
                continue
            wanted = range(number, min(number + _AHEAD, head.next))
            for segment in await self._segments(publisher, wanted, head):
                number += 1
                missing = missing + 1 if segment is None else 0
                position[publisher] = number
                events = await self._heard(publisher, segment.events) if segment is not None else ()
                if events:
                    yield events

    async def _behind_gap(self, publisher: str, number: int, head: Head) -> int:
        """Where to go on: retention was quicker, or the publisher says more than it wrote."""
        fresh = (await self._read_heads()).get(publisher, head)
        return fresh.first if number < fresh.first < head.next else head.next

    async def _segments(self, publisher: str, numbers: range, head: Head) -> list[Segment | None]:
        if len(numbers) == 1 or (publisher, numbers[-1]) in self._cache:
            return [await self._segment(publisher, number, head) for number in numbers]
        return await asyncio.gather(*(self._segment(publisher, number, head) for number in numbers))

    async def _segment(self, publisher: str, number: int, head: Head | None = None) -> Segment | None:
        """None where retention has removed it meanwhile."""
        key = (publisher, number)
        if key in self._cache:
            return self._cache[key]
        if head is not None and head.inline is not None and number == head.next - 1:
            self._remember(publisher, number, head.inline)
            return head.inline
        return _readable(publisher, await self._raw_segment(publisher, number))

    async def _raw_segment(self, publisher: str, number: int) -> bytes | None:
        # The embedded store answers without giving way: who reads much must let others live.
        await asyncio.sleep(0)
        entry = await self._kv.get(keys.segment(publisher, number))
        return entry.value if entry else None

    def _remember(self, publisher: str, number: int, segment: Segment) -> None:
        self._cache[publisher, number] = segment
        if len(self._cache) > _CACHED_SEGMENTS:
            self._cache.popitem(last=False)

    async def _watch_heads(self) -> None:
        async for snapshot in self._kv.watch(keys.HEADS):
            for entry in snapshot.entries:
                writing = self._writing
                if writing is not None and _publisher_of(entry) == self._publisher:
                    self._deferred = entry
                    if writing.whole and entry.value == writing.value:
                        self._written(writing, entry.version)
                elif entry.version != self._heads.versions.get(_publisher_of(entry)):
                    await self._see(entry)
            self._stir()
            # Those who are stirred come before the store is asked again.
            await asyncio.sleep(0)

    async def _see(self, entry: Entry) -> None:
        """A head as the store has it."""
        publisher = _publisher_of(entry)
        known = self._heads.versions.get(publisher, 0)
        if publisher == self._publisher and entry.version < known:
            # Either the watch is behind ourselves, or the store was restored from a backup.
            fresh = await self._kv.get(entry.key)
            if fresh is None or self._heads.versions.get(publisher) != known or fresh.version == known:
                return
            entry = fresh
        before = self._heads.known.get(publisher)
        try:
            head = read_head(entry.value, before.next - 1 if before else None)
        except Invalid as error:
            # A node that writes nonsense is not heard any more; the others are.
            log.warning("head_not_read", extra={"of": publisher, "why": str(error)})
            self._heads.versions[publisher] = entry.version
            return
        self._move(publisher, head, entry.version)

    def _move(self, publisher: str, head: Head, version: int) -> None:
        before = self._heads.known.get(publisher)
        if before is not None and head.next < before.next:
            log.warning("store_went_back", extra={"of": publisher, "segments": before.next - head.next})
            for key in [key for key in self._cache if key[0] == publisher]:
                del self._cache[key]
        self._heads.known[publisher] = head
        self._heads.versions[publisher] = version

    def _stir(self) -> None:
        for stirred in self._subscribers:
            stirred.set()

    async def _write_for_ever(self) -> None:
        if self._spool:
            self._asked.set()
        while True:
            await self._asked.wait()
            self._asked.clear()
            while self._requests or self._spool:
                try:
                    async with self._moving:
                        await self._hand_over_spool()
                        if self._requests:
                            await self._write(self._take())
                except HermesUnreachable as error:
                    self._set_aside(error)
                    await asyncio.sleep(_RETRY)
                except OlympusError as error:
                    # What is spooled goes first: it is not lost, and nothing overtakes it.
                    log.warning("spool_refused", extra={"why": str(error)})
                    self._set_aside(HermesUnreachable(f"Hermes refuses events that were spooled: {error}"))
                    await asyncio.sleep(_RETRY)

    def _take(self) -> list[_Request]:
        """As many requests as fit into one transaction, at least one."""
        taken: list[_Request] = []
        ops = size = 0
        for request in self._requests:
            ops += len(request.ops)
            size += len(request.encoded) + _size(request.ops)
            if taken and (ops > MAX_OPS - _OWN_OPS or size > _MAX_EVENTS):
                break
            taken.append(request)
        del self._requests[: len(taken)]
        return taken

    async def _write(self, taken: list[_Request]) -> None:
        try:
            versions = await self._append(
                [event for request in taken for event in request.events],
                _joined([request.encoded for request in taken]),
                [op for request in taken for op in request.ops],
            )
        except TransactionConflict as conflict:
            if len(taken) == 1:
                _fail(taken[0], conflict)
                return
            # One of them must not drag the others down: each by itself.
            for index, request in enumerate(taken):
                try:
                    await self._write([request])
                except HermesUnreachable:
                    self._requests[1:1] = taken[index + 1 :]
                    raise
        except HermesUnreachable:
            self._requests[:0] = taken
            raise
        except BaseException as error:
            for request in taken:
                _fail(request, error)
            if not isinstance(error, OlympusError):
                raise
        else:
            for request in taken:
                if not request.done.done():
                    request.done.set_result({op.key: versions[op.key] for op in _setting(request.ops)})

    async def _append(self, events: Sequence[Event], encoded: bytes, ops: Sequence[Op]) -> dict[str, int]:
        """One transaction: the segment, the head, and `ops`. Without events: `ops` alone."""
        if encoded == b"[]":
            return await self._kv.transact(ops) if ops else {}
        while True:
            try:
                return await self._append_once(events, encoded, ops)
            except TransactionConflict as conflict:
                # The answer to an earlier transaction was lost: the head is not where we left it.
                if 0 not in conflict.failed:
                    raise TransactionConflict([i - _OWN_OPS for i in conflict.failed], ops) from conflict

    async def _append_once(
        self, events: Sequence[Event], encoded: bytes, ops: Sequence[Op]
    ) -> dict[str, int]:
        key = keys.head(self._publisher)
        head, version = await self._own_head()
        now = self._clock.now()
        raw = segment_bytes(now, head.bytes, encoded)
        after = Head(head.first, head.next + 1, head.bytes + len(raw))
        value = head_bytes(after, raw)
        segment = Segment(now, head.bytes, as_decoded(events, encoded))
        own: list[Op] = [Cas(key, value, version), Put(keys.segment(self._publisher, head.next), raw)]
        writing = _Writing(value, after, segment, whole=len(raw) <= MAX_INLINE)
        self._own = None
        self._writing = writing
        try:
            versions = await self._kv.transact([*own, *ops])
        except BaseException:
            self._writing = None
            if self._deferred is not None:
                deferred, self._deferred = self._deferred, None
                await self._see(deferred)
                self._stir()
            raise
        self._writing = self._deferred = None
        self._own = (after, versions[key])
        self._written(writing, versions[key])
        return versions

    def _written(self, writing: _Writing, version: int) -> None:
        """It is in Hermes: our own subscribers need not read it there."""
        if self._heads.versions.get(self._publisher) != version:
            self._remember(self._publisher, writing.head.next - 1, writing.segment)
            self._move(self._publisher, writing.head, version)
            self._stir()

    async def _own_head(self) -> tuple[Head, int]:
        if self._own is None:
            entry = await self._kv.get(keys.head(self._publisher))
            self._own = (read_head(entry.value), entry.version) if entry else (Head(), 0)
        return self._own

    def _set_aside(self, error: HermesUnreachable) -> None:
        """Hermes is away: what has no operations goes to the spool, the rest is told so."""
        waiting, self._requests = self._requests, []
        for request in waiting:
            if request.ops or self._spool is None:
                _fail(request, error)
                continue
            try:
                self._spool.append(request.events)
            except HermesUnreachable as full:
                _fail(request, full)
            else:
                if not request.done.done():
                    request.done.set_result({})

    async def _hand_over_spool(self) -> None:
        if not self._spool:
            return
        events = self._spool.read()
        for part, encoded, _ in self._parts(events, ()):
            await self._append(part, encoded, ())
        await self._kv.flush()
        self._spool.clear()
        log.info("spool_handed_over", extra={"events": len(events)})

    async def _retain_for_ever(self) -> None:
        while True:
            try:
                while await self.retain():
                    pass
            except (HermesUnreachable, TransactionConflict) as error:
                log.info("retention_postponed", extra={"why": str(error)})
            await asyncio.sleep(self._retention.every)

    async def retain(self) -> int:
        """Remove our oldest segments that are over age or size; how many, up to a transaction's worth."""
        head = (await self._own_head())[0]
        limit = self._clock.now() - self._retention.age
        first = head.first
        # The newest segment stays, so that a head never points at nothing.
        while first < head.next - 1 and first - head.first < MAX_OPS - _OWN_OPS:
            segment = await self._segment(self._publisher, first)
            young = segment is not None and segment.time >= limit
            if young and segment is not None and head.bytes - segment.offset <= self._retention.size:
                break
            first += 1
        if first > head.first:
            await self._cut(first)
        return first - head.first

    async def _cut(self, first: int) -> None:
        async with self._moving:
            head, version = await self._own_head()
            self._own = None
            cut = [Delete(keys.segment(self._publisher, number)) for number in range(head.first, first)]
            moved = Cas(keys.head(self._publisher), head_bytes(replace(head, first=first)), version)
            await self._kv.transact([moved, *cut])

    async def find(self, event_id: str) -> Event | None:
        """The event with that id, if it is still kept.

        Ids made here begin with their time, so that it is looked for where it should be; then everywhere.
        """
        heads = await self._read_heads()
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
            raw = await self._raw_segment(publisher, number)
            missing = missing + 1 if raw is None else 0
            if missing > _GAP:
                return None
            segment = _readable(publisher, raw) if raw is not None and needle in raw else None
            for event in await self._heard(publisher, segment.events) if segment else ():
                if event.id == event_id:
                    return event
        return None

    async def _read_heads(self) -> dict[str, Head]:
        found: dict[str, Head] = {}
        for entry in (await self._kv.scan(keys.HEADS)).entries:
            try:
                found[_publisher_of(entry)] = read_head(entry.value)
            except Invalid as error:
                log.warning("head_not_read", extra={"of": _publisher_of(entry), "why": str(error)})
        return found

    async def _first_at(self, publisher: str, head: Head, timestamp: float) -> int:
        """The first segment that was written at `timestamp` or later, by bisection."""
        low, high = head.first, head.next
        while low < high:
            middle = (low + high) // 2
            segment = await self._segment(publisher, middle)
            if segment is None or segment.time.timestamp() < timestamp:
                low = middle + 1
            else:
                high = middle
        return low

    async def history(  # noqa: PLR0913 - each is a filter of the contract's
        self,
        *,
        types: Sequence[str] = (),
        since: datetime | None = None,
        until: datetime | None = None,
        node: str | None = None,
        newest_first: bool = True,
        limit: int = 100,
        after: str | None = None,
    ) -> tuple[list[Event], str | None]:
        """A page of what is kept, by time and id, and what to pass as `after` for the next page.

        types: exact, or a prefix with `*` at its end. Raises Refused where `after` is not of this method's.
        """
        walks = []
        resume = _resume(after)
        for publisher, head in (await self._read_heads()).items():
            first = head.first if since is None else await self._first_at(publisher, head, since.timestamp())
            span, start = range(first, head.next), resume.get(publisher)
            walks.append(_Walk(self, publisher, span, backwards=newest_first, resume=start))
        wanted = _filter(types, since, until, node)
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
            if wanted(event):
                found.append(event)


class _Walk:
    """One publisher's events, one after the other, in one direction."""

    def __init__(
        self, bus: Bus, publisher: str, span: range, *, backwards: bool, resume: list[int] | None
    ) -> None:
        self.publisher = publisher
        self._bus = bus
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
        while self._first <= self._number < self._end and self._missing <= _GAP:
            if self._events is None:
                segment = await self._bus._segment(self.publisher, self._number)  # noqa: SLF001 - its own
                self._missing = self._missing + 1 if segment is None else 0
                events = await self._bus._heard(self.publisher, segment.events) if segment else ()  # noqa: SLF001
                self._events = events if self._step > 0 else events[::-1]
            if self._taken < len(self._events):
                return self._events[self._taken]
            self._number += self._step
            self._taken = 0
            self._events = None
        return None

    def take(self) -> None:
        self._taken += 1


def _filter(
    types: Sequence[str], since: datetime | None, until: datetime | None, node: str | None
) -> Callable[[Event], bool]:
    exact = {name for name in types if not name.endswith("*")}
    prefixes = tuple(name[:-1] for name in types if name.endswith("*"))

    def wanted(event: Event) -> bool:
        return (
            (not types or event.type in exact or (bool(prefixes) and event.type.startswith(prefixes)))
            and (since is None or event.time >= since)
            and (until is None or event.time < until)
            and (node is None or event.node == node)
        )

    return wanted


def _resume(after: str | None) -> dict[str, list[int]]:
    if not after:
        return {}
    try:
        found = orjson.loads(base64.urlsafe_b64decode(after))
        return {str(name): [int(place[0]), int(place[1])] for name, place in found.items()}
    except (ValueError, TypeError, AttributeError, IndexError) as error:
        raise Refused(f"cursor {after!r} is not one that was handed out") from error


def _readable(publisher: str, raw: bytes | None) -> Segment | None:
    try:
        return None if raw is None else read_segment(raw)
    except Invalid as error:
        log.warning("segment_not_read", extra={"of": publisher, "why": str(error)})
        return None


def _publisher_of(entry: Entry) -> str:
    return entry.key.removeprefix(keys.HEADS)


def _size(ops: Sequence[Op]) -> int:
    return sum(len(getattr(op, "value", b"")) for op in ops)


def _setting(ops: Sequence[Op]) -> list[Put | Cas]:
    return [op for op in ops if isinstance(op, Put | Cas)]


def _joined(arrays: Sequence[bytes]) -> bytes:
    """One JSON array out of several."""
    return b"[" + b",".join(array[1:-1] for array in arrays if array != b"[]") + b"]"


def _fail(request: _Request, error: BaseException) -> None:
    if not request.done.done():
        request.done.set_exception(error)
