"""Athena's engine on a virtual clock, with a world that does what its effects say when it is told to."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import yaml

from olympus.athena.engine import Engine
from olympus.athena.model import (
    Answered,
    Ask,
    Came,
    Fact,
    Look,
    Looked,
    RunEnded,
    Silence,
    StartRun,
    Tell,
    Unanswered,
    Watch,
    World,
)
from olympus.athena.rules import rule_of
from olympus.kernel.events import Event
from olympus.records.incident import Incident
from olympus.spec.kinds.rule import RuleSpec
from olympus.testing.clock import VirtualClock
from olympus.testing.runs import YamlLoader

GUARD = """
on: {event: olympus.argos.match, where: "data.name == 'bad-login'"}
solve:
  - pipeline: block-ip
    params: {ip: "${{ event.data.groups.ip }}"}
    verify: {absent: {event: olympus.argos.match, where: "data.groups.ip == event.data.groups.ip"}, within: 2m}
  - pipeline: isolate-node
    verify: {until: {check: ssh-up, state: passing}, within: 5m}
otherwise: {pipeline: page-on-call}
limits: {by: data.groups.ip}
"""


class Story:
    """`runs` are those that were started and are not over; `told` the types of events; `stored` what would be kept."""

    def __init__(self, *nodes: str, **specs: str) -> None:
        self.clock = VirtualClock()
        self.begun = self.clock.now()
        self.stored: dict[str, Incident] = {}
        self.runs: dict[str, StartRun] = {}
        self.started: list[StartRun] = []
        self.asks: dict[str, tuple[str, Ask]] = {}
        self.looks: list[tuple[str, Look]] = []
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.count = 0
        self.events: list[Event] = []
        self.world = World(nodes={name: {} for name in nodes or ("web-1", "web-2", "web-3")})
        self.specs = specs
        self.engine = self._engine()

    def _engine(self) -> Engine:
        engine = Engine(known=self.stored.__contains__, explains=True)
        engine.take_world(self.world)
        return engine

    def rules(self, **specs: str) -> Story:
        self.specs = specs or self.specs
        raw = {name: yaml.load(text, Loader=YamlLoader) for name, text in self.specs.items()}
        valid = {name: RuleSpec.model_validate(spec).to_json() for name, spec in raw.items()}
        self.engine.take_rules({name: rule_of(name, spec) for name, spec in valid.items()}, self.now)
        self._perform()
        return self

    @property
    def now(self) -> datetime:
        return self.clock.now()

    # ── what happens ──

    def event(
        self, type_: str = "olympus.argos.match", node: str | None = "web-1", **data: Any
    ) -> list[Came]:
        self.count += 1
        depth = data.pop("depth", 0)
        event = Event(f"e{self.count}", type_, "test", self.now, data, node=node, depth=depth)
        return self.tell_event(event)

    def tell_event(self, event: Event) -> list[Came]:
        self.events.append(event)
        came = self.engine.on_event(event, self.now)
        self._perform()
        return came

    def login(self, ip: str = "203.0.113.7", node: str = "web-1") -> list[Came]:
        return self.event(name="bad-login", node=node, groups={"ip": ip})

    def fact(self, fact: Fact, incident: str | None = None) -> None:
        self.engine.on_fact(incident or self.incident.id, fact, self.now)
        self._perform()

    def end_run(self, state: str = "succeeded", message: str = "") -> StartRun:
        """The oldest one."""
        run = next(iter(self.runs))
        start = self.runs.pop(run)
        incident = self.engine.incident_of_run(run)
        assert incident is not None
        self.fact(RunEnded(run, state, message), incident)
        return start

    def answer(self, name: str, value: Any) -> None:
        incident, _ = self.asks.pop(name)
        self.fact(Answered(name, value), incident)

    def no_answer(self, name: str, reason: str = "nobody answered within 5s") -> None:
        incident, _ = self.asks.pop(name)
        self.fact(Unanswered(name, reason), incident)

    def look(self, value: bool, because: str = "it looks so") -> None:
        incident, _ = self.looks.pop(0)
        self.fact(Looked(value, because), incident)

    def silence(self, *rules: str, minutes: float = 30, selector: str = "", labels: Any = None) -> None:
        until = self.now + timedelta(minutes=minutes)
        silence = Silence("maintenance", frozenset(rules), selector, until, "we work on it")
        self.world = World(labels or self.world.nodes, (silence,))
        self.engine.take_world(self.world)

    def suspend(self, *rules: str) -> None:
        self.world = World(self.world.nodes, suspended=dict.fromkeys(rules, "ann"))
        self.engine.take_world(self.world)

    def passes(self, seconds: float = 0, **more: float) -> None:
        """Time, with all that is due meanwhile; whoever is asked whether they live says yes."""
        end = self.now + timedelta(seconds=seconds, **more)
        while (soonest := self.engine.next_wake()) is not None and soonest <= end:
            self.clock.advance(max(0.0, (soonest - self.now).total_seconds()))
            self.engine.wake(self.now)
            self._perform()
        self.clock.advance((end - self.now).total_seconds())

    def restart(self) -> None:
        """Another leader takes over: it knows what is stored, as bytes."""
        live = [
            Incident.from_bytes(one.to_bytes()) for one in self.stored.values() if one.id in self.live_ids
        ]
        records, keys = self.engine.records.values(), list(self.engine._keys.values())
        self.engine = self._engine()
        self.engine.load(live, list(records), keys)
        self.rules()
        self.engine.resume(self.now)
        self._perform()

    # ── what came of it ──

    @property
    def live_ids(self) -> set[str]:
        return set(self.engine.live)

    @property
    def incident(self) -> Incident:
        """The newest."""
        return max(self.stored.values(), key=lambda one: (one.opened_at, one.id))

    @property
    def state(self) -> str:
        return self.incident.state

    def because(self) -> str:
        """Of the last decision."""
        return self.incident.decisions[-1].because

    @property
    def pipelines(self) -> list[str]:
        return [one.pipeline for one in self.started]

    def _perform(self) -> None:
        self.stored.update(self.engine.take_changes().incidents)
        for doing in self.engine.take_effects():
            effect, incident = doing.effect, doing.incident
            match effect:
                case StartRun():
                    self.runs[effect.run] = effect
                    self.started.append(effect)
                case Watch(start):
                    self.runs[start.run] = start
                case Ask(question):
                    self.asks[question.name] = (incident.id, effect)
                case Look():
                    self.looks.append((incident.id, effect))
                case Tell(type_, data):
                    self.told.append((type_, dict(data)))
