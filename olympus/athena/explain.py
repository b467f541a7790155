"""What became of one event, for a rule: from what is recorded, else by deciding it again as things stood then. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from olympus.athena.draft import MAX_EVENTS
from olympus.athena.model import Came, World
from olympus.athena.past import NEVER, let_go_at
from olympus.athena.reasons import deciding, entries_of, left_out, outcome_of
from olympus.athena.replay import Record, Replay
from olympus.athena.rules import Rule
from olympus.kernel.clock import rfc3339
from olympus.kernel.events import Event
from olympus.records.incident import Incident, Outcome, Ruling
from olympus.spec.expression import Clause, Truth

_LAST_DECIDES = frozenset({"silenced", "limited", "duplicate"})


@dataclass(frozen=True, slots=True)
class Explained:
    """because: what decided it, in words. incident: that it opened, or that took it in."""

    rule: str
    outcome: Outcome
    because: str
    clauses: tuple[Clause, ...] = ()
    incident: str | None = None

    def to_json(self) -> dict[str, Any]:
        """As programs see it."""
        clauses = [{"clause": one.text, "value": one.value, "because": one.because} for one in self.clauses]
        return {
            "rule": self.rule,
            "outcome": self.outcome,
            "because": self.because,
            "incident": self.incident,
            "clauses": clauses,
        }


@dataclass(frozen=True, slots=True)
class Known:
    """rules: as they are applied now; record, world: of the event's time."""

    rules: Mapping[str, Rule]
    record: Record
    world: World


def concerned(event: Event, rules: Iterable[Rule], incidents: Iterable[Incident]) -> list[str]:
    """The names of rules to which the event could have mattered: by its type, or since they have it recorded."""
    names = {rule.name for rule in rules if any(entry.fits(event.type) for entry in entries_of(rule))}
    return sorted(names | {one.rule for one in incidents if event.id in _events(one)})


def explained(event: Event, name: str, known: Known, before: Sequence[Event]) -> Explained:
    """For the rule of that name. before: events that it may correlate with this one, oldest first."""
    rule = known.rules.get(name)
    recorded = [one for one in known.record.incidents.values() if one.rule == name]
    opened = next((one for one in recorded if one.event.get("id") == event.id), None)
    if opened is not None:
        return _opened(opened, rule)
    part_of = next((one for one in recorded if event.id in one.events), None)
    if part_of is not None:
        return _part_of(part_of, event)
    if rule is None:
        return Explained(name, "false", "the rule is gone, and nothing is recorded of it and this event")
    clauses = left_out(rule, event)
    if clauses is not None:
        return Explained(name, outcome_of(clauses), deciding(clauses), clauses)
    return _decided_again(event, rule, known, before)


def _events(incident: Incident) -> set[str]:
    return {str(incident.event.get("id")), *incident.events}


# ── what is recorded ──


def _opened(incident: Incident, rule: Rule | None) -> Explained:
    clauses = tuple(_clauses(incident.decisions))
    if rule is None or rule.raw != incident.spec:
        said = "the rule was changed since" if rule is not None else "the rule is gone since"
        clauses = (
            Clause("rule", "true", f"{said}: this is what it was in {incident.revision[:7]}"),
            *clauses,
        )
    if incident.state == "dismissed":
        last = incident.decisions[-1].clause if incident.decisions else ""
        outcome: Outcome = "limited" if last == "limits" else outcome_of(clauses)
        return Explained(incident.rule, outcome, deciding(clauses), clauses)
    silenced = [one for one in incident.decisions if one.clause == "silence" and one.at == incident.opened_at]
    if silenced:
        clause = Clause("silence", "true", silenced[0].because)
        return Explained(incident.rule, "silenced", silenced[0].because, (*clauses, clause), incident.id)
    return Explained(incident.rule, "fired", f"{_called(incident)} is {incident.state}", clauses, incident.id)


def _clauses(decisions: Iterable[Ruling]) -> Iterable[Clause]:
    """Those that decided whether anything is done; what was done is the incident's to tell."""
    for one in decisions:
        if one.clause.startswith(("solve[", "silence", "escalate")):
            return
        yield Clause(one.clause, _truth(one.value), one.because)


def _truth(value: Any) -> Truth:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "missing"


def _part_of(incident: Incident, event: Event) -> Explained:
    said = f"{_called(incident)} has it"
    if (event.time, event.id) <= _order(incident):
        said = f"it is one of those that made {_called(incident)}, which is {incident.state}"
        return Explained(incident.rule, "fired", said, tuple(_clauses(incident.decisions)), incident.id)
    clause = _taken_in(incident)
    return Explained(incident.rule, "duplicate", f"{said}: {clause.because}", (clause,), incident.id)


def _order(incident: Incident) -> tuple[Any, str]:
    opened = Event.from_json(incident.event)
    return opened.time, opened.id


def _called(incident: Incident) -> str:
    return f"incident {incident.id}"


def _taken_in(incident: Incident) -> Clause:
    ends = let_go_at(incident)
    until = f"it was open until {rfc3339(ends)}" if ends is not NEVER else f"it is {incident.state}"
    key = f" {incident.key}" if incident.key else ""
    return Clause(f"key{key}", "true", f"{_called(incident)} takes in what comes with this key; {until}")


# ── what is not ──


def _decided_again(event: Event, rule: Rule, known: Known, before: Sequence[Event]) -> Explained:
    before = _joined(rule, event, before)
    fired: Came | None = None
    # When it was taken in is not recorded: at the first of these moments that fits what is.
    for late in _TAKEN_IN:
        came = _came(event, rule, known, before, event.time + late)
        if came is None:
            return Explained(rule.name, "false", "it takes no part")
        taken = known.record.incidents.get(came.incident or "")
        if came.outcome == "fired":
            fired = fired or came
        elif came.outcome != "duplicate" or taken is None:
            last = came.outcome in _LAST_DECIDES and came.clauses
            because = came.clauses[-1].because if last else deciding(came.clauses)
            return Explained(rule.name, came.outcome, because, came.clauses, came.incident)
        elif len(taken.events) >= MAX_EVENTS:
            # Not all that joined are listed.
            clause = _taken_in(taken)
            clauses = (*came.clauses[:-1], clause)
            return Explained(rule.name, "duplicate", clause.because, clauses, taken.id)
    return _not_recorded(rule, fired.clauses if fired is not None else ())


_TAKEN_IN: Final = (timedelta(0), timedelta(milliseconds=50), timedelta(seconds=1), timedelta(seconds=30))


def _came(event: Event, rule: Rule, known: Known, before: Sequence[Event], arrived: datetime) -> Came | None:
    start = min((one.time for one in before), default=arrived) - timedelta(microseconds=1)
    replay = Replay({rule.name: rule}, known.world, known.record, start)
    for one in before:
        replay.take(one)
    replay.pass_until(arrived)
    return next((one for one in replay.explain(event) if one.rule == rule.name), None)


def _joined(rule: Rule, event: Event, before: Sequence[Event]) -> list[Event]:
    """Those that have the event's window in common with it."""
    correlator = rule.correlator
    part = correlator.part(event) if correlator is not None else None
    if correlator is None or part is None:
        return []
    return [one for one in before if (its := correlator.part(one)) is not None and its.key == part.key]


def _not_recorded(rule: Rule, clauses: tuple[Clause, ...]) -> Explained:
    said = (
        "as the rule is now it would fire, but no incident is recorded: it was not applied yet, it was suspended, "
        "or its events are not taken in yet"
    )
    return Explained(rule.name, "false", said, (*clauses, Clause("recorded", "missing", said)))
