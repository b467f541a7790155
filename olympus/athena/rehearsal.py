"""A RuleTest, rehearsed: its events go through the engine on a virtual clock, and what comes of it is compared with
what was expected. Pure: no clock, no I/O; a day takes as long as its events do.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from olympus.athena.coverage import Coverage, coverage_of
from olympus.athena.engine import Doing, Engine
from olympus.athena.expected import Entered, History, Started, flaws
from olympus.athena.model import Answered, Ask, Came, Fact, Look, RunEnded, StartRun, Tell, Unanswered, World
from olympus.athena.reasons import deciding, entries_of, left_out
from olympus.athena.replies import RUN_FINISHED, Replies
from olympus.athena.rules import Rule, roots_of, rule_of
from olympus.kernel.events import Event
from olympus.records.incident import Incident
from olympus.spec.duration import parse_duration
from olympus.spec.kinds.rule import Given, RuleTestSpec
from olympus.spec.loader import Path

START: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""Of the virtual clock."""

MAX_STEPS: Final = 100_000
"""Events and moments at which something is due, of one test."""

_OPEN: Final = frozenset({"asking", "open", "solving", "verifying"})
_MOMENT: Final = timedelta(seconds=1)
_SETTLES: Final = timedelta(minutes=1)
_UNSURE: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Failure:
    """What was expected and is not so. path: of the expectation, from the document; () of the test as a whole."""

    path: Path
    message: str


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What came of a test. steps: what it cost."""

    failures: tuple[Failure, ...]
    coverage: Coverage
    steps: int


def rehearse(name: str, raw: Mapping[str, Any], test: RuleTestSpec, nodes: Mapping[str, Any]) -> Rehearsed:
    """raw: the spec of the rule `name`, which is valid; nodes: name → labels, of the cluster."""
    stage = _Stage(_proceeding(name, raw), test, nodes)
    try:
        stage.play()
    except _TooLongError:
        what = f"more than {MAX_STEPS} things happen: give fewer events, or make the times shorter"
        return Rehearsed((Failure((), what),), stage.coverage, stage.steps)
    failures = (Failure(("spec", *path), message) for path, message in flaws(test, stage.history))
    return Rehearsed(tuple(failures), stage.coverage, stage.steps)


def _proceeding(name: str, raw: Mapping[str, Any]) -> Rule:
    """What nobody answers stops nothing."""
    asks = {one: {**ask, "unknown": "proceed"} for one, ask in (raw.get("ask") or {}).items()}
    return rule_of(name, {**raw, "ask": asks} if asks else raw)


class _TooLongError(Exception):
    pass


@dataclass(slots=True)
class _Stage:
    """Where one test is played."""

    rule: Rule
    test: RuleTestSpec
    nodes: Mapping[str, Any]
    now: datetime = START
    steps: int = 0
    history: History = field(init=False)
    coverage: Coverage = field(init=False)
    _engine: Engine = field(init=False)
    _replies: Replies = field(init=False)
    _answers: dict[str, Any] = field(init=False)
    _facts: deque[tuple[str, Fact]] = field(default_factory=deque)
    _states: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.history = History(START, self.rule.name)
        self.coverage = coverage_of(self.rule)
        self._answers = dict(self.test.answers)
        named = {one.node for one in self.test.given if one.node is not None}
        self._engine = Engine(explains=True)
        self._engine.take_world(World(nodes={name: {} for name in named} | dict(self.nodes)))

    def play(self) -> None:
        """All of it."""
        given = sorted(enumerate(self.test.given), key=lambda one: parse_duration(one[1].at))
        events = {index: _event(index, one) for index, one in given if one.event is not None}
        self._replies = Replies(events.values())
        self._engine.take_rules({self.rule.name: self.rule}, self.now)
        for index, one in given:
            self._pass_until(START + parse_duration(one.at))
            self._step()
            if index in events:
                self._happens(events[index])
            else:
                self._answers |= one.answers or {}
        self._settle()

    def _settle(self) -> None:
        """Until the last moment that the test speaks of, and until all that is open is over."""
        spoken = [one.at for one in self.test.given]
        spoken += [one.at for one in (*self.test.expect, *self.test.never) if one.at is not None]
        end = START + max(map(parse_duration, spoken)) + _MOMENT + _window(self.rule)
        self._pass_until(end)
        last = end + _ladder(self.rule)
        while self._is_open() and (due := self._engine.next_wake()) is not None and due <= last:
            self._wake(due)

    def _is_open(self) -> bool:
        return any(one.state in _OPEN for one in self._engine.live.values())

    def _pass_until(self, end: datetime) -> None:
        """All that is due before, and then it is that time."""
        while (due := self._engine.next_wake()) is not None and due < end:
            self._wake(due)
        self.now = max(self.now, end)

    def _wake(self, due: datetime) -> None:
        self._step()
        self.now = max(self.now, due)
        self._engine.wake(self.now)
        self._perform()

    def _step(self) -> None:
        self.steps += 1
        if self.steps > MAX_STEPS:
            raise _TooLongError

    # ── what happens ──

    def _happens(self, event: Event) -> None:
        self._replies.take(event)
        self._cover(event)
        came = self._engine.on_event(event, self.now)
        self.history.came(self.now, event, _why(self.rule, event, came))
        for one in came:
            self.coverage.add("when", one.clauses)
        if event.type == RUN_FINISHED:
            run = self._replies.ended(event)
            incident = self._engine.incident_of_run(run) if run is not None else None
            if run is not None and incident is not None:
                state, reason = str(event.data.get("state")), str(event.data.get("reason") or "")
                self._facts.append((incident, RunEnded(run, state, reason)))
        self._perform()

    def _cover(self, event: Event) -> None:
        roots = roots_of(event)
        for entry in entries_of(self.rule):
            if entry.where is not None and entry.fits(event.type):
                self.coverage.add("where", entry.where.evaluate(roots).clauses)
        for incident in self._engine.live.values():
            rung = incident.attempt.rung if incident.attempt is not None else -1
            if incident.state == "verifying" and rung >= 0:
                verify = self.rule.rung(rung, _seen_by(incident)).verify
                absent = verify.absent
                if absent is not None and absent.where is not None and absent.fits(event.type):
                    clauses = absent.where.evaluate({**roots, "event": incident.event}).clauses
                    self.coverage.add(f"solve[{rung}].verify.absent.where", clauses)

    # ── what follows ──

    def _perform(self) -> None:
        """What was decided, and what follows of that at once."""
        while True:
            doings = self._engine.take_effects()
            for doing in doings:
                if isinstance(doing.effect, Tell) and doing.effect.type == "incident-opened":
                    self._entered(doing.incident, "open")
            for incident in self._engine.take_incidents().values():
                self._entered(incident, incident.state)
            for doing in doings:
                self._do(doing)
            if not self._facts:
                return
            self._step()
            incident_id, fact = self._facts.popleft()
            self._cover_until(incident_id, fact)
            self._engine.on_fact(incident_id, fact, self.now)

    def _entered(self, incident: Incident, state: str) -> None:
        if self._states.get(incident.id) != state:
            self._states[incident.id] = state
            self.history.entered.append(Entered(self.now, incident, state))
            if state != "open":
                for ruling in incident.decisions:
                    self.coverage.add_value("when", ruling.clause, held=ruling.value is True)

    def _do(self, doing: Doing) -> None:
        incident, effect = doing.incident, doing.effect
        match effect:
            case StartRun():
                self.history.started.append(Started(self.now, effect.pipeline, effect.params, incident))
                if self._replies.ends_at_once(effect.run, effect.pipeline):
                    self._facts.append((incident.id, RunEnded(effect.run, "succeeded")))
            case Ask(question) if question.name in self._answers:
                self._facts.append((incident.id, Answered(question.name, self._answers[question.name])))
            case Ask(question):
                self._facts.append((incident.id, Unanswered(question.name, "the test has no answer to it")))
            case Look(None):
                self._facts.append((incident.id, self._replies.witness(incident.event)))
            case Look(dict() as state):
                self._facts.append((incident.id, self._replies.state(state)))

    def _cover_until(self, incident_id: str, fact: Fact) -> None:
        """An `until` is held against fresh answers once the last of them is there."""
        incident = self._engine.live.get(incident_id)
        if incident is None or incident.state != "verifying" or incident.attempt is None:
            return
        if not isinstance(fact, Answered | Unanswered) or incident.asked != (fact.name,):
            return
        fresh = {**incident.fresh, **({fact.name: fact.value} if isinstance(fact, Answered) else {})}
        condition = self.rule.rung(incident.attempt.rung, _seen_by(incident)).verify.condition
        if condition is not None:
            clauses = condition.evaluate({"event": incident.event, "answers": fresh}).clauses
            self.coverage.add(f"solve[{incident.attempt.rung}].verify.until", clauses)


def _event(index: int, given: Given) -> Event:
    at = START + parse_duration(given.at)
    return Event(f"given-{index}", str(given.event), "rehearsal", at, given.data, node=given.node)


def _why(rule: Rule, event: Event, came: Sequence[Came]) -> str:
    """What kept the rule from firing at an event; "" where nothing did."""
    if not came:
        return deciding(left_out(rule, event) or ())
    last = came[-1]
    return "" if last.outcome == "fired" else f"{last.outcome}: {deciding(last.clauses)}"


def _seen_by(incident: Incident) -> dict[str, Any]:
    return {"event": incident.event, "answers": incident.answers}


def _window(rule: Rule) -> timedelta:
    if rule.correlator is None:
        return timedelta(0)
    shape = rule.correlator.shape
    return timedelta(microseconds=shape.within + shape.slack)


def _ladder(rule: Rule) -> timedelta:
    """How long it takes at most."""
    asks = [one.get("timeout", "5s") for one in (rule.raw.get("ask") or {}).values()]
    texts = [*(rung["verify"]["within"] for rung in rule.raw["solve"]), *asks]
    return sum((_UNSURE if "${{" in text else parse_duration(text) for text in texts), _SETTLES)
