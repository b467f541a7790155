"""All rules against one stream of events: no clock, no I/O; the service and rehearsals drive it alike.

Tell it what happens (`on_event`, `on_fact`, `wake`), then take what is to be stored (`take_changes`) and to be done
(`take_effects`). What was told and not yet stored may be told again: it comes to the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from olympus.athena import budgets, core, windows
from olympus.athena.correlate import standing
from olympus.athena.index import Index
from olympus.athena.model import (
    Came,
    Candidate,
    Due,
    Effect,
    Fact,
    Gate,
    Joined,
    Resumed,
    Spent,
    Timer,
    Triggered,
    Worked,
    World,
)
from olympus.athena.open_windows import OpenWindows
from olympus.athena.rules import Rule, roots_of, rule_of
from olympus.athena.standing import Standing
from olympus.kernel.events import MAX_DEPTH, Event
from olympus.kernel.ids import derived_id
from olympus.kernel.timers import Timers
from olympus.records.incident import CLOSED, Incident, KeyRecord, Outcome, RuleRecord
from olympus.spec.expression import Clause


@dataclass(slots=True)
class Changes:
    """What is to be stored; None: it goes. windows and keys by (rule, key)."""

    incidents: dict[str, Incident] = field(default_factory=dict)
    rules: dict[str, RuleRecord] = field(default_factory=dict)
    keys: dict[tuple[str, str], KeyRecord | None] = field(default_factory=dict)
    windows: dict[tuple[str, str], Mapping[str, Any] | None] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.incidents or self.rules or self.keys or self.windows)


@dataclass(frozen=True, slots=True)
class Doing:
    """An effect, and the incident as it was when it was decided."""

    incident: Incident
    effect: Effect


class Engine:
    """known: whether an incident of that id is stored, so that an event that is told again opens no second one.

    explains: say of windows that are not complete how they stand, which costs time; may be set at any time
    """

    def __init__(self, known: Callable[[str], bool] = lambda _: False, *, explains: bool = False) -> None:
        self._known = known
        self.explains = explains
        self._index = Index(())
        self._world = World()
        self.rules: dict[str, Rule] = {}
        self.live: dict[str, Incident] = {}
        self.records: dict[str, RuleRecord] = {}
        self._of_key: dict[tuple[str, str], str] = {}
        self._of_run: dict[str, str] = {}
        self._keys: dict[tuple[str, str], KeyRecord] = {}
        self._standing = Standing(self.records, self._keys, self.live)
        self._timers: Timers[Timer] = Timers()
        self._windows = OpenWindows(self._timers)
        self._changes = Changes()
        self._doing: list[Doing] = []

    # ── what is there ──

    def take_rules(self, rules: Mapping[str, Rule], now: datetime) -> None:
        """Those of the catalog that is applied."""
        changed = {name for name, rule in rules.items() if self.rules.get(name) is not rule}
        gone = self.rules.keys() - rules.keys()
        before = self.rules
        self.rules = dict(rules)
        self._index = Index(self.rules.values())
        for name in changed | gone:
            old, new = before.get(name), self.rules.get(name)
            if old is not None and _shape(old) != _shape(new):
                self._windows.forget(name)
        for name in gone:
            self.records.pop(name, None)
        for name in sorted(changed):
            rule = self.rules[name]
            if rule.correlator is not None and not rule.correlator.by:
                self._look_at_window(rule, "", windows.Watched(), now)

    def take_world(self, world: World) -> None:
        self._world = world
        self._standing.world = world

    def load(
        self,
        incidents: Iterable[Incident],
        records: Iterable[RuleRecord] = (),
        keys: Iterable[KeyRecord] = (),
    ) -> None:
        """What the leader before has stored; before `take_rules`. Then `resume`."""
        self.records.update((one.rule, one) for one in records)
        for key in keys:
            self._keys[key.rule, key.key] = key
        for incident in incidents:
            self._keep(incident)

    def load_window(self, rule: Rule, key: str, raw: Mapping[str, Any], now: datetime) -> None:
        """After `take_rules`."""
        if self._windows.load(rule, key, raw):
            self._look_at_window(rule, key, windows.Due(), now)

    def resume(self, now: datetime) -> None:
        """Begin anew what may have been lost with the leader before."""
        for (rule, key), record in self._keys.items():
            self._time_key(rule, key, record)
        for incident in list(self.live.values()):
            self.on_fact(incident.id, Resumed(), now)

    def incident_of_run(self, run: str) -> str | None:
        return self._of_run.get(run)

    # ── what happens ──

    def on_event(self, event: Event, now: datetime) -> list[Came]:
        """What it came to, for each rule whose events it is one of (of those that `where` leaves out: nothing)."""
        came: list[Came] = []
        for rule in self._index.candidates(event):
            if rule.correlator is not None:
                came += self._correlated(rule, event, now)
            elif rule.on is not None and (rule.on.where is None or rule.on.where.holds(roots_of(event))):
                came.append(self._triggered(rule, event, (event.id,), None, now))
        self._held_against(event, now)
        return came

    def _held_against(self, event: Event, now: datetime) -> None:
        """What should stay away."""
        for incident in self._standing.waiting_for(event.type):
            self.on_fact(incident.id, Candidate(event), now)

    def on_fact(self, incident_id: str, fact: Fact, now: datetime) -> None:
        """About an incident that is not over; about others nothing follows."""
        incident = self.live.get(incident_id)
        if incident is not None:
            rule = rule_of(incident.rule, incident.spec, incident.revision)
            self._decide(incident, fact, rule, now)

    def on_closed(self, incident: Incident, fact: Fact, now: datetime) -> None:
        """People go on to say things about what is over."""
        rule = rule_of(incident.rule, incident.spec, incident.revision)
        made = core.decide(incident, fact, rule, Gate(), now)
        if made.state is not None and made.state != incident:
            self._changes.incidents[incident.id] = made.state

    def next_wake(self) -> datetime | None:
        return self._timers.next()

    def wake(self, now: datetime) -> None:
        """All that is due."""
        for kind, name, key in self._timers.due(now):
            if kind == "incident":
                self._incident_due(name, now)
            elif kind == "window" and name in self.rules:
                self._look_at_window(self.rules[name], key, windows.Due(), now)
            elif kind == "key":
                self._keys.pop((name, key), None)
                self._changes.keys[name, key] = None

    def _incident_due(self, incident_id: str, now: datetime) -> None:
        incident = self.live.get(incident_id)
        if incident is not None and incident.state in CLOSED:
            self._let_go(incident)
        else:
            self.on_fact(incident_id, Due(), now)

    # ── what is to be done ──

    def take_changes(self) -> Changes:
        changes, self._changes = self._changes, Changes()
        changes.windows = self._windows.take_changes(self.rules)
        return changes

    def take_incidents(self) -> Mapping[str, Incident]:
        """Of what has changed only these, where nothing is stored."""
        if not self._changes.incidents:
            return self._changes.incidents
        changes, self._changes = self._changes, Changes()
        return changes.incidents

    def take_effects(self) -> list[Doing]:
        """In order; after the changes are stored."""
        doing, self._doing = self._doing, []
        return doing

    # ── correlation ──

    def _correlated(self, rule: Rule, event: Event, now: datetime) -> list[Came]:
        correlator = rule.correlator
        part = correlator.part(event) if correlator is not None else None
        if correlator is None or part is None:
            return []
        if event.depth > MAX_DEPTH:
            return [self._came(rule, "limited", (_too_deep(event),), part.key)]
        made, triggers = self._windows.decide(rule, part.key, windows.Came(part.mark), now)
        if not triggers:
            clauses = standing(correlator, part, made) if self.explains else ()
            return [Came(rule.name, "false", clauses, part.key)]
        return [self._triggered(rule, *one, part.key, now) for one in triggers]

    def _look_at_window(self, rule: Rule, key: str, fact: windows.WindowFact, now: datetime) -> None:
        """Time has passed, or it is begun."""
        for one in self._windows.decide(rule, key, fact, now)[1]:
            self._triggered(rule, *one, key, now)

    # ── from events to incidents ──

    def _triggered(
        self, rule: Rule, event: Event, ids: tuple[str, ...], joined: str | None, now: datetime
    ) -> Came:
        if event.depth > MAX_DEPTH:
            return self._came(rule, "limited", (_too_deep(event),), joined or "")
        key = rule.key(event, joined)
        if isinstance(key, Clause):
            return self._came(rule, "missing", (key,))
        clauses = self._matched(rule, event, joined)
        gate = self._standing.gate(rule, key, event.node, now)
        before = self._open(rule, key, gate)
        if before is not None:
            self.on_fact(before.id, Joined(ids), now)
            said = f"incident {before.id} is {before.state}"
            return self._came(
                rule, "duplicate", (*clauses, Clause(f"key {key}", "true", said)), key, incident=before.id
            )
        incident_id = derived_id(int(event.time.timestamp() * 1000), f"{rule.name}/{key}/{event.id}")
        if self._known(incident_id):
            return Came(rule.name, "duplicate", clauses, key, incident_id)
        if (by := self._standing.suspended(rule.name)) is not None:
            return self._came(rule, "silenced", (*clauses, Clause("suspended", "true", by)), key)
        return self._opened(rule, Triggered(incident_id, key, event, ids, clauses), gate, now)

    def _opened(self, rule: Rule, fact: Triggered, gate: Gate, now: datetime) -> Came:
        clauses, key = fact.clauses, fact.key
        if gate.silenced is None and not rule.asks and rule.when is not None:
            # Nothing is stored of what does not hold: it would be most of what comes.
            verdict = rule.when.evaluate({"event": fact.event.to_json(), "answers": {}})
            clauses = (*clauses, *verdict.clauses)
            if not verdict.value:
                return self._came(rule, _outcome(verdict.clauses), clauses, key)
        if gate.silenced is None and gate.limited is not None:
            return self._came(rule, "limited", (*clauses, Clause("limits", "false", gate.limited)), key)
        self._decide(None, fact, rule, now, gate)
        if gate.silenced is not None:
            clauses = (*clauses, Clause("silence", "true", gate.silenced))
            return self._came(rule, "silenced", clauses, key, incident=fact.incident)
        return self._came(rule, "fired", clauses, key, incident=fact.incident, fired_at=now)

    def _matched(self, rule: Rule, event: Event, joined: str | None) -> tuple[Clause, ...]:
        if rule.on is not None:
            where = rule.on.where
            return () if where is None else where.evaluate(roots_of(event)).clauses
        text = rule.correlator.text if rule.correlator is not None else ""
        return (Clause(text, "true", f"it is enough{f' for {joined}' if joined else ''}"),)

    def _open(self, rule: Rule, key: str, gate: Gate) -> Incident | None:
        """The incident that takes in what comes with this key."""
        found = self.live.get(self._of_key.get((rule.name, key), ""))
        if found is not None and found.state == "silenced" and gate.silenced is None:
            # After a silence what comes is new.
            self._let_go(found)
            return None
        return found

    def _came(  # noqa: PLR0913 - what it says
        self,
        rule: Rule,
        outcome: Outcome,
        clauses: tuple[Clause, ...],
        key: str = "",
        *,
        incident: str | None = None,
        fired_at: datetime | None = None,
    ) -> Came:
        record = self._standing.record(rule.name)
        counts = {**record.outcomes, outcome: record.outcomes.get(outcome, 0) + 1}
        fired = {"last_fired": fired_at} if fired_at is not None else {}
        self._record(record.model_copy(update={"outcomes": counts, **fired}))
        return Came(rule.name, outcome, clauses, key, incident)

    # ── one incident ──

    def _decide(
        self, before: Incident | None, fact: Fact, rule: Rule, now: datetime, gate: Gate | None = None
    ) -> None:
        if gate is None and before is not None:
            gate = self._standing.gate(rule, before.key, before.node, now, of=before)
            if rule.name not in self.rules:
                gate = Gate(silenced=f"rule '{rule.name}' is gone")
        made = core.decide(before, fact, rule, gate or Gate(), now)
        if made.state is None:
            return
        incident = made.state
        # What is only begun anew changes nothing, and is to be done all the same.
        if incident is not before:
            self._changes.incidents[incident.id] = incident
            self._keep(incident)
        for effect in made.effects:
            if isinstance(effect, Spent):
                self._spend(rule, incident, now, otherwise=effect.otherwise)
            elif isinstance(effect, Worked):
                self._worked(rule, effect)
            else:
                self._doing.append(Doing(incident, effect))

    def _keep(self, incident: Incident) -> None:
        """Known while something may follow by itself, or while it takes in what comes."""
        if incident.state in CLOSED and incident.wake_at is None:
            self._let_go(incident)
            return
        self.live[incident.id] = incident
        self._standing.watch(incident)
        self._of_key[incident.rule, incident.key] = incident.id
        for attempt in incident.attempts:
            if attempt.state:
                self._of_run.pop(attempt.run, None)
            else:
                self._of_run[attempt.run] = incident.id
        timer = ("incident", incident.id, "")
        if incident.wake_at is None:
            self._timers.cancel(timer)
        else:
            self._timers.set(timer, incident.wake_at)

    def _let_go(self, incident: Incident) -> None:
        self.live.pop(incident.id, None)
        self._standing.unwatch(incident)
        self._timers.cancel(("incident", incident.id, ""))
        if self._of_key.get((incident.rule, incident.key)) == incident.id:
            del self._of_key[incident.rule, incident.key]
        for attempt in incident.attempts:
            self._of_run.pop(attempt.run, None)
        # Stored as gone from what a new leader has to read.
        self._changes.incidents.setdefault(incident.id, incident)

    def _spend(self, rule: Rule, incident: Incident, now: datetime, *, otherwise: bool) -> None:
        record = self._standing.record(rule.name)
        self._record(budgets.counted(record, None if otherwise else incident.node, now))
        if otherwise or not budgets.matters(rule.limits):
            return
        at = (rule.name, incident.key)
        known = self._keys.get(at) or KeyRecord(rule=rule.name, key=incident.key)
        self._keys[at] = self._changes.keys[at] = counted = budgets.counted_key(known, rule, now)
        self._time_key(rule.name, incident.key, counted)

    def _time_key(self, rule: str, key: str, record: KeyRecord) -> None:
        known = self.rules.get(rule)
        over = budgets.forgotten_at(record, known.limits) if known is not None else None
        if over is not None:
            self._timers.set(("key", rule, key), over)

    def _worked(self, rule: Rule, effect: Worked) -> None:
        record = self._standing.record(rule.name)
        tried = {**record.tried, effect.pipeline: record.tried.get(effect.pipeline, 0) + 1}
        helped = record.verified.get(effect.pipeline, 0) + effect.verified
        verified = {**record.verified, effect.pipeline: helped}
        self._record(record.model_copy(update={"tried": tried, "verified": verified}))

    def _record(self, record: RuleRecord) -> None:
        self.records[record.rule] = self._changes.rules[record.rule] = record


def _shape(rule: Rule | None) -> str:
    return rule.correlator.shape.digest if rule is not None and rule.correlator is not None else ""


def _outcome(clauses: Iterable[Clause]) -> Outcome:
    return "missing" if any(clause.value == "missing" for clause in clauses) else "false"


def _too_deep(event: Event) -> Clause:
    return Clause("depth", "false", f"{event.depth} events have caused each other, {MAX_DEPTH} are allowed")
