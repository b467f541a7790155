"""What is recorded, read for a replay and driven through it, or to explain one event: events, incidents, rules."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

import orjson

from olympus.athena.declared import world_of
from olympus.athena.differences import OfRule, Replayed, differences
from olympus.athena.explain import Explained, Known, concerned, explained
from olympus.athena.model import Came, World
from olympus.athena.reasons import deciding, left_out
from olympus.athena.replay import Record, Replay
from olympus.athena.rules import Rule, rules_of
from olympus.hermes import keys
from olympus.hermes.bus import Bus
from olympus.hermes.kv import Kv
from olympus.kernel.clock import Clock, rfc3339
from olympus.kernel.errors import NotFound
from olympus.kernel.events import Event
from olympus.kernel.ids import milliseconds_of
from olympus.records.hosts import Hosts
from olympus.records.incident import Incident
from olympus.records.incident import rules_of as records_of
from olympus.records.intents import Intent
from olympus.spec.catalog import Catalog

_LONGEST_WINDOW: Final = timedelta(days=1)
"""So much before the time that is asked for is looked at, for what rules correlate over a longer one."""

_BEFORE: Final = timedelta(days=1)
"""Incidents that were opened so long before may still count."""

_MOST_BEFORE: Final = 10_000
_LATE: Final = timedelta(minutes=1)
_MOMENT: Final = timedelta(microseconds=1)
_PAGE: Final = 500
_SLICE: Final = 50
_AT_ONCE: Final = 64


@dataclass(frozen=True, slots=True)
class Seen:
    """What a replay came to. cut: why not everything until now was looked at; until: up to where it was."""

    since: datetime
    until: datetime
    events: int
    cut: str | None
    rules: Sequence[OfRule]

    def to_json(self) -> dict[str, Any]:
        """As programs see it."""
        return {
            "since": rfc3339(self.since),
            "until": rfc3339(self.until),
            "events": self.events,
            "cut": self.cut,
            "rules": [one.to_json() for one in self.rules],
        }


class Hindsight:
    """Reads Hermes, changes nothing; one replay at a time, since each takes a core."""

    def __init__(self, kv: Kv, bus: Bus, clock: Clock) -> None:
        self._kv = kv
        self._bus = bus
        self._clock = clock
        self._turn = asyncio.Lock()

    async def replay(
        self, before: Catalog, after: Catalog, since: datetime, *, seconds: float, changed: bool = False
    ) -> Seen | None:
        """The events since then against the rules of `after`, for at most so many seconds.

        before: what is applied now. changed: only rules that are not as in `before`; None where all are
        """
        old, new = rules_of(before), rules_of(after)
        both = {name: (old.get(name), new.get(name)) for name in old.keys() | new.keys()}
        if changed:
            both = {name: pair for name, pair in both.items() if _digest(pair[0]) != _digest(pair[1])}
            if not both:
                return None
        async with self._turn:
            return await self._replay(
                {name: two for name, (_, two) in both.items()}, both, after, since, seconds
            )

    async def _replay(
        self,
        proposed: Mapping[str, Rule | None],
        both: Mapping[str, tuple[Rule | None, Rule | None]],
        catalog: Catalog,
        since: datetime,
        seconds: float,
    ) -> Seen:
        rules = {name: rule for name, rule in proposed.items() if rule is not None}
        now, ends = self._clock.now(), self._clock.monotonic() + seconds
        start = since - longest_window(rules.values())
        record = await self._record(start, now)
        replay = Replay(rules, await self._world(catalog), record, start)
        recorded = [one for one in record.incidents.values() if since <= one.opened_at <= now]
        told_by: dict[str, set[str]] = {}
        for one in recorded:
            told_by.setdefault(str(one.event["id"]), set()).add(one.rule)
        why_not: dict[str, dict[str, str]] = {}
        events, until, cut = 0, now, None
        async for page in self._events(start, now):
            for index in range(0, len(page), _SLICE):
                for event in page[index : index + _SLICE]:
                    came = replay.take(event)
                    for name in told_by.get(event.id, set()) & rules.keys():
                        why_not.setdefault(event.id, {})[name] = _why_not(rules[name], event, came)
                    events += event.time >= since
                # Whoever else runs here goes on meanwhile.
                await asyncio.sleep(0)
            if self._clock.monotonic() >= ends:
                until = page[-1].time
                cut = f"it took {seconds:g} s to come to {rfc3339(until)}: what came later was not looked at"
                break
        replay.pass_until(until)
        would = {name: one for name, one in replay.incidents.items() if one.opened_at >= since}
        seen = Replayed(would, frozenset(replay.unsure), why_not)
        then = [one for one in recorded if one.opened_at <= until]
        return Seen(since, until, events, cut, differences(then, seen, both))

    async def _events(self, since: datetime, until: datetime) -> AsyncIterator[list[Event]]:
        after: str | None = None
        while True:
            page, after = await self._bus.history(
                since=since, until=until, newest_first=False, limit=_PAGE, after=after
            )
            if page:
                yield page
            if after is None:
                return

    # ── one event ──

    async def explain(self, catalog: Catalog, event: Event, only: str | None) -> list[Explained]:
        """What became of it, for each rule to which it could have mattered, or for `only` one.

        Raises NotFound where there is no such rule, nor anything recorded of it.
        """
        rules = rules_of(catalog)
        wanted = {only} if only is not None else set(concerned(event, rules.values(), ()))
        looked = [rules[name] for name in wanted if name in rules]
        until = event.time + longest_window(looked) + _LATE
        record = await self._record(event.time, until, of={*wanted, event.id})
        names = [only] if only is not None else concerned(event, rules.values(), record.incidents.values())
        if only is not None and only not in rules and only not in {o.rule for o in record.incidents.values()}:
            raise NotFound(f"there is no Rule '{only}'")
        known = Known(rules, record, await self._world(catalog, at=event.time))
        found: list[Explained] = []
        for name in names:
            before = await self._before(event, rules.get(name))
            found.append(explained(event, name, known, before))
            await asyncio.sleep(0)
        return found

    async def _before(self, event: Event, rule: Rule | None) -> list[Event]:
        """What the rule may correlate with the event, oldest first."""
        if rule is None or rule.correlator is None or left_out(rule, event) is not None:
            return []
        after: str | None = None
        found: list[Event] = []
        while len(found) < _MOST_BEFORE:
            page, after = await self._bus.history(
                types=sorted(rule.correlator.types),
                since=event.time - longest_window([rule]),
                until=event.time + _MOMENT,
                limit=_PAGE,
                after=after,
            )
            found += (one for one in page if (one.time, one.id) < (event.time, event.id))
            if after is None:
                break
        return found[::-1]

    # ── what is recorded ──

    async def _world(self, catalog: Catalog, at: datetime | None = None) -> World:
        """at: with what is suspended since before then."""
        found = await self._kv.get(keys.HOSTS)
        hosts = Hosts.from_bytes(found.value).hosts if found is not None else {}
        suspended = {}
        if at is not None:
            prefix = keys.intent("rule", "")
            for entry in (await self._kv.scan(prefix)).entries:
                intent = Intent.from_bytes(entry.value)
                if intent.suspended and intent.at <= at:
                    suspended[entry.key.removeprefix(prefix)] = intent.by
        world = world_of(catalog, hosts, [], suspended)
        # When one that is declared began nobody knows: it counts where it is recorded.
        return replace(world, silences=())

    async def _record(self, start: datetime, until: datetime, of: Collection[str] = ()) -> Record:
        """Incidents that count between these moments, and how rules fare. of: only those that name one of these."""
        needles = [orjson.dumps(one) for one in of]
        first, last = ((at.timestamp() * 1000) for at in (start - _BEFORE, until))
        wanted = {key.removeprefix(keys.LIVE_INCIDENTS) for key in await self._kv.keys(keys.LIVE_INCIDENTS)}
        for key in await self._kv.keys(keys.INCIDENTS):
            incident_id = key.removeprefix(keys.INCIDENTS)
            moment = milliseconds_of(incident_id)
            if moment is not None and first <= moment <= last:
                wanted.add(incident_id)
        incidents: dict[str, Incident] = {}
        names = sorted(wanted)
        for index in range(0, len(names), _AT_ONCE):
            some = names[index : index + _AT_ONCE]
            for entry in await asyncio.gather(*(self._kv.get(keys.incident(one)) for one in some)):
                if entry is not None and _names(entry.value, needles):
                    incident = Incident.from_bytes(entry.value)
                    incidents[incident.id] = incident
        return Record(incidents, records_of((await self._kv.scan(keys.RULES)).entries))


def longest_window(rules: Iterable[Rule]) -> timedelta:
    """How long before a moment what came may still count at it."""
    shapes = (rule.correlator.shape for rule in rules if rule.correlator is not None)
    longest = max((timedelta(microseconds=one.within + one.slack) for one in shapes), default=timedelta(0))
    return min(longest, _LONGEST_WINDOW)


def _names(raw: bytes, needles: Sequence[bytes]) -> bool:
    """As JSON has it: what names none of them is not parsed. Large ones are compressed."""
    return not needles or not raw.startswith(b"{") or any(needle in raw for needle in needles)


def _digest(rule: Rule | None) -> str | None:
    return None if rule is None else rule.digest


def _why_not(rule: Rule, event: Event, came: Sequence[Came]) -> str:
    one = next((one for one in came if one.rule == rule.name), None)
    if one is not None and one.clauses:
        return f"{one.outcome}: {deciding(one.clauses)}"
    return deciding(left_out(rule, event) or ()) or "its events are not enough"
