"""Events that were, held against rules that may be: what would have followed, on a virtual clock. Pure, no effects.

The world replies as it did: an incident that is recorded gets its answers, the ends of its runs and what was found of
its remedies when it got them then. Of what is not recorded nobody knows: there a run succeeds at once, and how things
stood is what events told of it. Silences and suspensions hold where they are recorded.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import count
from typing import Any, Final

from olympus.athena import recorded
from olympus.athena.engine import Doing, Engine
from olympus.athena.model import (
    Acked,
    Ask,
    Came,
    Fact,
    Look,
    Looked,
    RunEnded,
    StartRun,
    Unanswered,
    World,
)
from olympus.athena.past import past_at
from olympus.athena.recorded import Reply
from olympus.athena.replies import Replies
from olympus.athena.rules import Rule
from olympus.kernel.events import Event
from olympus.records.incident import Attempt, Incident, RuleRecord
from olympus.spec.event_data import INCIDENT_ACKNOWLEDGED

_LAST_RESORT: Final = -1


@dataclass(frozen=True, slots=True)
class Record:
    """incidents: those opened since, and those before that past_at needs. rules: how they fare now."""

    incidents: Mapping[str, Incident] = field(default_factory=dict)
    rules: Mapping[str, RuleRecord] = field(default_factory=dict)


class Replay:
    """Take events in order, from `start` on, then `pass_until` the end.

    incidents: what came of it, by id. unsure: those that hang on answers which nobody gave
    """

    def __init__(
        self,
        rules: Mapping[str, Rule],
        world: World,
        record: Record,
        start: datetime,
    ) -> None:
        self.incidents: dict[str, Incident] = {}
        self.unsure: set[str] = set()
        self.events = 0
        self._rules = rules
        self._world = world
        self._record = record
        self._now = start
        self._engine = Engine()
        self._engine.take_world(world)
        past = past_at(start, record.incidents.values(), rules, record.rules)
        self._before = {one.id for one in past.incidents}
        self._engine.load(past.incidents, past.rules, past.keys)
        self._engine.take_rules(rules, start)
        self._engine.resume(start)
        self._replies = Replies(())
        self._arrived: dict[str, datetime] = {}
        self._silenced: dict[str, dict[str, str]] = {}
        for one in record.incidents.values():
            self._remember(one)
        self._facts: list[tuple[datetime, int, str, int | None, Fact]] = []
        self._order = count()
        self._looked: set[tuple[str, int]] = set()

    def _remember(self, incident: Incident) -> None:
        """When its event was taken in, and what silenced it then."""
        event = str(incident.event.get("id"))
        known = self._arrived.get(event)
        self._arrived[event] = min(known, incident.opened_at) if known is not None else incident.opened_at
        because = recorded.silence(incident, incident.opened_at)
        if because is not None:
            self._silenced.setdefault(event, {})[incident.rule] = because

    # ── what happens ──

    def take(self, event: Event) -> list[Came]:
        """What it would have come to."""
        self.events += 1
        arrived = self._arrived.get(event.id)
        self.pass_until(event.time if arrived is None else max(arrived, event.time))
        self._replies.take(event)
        if event.type == INCIDENT_ACKNOWLEDGED:
            self._engine.on_fact(str(event.data.get("incident")), Acked(str(event.data.get("by"))), self._now)
        held = self._silenced.get(event.id)
        if held is None:
            came = self._engine.on_event(event, self._now)
        else:
            self._engine.take_world(replace(self._world, held=held))
            came = self._engine.on_event(event, self._now)
            self._engine.take_world(self._world)
        self._perform()
        return came

    def explain(self, event: Event) -> list[Came]:
        """As `take`, with how windows stand."""
        self._engine.explains = True
        try:
            return self.take(event)
        finally:
            self._engine.explains = False

    def pass_until(self, end: datetime) -> None:
        """All that is due before, and then it is that time."""
        while True:
            due = self._engine.next_wake()
            reply = self._facts[0][0] if self._facts else None
            if reply is not None and reply <= end and (due is None or reply <= due):
                self._reply()
            elif due is not None and due < end:
                self._now = max(self._now, due)
                self._engine.wake(self._now)
                self._perform()
            else:
                break
        self._now = max(self._now, end)

    def _reply(self) -> None:
        at, _, incident_id, rung, fact = heapq.heappop(self._facts)
        self._now = max(self._now, at)
        incident = self._engine.live.get(incident_id)
        if incident is None:
            return
        of = incident.attempt.rung if incident.attempt is not None else None
        # What was found of one remedy says nothing of the next.
        if isinstance(fact, Looked) and of != rung:
            return
        known = self._record.incidents.get(incident_id)
        because = recorded.silence(known, self._now) if known is not None else None
        if because is not None:
            self._engine.take_world(replace(self._world, held={incident.rule: because}))
        self._engine.on_fact(incident_id, fact, self._now)
        if because is not None:
            self._engine.take_world(self._world)
        self._perform()

    # ── what follows ──

    def _perform(self) -> None:
        for name, incident in self._engine.take_incidents().items():
            if name not in self._before:
                self.incidents[name] = incident
        for doing in self._engine.take_effects():
            self._do(doing)

    def _do(self, doing: Doing) -> None:
        incident = doing.incident
        match doing.effect:
            case StartRun() as start:
                self._started(incident, start)
            case Ask(question):
                self._asked(incident, question.name)
            case Look(state):
                self._look(incident, state)

    def _started(self, incident: Incident, start: StartRun) -> None:
        rung = next((one.rung for one in incident.attempts if one.run == start.run), _LAST_RESORT)
        known = self._record.incidents.get(incident.id)
        attempt = recorded.attempt_of(known, rung, start) if known is not None else None
        if attempt is None:
            self._tell(incident, Reply(self._now, RunEnded(start.run, "succeeded")))
        elif (end := recorded.run_end(attempt, start.run)) is not None:
            self._tell(incident, end)

    def _asked(self, incident: Incident, name: str) -> None:
        known = self._record.incidents.get(incident.id)
        if incident.state == "verifying":
            attempt = self._recorded_attempt(incident)
            if known is not None and attempt is not None:
                fact = recorded.fresh_answer(known, attempt, name, self._now)
                self._tell(incident, Reply(self._now, fact))
                return
        elif known is not None:
            ask = self._rules[incident.rule].raw["ask"][name]
            reply = recorded.answer(known, name, ask)
            if reply is not None:
                self._tell(incident, reply)
                return
        self.unsure.add(incident.id)
        self._tell(incident, Reply(self._now, Unanswered(name, "nobody was asked then")))

    def _look(self, incident: Incident, state: Mapping[str, Any] | None) -> None:
        known, attempt = self._record.incidents.get(incident.id), self._recorded_attempt(incident)
        if known is not None and attempt is not None:
            found = recorded.verification(known, attempt)
            at = (incident.id, attempt.rung)
            if found is not None and at not in self._looked:
                self._looked.add(at)
                self._tell(incident, found)
        elif state is None:
            self._tell(incident, Reply(self._now, self._replies.witness(incident.event)))
        else:
            self._tell(incident, Reply(self._now, self._replies.state(state)))

    def _recorded_attempt(self, incident: Incident) -> Attempt | None:
        """The remedy whose help is looked for, where the same was looked for then."""
        known, now = self._record.incidents.get(incident.id), incident.attempt
        if known is None or now is None or now.rung < 0:
            return None
        was, rungs = recorded.attempt_of(known, now.rung, _start(now)), known.spec.get("solve") or ()
        same = (
            now.rung < len(rungs) and rungs[now.rung]["verify"] == incident.spec["solve"][now.rung]["verify"]
        )
        return was if same else None

    def _tell(self, incident: Incident, reply: Reply) -> None:
        rung = incident.attempt.rung if incident.attempt is not None else None
        at = max(reply.at, self._now)
        heapq.heappush(self._facts, (at, next(self._order), incident.id, rung, reply.fact))


def _start(attempt: Attempt) -> StartRun:
    return StartRun(attempt.run, attempt.pipeline, attempt.params)
