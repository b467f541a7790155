"""One LogWatch at work: lines are read, looked at, decided on, told, and only then counted as read."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import orjson

from olympus.argos.core import decide, state_to_json
from olympus.argos.joining import PAUSE, Joiner, Record
from olympus.argos.model import CaughtUp, Due, Seen, Tell, Watched, WatchFact, WatchState
from olympus.argos.notices_watchdog import Notices
from olympus.argos.patterns import Hit, Patterns, compile_patterns
from olympus.argos.places import Places
from olympus.argos.plan import watch_plan
from olympus.argos.ports import Batch, Chunk, Lost, Place
from olympus.argos.recent import Recent
from olympus.argos.sampling import sampled
from olympus.argos.sources import source_of
from olympus.argos.standing import Standing
from olympus.argos.telling import Reached, Telling
from olympus.argos.unmatched import Sample
from olympus.hermes import keys
from olympus.hermes.bus import Bus
from olympus.hermes.kv import Kv
from olympus.kernel.cancellation import heed_cancellation
from olympus.kernel.clock import Clock
from olympus.kernel.errors import OlympusError
from olympus.kernel.events import Event
from olympus.kernel.ids import new_id
from olympus.records.news import News
from olympus.spec.event_data import Matched
from olympus.spec.kinds.logwatch import LogWatchSpec

log = logging.getLogger("olympus.argos")

SHOWN: Final = 16 * 1024
"""Characters of a line, and of each of its groups, in an event."""

_SMALL: Final = 64 * 1024
_LAZY: Final = 1.0
"""Seconds after which it is kept how far lines were read that matched nothing."""

_LARGE_STATE: Final = 16 * 1024
_AGAIN: Final = 30.0
_DUE: Final = "due"


@dataclass(frozen=True, slots=True)
class Means:
    """What the watches of a node share. state, services: folders that outlive us; the latter is the steward's."""

    kv: Kv
    bus: Bus
    clock: Clock
    node: str
    state: Path
    services: Path
    places: Places
    notices: Notices
    recent: Recent
    news: News


class Watcher:
    """`run` until cancelled."""

    def __init__(self, means: Means, name: str, spec: LogWatchSpec) -> None:
        self._means = means
        self._name = name
        self._spec = spec
        self._telling = Telling(means.kv, means.bus, means.node, name)
        self._standing = Standing(name, means.node, means.clock.now())
        self._joiner = None if spec.multiline is None else Joiner(spec.multiline)
        self._patterns: Patterns
        self._state: WatchState | None = None
        self._wake: int | None = None
        # Read, and not kept yet: nothing in them matched.
        self._unkept: dict[tuple[str, str], Place] = {}
        self._closed: set[tuple[str, str]] = set()
        self._unkept_since: float | None = None
        self._state_unkept = False
        self._state_size = 0

    async def run(self) -> None:
        """What a source can't do is tried again after a while."""
        cache = self._means.state / "patterns"
        self._patterns = await asyncio.to_thread(compile_patterns, self._spec.match, cache)
        await self._telling.load()
        while True:
            try:
                await self._watch()
            except* OlympusError as group:
                why = "; ".join(str(error) for error in group.exceptions)
                log.warning("watch_failed", extra={"watch": self._name, "why": why})
                self._note(self._standing.failed(why, self._now()))
            heed_cancellation()
            await asyncio.sleep(_AGAIN)

    async def unmatched(self, most: int) -> list[Sample]:
        """Shapes of the last lines that no pattern matches, commonest first."""
        pieces = self._means.recent.pieces(self._standing.streams)
        return await asyncio.to_thread(sampled, pieces, self._patterns, self._spec.multiline, most)

    async def _watch(self) -> None:
        known = self._means.places.known(self._name)
        described = self._spec.source.to_json()
        kept = known.places if known is not None and _alike(known.source, described) else None
        source = source_of(self._spec.source, self._means.notices, self._means.clock, self._means.services)
        plan = watch_plan(self._name, self._means.node, self._spec)
        self._state = None
        await self._decided([(Watched(plan, known.state if known else None), None)], self._milliseconds())
        if kept is None:
            self._means.places.forget(self._name)
        self._means.places.keep(self._name, source=described, state=self._state_json())
        async with aclosing(source.batches(kept)) as batches, asyncio.TaskGroup() as group:
            coming = group.create_task(_next(batches))
            try:
                while True:
                    await asyncio.wait([coming], timeout=self._patience())
                    if coming.done():
                        batch = coming.result()
                        await self._take(batch)
                        # With its first batch, it has begun: what comes from now on is seen.
                        self._note(self._standing.watching(self._now()))
                        coming = group.create_task(_next(batches))
                    await self._due()
                    self._note(self._standing.complaints(source.complaints(), self._now()))
            finally:
                self._keep_all()
                coming.cancel()

    def _patience(self) -> float | None:
        """Seconds until something is due."""
        now = self._means.clock.monotonic()
        moments = []
        if self._wake is not None:
            moments.append(max(0.0, (self._wake - self._milliseconds()) / 1000))
        if self._unkept_since is not None:
            moments.append(self._unkept_since + _LAZY - now)
        if self._joiner is not None and (touched := self._joiner.next_due()) is not None:
            moments.append(touched + PAUSE - now)
        if (asked := self._standing.due(self._now())) is not None:
            moments.append(asked)
        return max(0.0, min(moments)) + 0.001 if moments else None

    # --- what comes -------------------------------------------------------------------------------------

    async def _take(self, batch: Batch) -> None:
        if batch.opened:
            self._keep_all([self._pulled_back(one) for one in batch.opened])
        for lost in batch.lost:
            await self._tell_lost(lost)
        for chunk in batch.chunks:
            self._means.recent.add(chunk.stream, chunk.text, self._now())
        self._standing.read(batch)
        hits = await self._hits(batch.chunks)
        for place in batch.places:
            self._unkept[place.stream, place.part] = self._pulled_back(place)
        self._closed |= set(batch.closed)
        if hits:
            await self._decide_on(hits)
        if batch.caught_up:
            await self._decided([(CaughtUp(), None)], self._milliseconds())
            await self._forget_streams()
        self._keep_soon(hits=bool(hits))

    def _pulled_back(self, place: Place) -> Place:
        """What is pending of a record is read again after a restart."""
        begins = None if self._joiner is None else self._joiner.begins_at(place.stream, place.part)
        return place if begins is None else replace(place, offset=min(begins, place.offset))

    async def _hits(self, chunks: Sequence[Chunk]) -> list[tuple[Reached, Seen]]:
        if sum(len(chunk.text) for chunk in chunks) < _SMALL:
            return self._look(chunks)
        # Engines let the loop run meanwhile.
        return await asyncio.to_thread(self._look, chunks)

    def _look(self, chunks: Sequence[Chunk]) -> list[tuple[Reached, Seen]]:
        if self._joiner is not None:
            now = self._means.clock.monotonic()
            records = [one for chunk in chunks for one in self._joiner.add(chunk, now)]
            return [hit for one in records for hit in self._in_record(one)]
        found = []
        for chunk in chunks:
            for hit in self._patterns.scan(chunk.text):
                line = chunk.text[hit.start : hit.end]
                fields = chunk.about(hit.start) if chunk.about is not None else {}
                reached = Reached(chunk.stream, chunk.part, chunk.offset + hit.start)
                found.append((reached, _seen(reached, hit, line, fields)))
        return found

    def _in_record(self, record: Record) -> list[tuple[Reached, Seen]]:
        reached = Reached(record.stream, record.part, record.offset)
        hits = (hit for hit in self._patterns.record(record.text) if isinstance(hit, Hit))
        return [(reached, _seen(reached, hit, record.text, record.fields)) for hit in hits]

    # --- what follows -----------------------------------------------------------------------------------

    async def _decide_on(self, hits: Sequence[tuple[Reached, Seen]]) -> None:
        """Lines that were told before a restart count as they did then."""
        self._standing.matched(len(hits), self._now())
        now = self._milliseconds()
        fresh: list[tuple[WatchFact, Reached | None]] = []
        for reached, seen in hits:
            then = self._telling.told_at(reached.stream, reached.part, reached.offset)
            if then is None:
                fresh.append((seen, reached))
            else:
                self._apply(seen, then)
        await self._decided(fresh, now)

    async def _decided(self, facts: Sequence[tuple[WatchFact, Reached | None]], now: int) -> None:
        told: list[Reached] = []
        for number, (fact, reached) in enumerate(facts):
            due = self._due_moment(now) if reached is None else 0
            matched = self._apply(fact, now)
            if reached is None:
                # A moment is told of as a line is: once.
                if matched and self._telling.told_at("", _DUE, due) is None:
                    told.append(self._reached(Reached("", _DUE, due), matched))
            else:
                told.append(self._reached(reached, matched))
            if number % 256 == 255:
                # Thousands of lines at once must not keep everybody else in this process waiting.
                await asyncio.sleep(0)
        await self._telling.tell(told, now)

    def _apply(self, fact: WatchFact, now: int) -> list[Tell]:
        decision = decide(self._state, fact, now)
        self._state_unkept = self._state_unkept or decision.state is not self._state
        self._state = decision.state
        told = []
        for effect in decision.effects:
            if isinstance(effect, Tell):
                told.append(effect)
            else:
                self._wake = effect.when
        return told

    def _due_moment(self, now: int) -> int:
        """The last of the moments that have come."""
        if self._state is None:
            return now
        dues = [one.due for one in self._state.matches if one.due is not None and one.due <= now]
        rate, limit = self._state.rate, self._state.plan.rate
        if rate is not None and limit is not None and rate.since + limit[1] <= now:
            dues.append(rate.since + limit[1])
        return max(dues, default=now)

    def _reached(self, reached: Reached, told: Sequence[Tell]) -> Reached:
        if not told:
            return reached
        events = tuple(self._event(one) for one in told)
        size = sum(len(orjson.dumps(one.data)) + 400 for one in events)
        return Reached(reached.stream, reached.part, reached.offset, events, size)

    def _event(self, told: Tell) -> Event:
        kind = "match" if isinstance(told.data, Matched) else "held-back"
        return self._made(kind, told.data.model_dump(by_alias=True))

    def _made(self, kind: str, data: dict[str, Any]) -> Event:
        node = self._means.node
        return Event(
            id=new_id(),
            type=f"olympus.argos.{kind}",
            source=f"olympus/argos/{node}",
            time=self._now(),
            data=data,
            subject=self._name,
            node=node,
        )

    async def _tell_lost(self, lost: Lost) -> None:
        self._standing.lost(lost.size)
        data = {"watch": self._name, "source": lost.stream, "bytes": lost.size, "reason": lost.reason}
        await self._means.news.publish([self._made("lines-lost", data)], [])

    async def _due(self) -> None:
        if self._wake is not None and self._milliseconds() >= self._wake:
            self._wake = None
            await self._decided([(Due(), None)], self._milliseconds())
            self._keep_soon(hits=True)
        if self._joiner is not None:
            records = list(self._joiner.due(self._means.clock.monotonic()))
            hits = [hit for one in records for hit in self._in_record(one)]
            if hits:
                await self._decide_on(hits)
                self._keep_soon(hits=True)
        since = self._unkept_since
        if since is not None and self._means.clock.monotonic() >= since + _LAZY:
            self._keep_all()
        self._note(self._standing.soon(self._now(), sum(self._patterns.misfits)))

    async def _forget_streams(self) -> None:
        """What was told of files that are gone for good need not be known any more."""
        known = self._means.places.known(self._name)
        there = {place.stream for place in known.places} if known is not None else set()
        await self._telling.forget(self._telling.streams() - there - {""} - {key[0] for key in self._unkept})

    # --- what is kept -----------------------------------------------------------------------------------

    def _keep_soon(self, *, hits: bool) -> None:
        """At once where lines matched, unless that is too much to write for each of them."""
        if hits and self._state_size < _LARGE_STATE:
            self._keep_all()
        elif self._unkept_since is None and (self._unkept or self._closed or self._state_unkept):
            self._unkept_since = self._means.clock.monotonic()

    def _keep_all(self, opened: Sequence[Place] = ()) -> None:
        """What is read and how it stands, together. opened: parts that must be known even after a power cut."""
        self._unkept_since = None
        if not (self._unkept or self._closed or self._state_unkept or opened):
            return
        state = self._state_json() if self._state_unkept else None
        places, closed = [*self._unkept.values(), *opened], list(self._closed)
        self._means.places.keep(self._name, state=state, places=places, closed=closed, safe=bool(opened))
        if opened:
            self._telling.settled()
        self._unkept.clear()
        self._closed.clear()
        self._state_unkept = False

    def _state_json(self) -> dict[str, Any]:
        if self._state is None:
            return {}
        found = state_to_json(self._state)
        self._state_size = len(orjson.dumps(found))
        return found

    def _note(self, record: bytes | None) -> None:
        if record is not None:
            self._means.news.note(keys.watch(self._means.node, self._name), record)

    def _now(self) -> datetime:
        return self._means.clock.now()

    def _milliseconds(self) -> int:
        return int(self._now().timestamp() * 1000)


async def _next(batches: AsyncGenerator[Batch, None]) -> Batch:
    return await anext(batches)


def _alike(old: Any, new: Any) -> bool:
    """Whether places of the one mean something to the other."""
    return bool(old) and (old == new or ("files" in old and "files" in new))


def _seen(reached: Reached, hit: Hit, line: bytes, fields: Mapping[str, Any]) -> Seen:
    groups = {name: _cut(value) for name, value in hit.groups.items()}
    return Seen(hit.match_index, _shown(line), reached.stream, reached.offset, groups, fields)


def _shown(line: bytes) -> str:
    return line[: SHOWN * 4].decode(errors="replace")[:SHOWN]


def _cut(value: Any) -> Any:
    return value[:SHOWN] if isinstance(value, str) else value
