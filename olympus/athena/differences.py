"""A replay beside what happened: which incidents there would be more, no longer, or decided otherwise. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias

from olympus.athena.rules import Rule
from olympus.kernel.clock import rfc3339
from olympus.records.incident import HIDDEN, Incident

Change: TypeAlias = Literal["added", "changed", "removed", "unchanged"]

LISTED: Final = 50
"""So many incidents of a rule are told of one by one; the others are counted."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What `Replay` came to. why_not: event → rule → why it would open nothing for it."""

    incidents: Mapping[str, Incident]
    unsure: frozenset[str]
    why_not: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(slots=True)
class OfRule:
    """fired: incidents that are recorded; fires: that there would be; same: that there are, and would be just so.

    unsure: of `fires`' absence or presence nobody can tell, since nobody was asked then
    """

    rule: str
    change: Change
    fired: int = 0
    fires: int = 0
    same: int = 0
    unsure: int = 0
    starts: list[dict[str, Any]] = field(default_factory=list)
    stops: list[dict[str, Any]] = field(default_factory=list)
    differs: list[dict[str, Any]] = field(default_factory=list)
    runs: Counter[tuple[str, str]] = field(default_factory=Counter)

    def to_json(self) -> dict[str, Any]:
        """As programs see it."""
        runs = [
            {"pipeline": one, "node": node or None, "count": n}
            for (one, node), n in sorted(self.runs.items())
        ]
        lists = {"starts": self.starts, "stops": self.stops, "differs": self.differs}
        return {
            "rule": self.rule,
            "change": self.change,
            "fired": self.fired,
            "fires": self.fires,
            "same": self.same,
            "unsure": self.unsure,
            "runs": runs,
            **{name: found[:LISTED] for name, found in lists.items()},
            "counts": {name: len(found) for name, found in lists.items()},
        }


def differences(
    recorded: Iterable[Incident], replayed: Replayed, rules: Mapping[str, tuple[Rule | None, Rule | None]]
) -> list[OfRule]:
    """By rule, in order of their names. rules: those that are looked at, as they are and as they would be."""
    found = {name: OfRule(name, _change(*both)) for name, both in sorted(rules.items())}
    then = [one for one in recorded if one.rule in found and one.state not in HIDDEN]
    now = [one for one in replayed.incidents.values() if one.rule in found]
    pairs = _Pairs(now)
    paired: set[str] = set()
    for was in sorted(then, key=lambda one: one.opened_at):
        of = found[was.rule]
        of.fired += 1
        would = pairs.of(was)
        if would is None or would.state in HIDDEN:
            if would is not None:
                paired.add(would.id)
            of.unsure += would is not None and would.id in replayed.unsure
            of.stops.append({**_told(was), "because": _why_not(was, would, replayed, rules[was.rule][1])})
            continue
        paired.add(would.id)
        other = _differs(was, would, clauses=of.change == "unchanged")
        if other is None:
            of.same += 1
        else:
            of.differs.append({**_told(would), "because": other})
    for would in sorted(now, key=lambda one: one.opened_at):
        of = found[would.rule]
        if would.id not in paired:
            of.unsure += would.id in replayed.unsure
            if would.state not in HIDDEN:
                of.starts.append(_told(would))
        if would.state not in HIDDEN:
            of.fires += 1
            of.runs.update((attempt.pipeline, would.node or "") for attempt in would.attempts)
    return list(found.values())


class _Pairs:
    """Which incident would be in another's place: the same one, or one that takes in the same events."""

    def __init__(self, incidents: Iterable[Incident]) -> None:
        self._ids: dict[str, Incident] = {}
        self._events: dict[tuple[str, str], Incident] = {}
        for one in incidents:
            self._ids[one.id] = one
            for event in (str(one.event["id"]), *one.events):
                self._events.setdefault((one.rule, event), one)

    def of(self, was: Incident) -> Incident | None:
        events = (str(was.event["id"]), *was.events)
        found = (self._events.get((was.rule, event)) for event in events)
        return self._ids.get(was.id) or next((one for one in found if one is not None), None)


def _change(before: Rule | None, after: Rule | None) -> Change:
    if before is None:
        return "added"
    if after is None:
        return "removed"
    return "unchanged" if before.digest == after.digest else "changed"


def _told(incident: Incident) -> dict[str, Any]:
    return {
        "incident": incident.id,
        "at": rfc3339(incident.opened_at),
        "key": incident.key,
        "node": incident.node,
        "event": incident.event["id"],
        "state": incident.state,
        "runs": [attempt.pipeline for attempt in incident.attempts],
    }


def _why_not(was: Incident, would: Incident | None, replayed: Replayed, rule: Rule | None) -> str:
    if rule is None:
        return "the rule is gone"
    if would is not None:
        against = [one for one in would.decisions if one.value is not True] or would.decisions[-1:]
        return "; ".join(f"{one.clause}: {one.because}" for one in against)
    return replayed.why_not.get(str(was.event["id"]), {}).get(was.rule, "its events are not enough")


def _differs(was: Incident, would: Incident, *, clauses: bool) -> str | None:
    """The first decision that is another; None where all are the same. clauses: each of them counts."""
    before, after = (_decisions(one, clauses=clauses) for one in (was, would))
    for old, new in zip(before, after, strict=False):
        if old != new:
            return f"then {_words(old)}, now {_words(new)}"
    if len(before) != len(after):
        more = before[len(after) :] or after[len(before) :]
        return f"{'then' if len(before) > len(after) else 'now'} also {_words(more[0])}"
    return None


def _decisions(incident: Incident, *, clauses: bool) -> Sequence[tuple[str, Any]]:
    # A changed rule has other clauses; what matters is what follows of them.
    decided = [(one.clause, one.value) for one in incident.decisions] if clauses else []
    started = [(f"run {one.pipeline}", dict(one.params)) for one in incident.attempts]
    return [*decided, *started, ("state", incident.state)]


def _words(decision: tuple[str, Any]) -> str:
    clause, value = decision
    if isinstance(value, bool):
        return f"{clause}: {str(value).lower()}"
    return f"{clause} {value}" if value else clause


def summary(found: Sequence[OfRule], since: datetime, events: int) -> list[str]:
    """A line for each rule that would do otherwise than it did; one in all where none would."""
    of = f"of {events} events since {rfc3339(since)}"
    lines = [line for one in found if (line := _line(one)) is not None]
    return [f"{line}, {of}" for line in lines] or [f"no rule would have done otherwise {of}"]


def _line(one: OfRule) -> str | None:
    told = [
        *([f"{len(one.starts)} more would be"] if one.starts else []),
        *([f"{len(one.stops)} would not be"] if one.stops else []),
        *([f"{len(one.differs)} would be decided otherwise"] if one.differs else []),
        *([f"{one.unsure} hang on answers that nobody gave"] if one.unsure else []),
    ]
    if not told:
        return None
    runs = ", ".join(f"{name} on {node or 'no node'} × {n}" for (name, node), n in one.runs.most_common(5))
    would = f"; it would run {runs}" if runs else ""
    were = f"{one.fired} {'incident was' if one.fired == 1 else 'incidents were'}"
    return f"rule {one.rule} ({one.change}): {were}, {', '.join(told)}{would}"
