"""What follows for one incident: pure, no clock, no I/O. `decide(incident, fact, rule, gate, now)`.

asking ─▶ solving ─▶ verifying ─▶ resolved          dismissed: what was asked makes none of it
             ▲           │ not gone
             └─ next ◀───┘ ladder ends ─▶ escalated  silenced: a silence, whenever a remedy would begin
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final

import orjson

from olympus.athena import verifying
from olympus.athena.draft import Draft
from olympus.athena.model import (
    Acked,
    Answered,
    Ask,
    Candidate,
    Commented,
    Due,
    Fact,
    Gate,
    Joined,
    Looked,
    Made,
    Resumed,
    RunEnded,
    StartRun,
    Triggered,
    Unanswered,
    Watch,
    Worked,
)
from olympus.athena.rules import Rule
from olympus.kernel.decision import Decision
from olympus.kernel.errors import Invalid
from olympus.kernel.ids import derived_id
from olympus.records.incident import Attempt, Incident, Remark, Ruling
from olympus.spec.expression import Clause

HOLDS: Final = timedelta(hours=1)
"""So long an escalated or silenced incident takes in what comes with its key, unless a person acknowledges it
before, or the silence ends."""

MAX_ANSWER: Final = 32 * 1024
MAX_COMMENTS: Final = 100
_GRACE: Final = timedelta(seconds=5)


def decide(incident: Incident | None, fact: Fact, rule: Rule, gate: Gate, now: datetime) -> Made:
    """The incident after `fact`, and what is to be done. None where there is none.

    rule: as the incident's spec has it; gate: what is in the way now.
    """
    if isinstance(fact, Triggered):
        return _triggered(fact, rule, gate, now) if incident is None else Decision(incident)
    if incident is None:
        return Decision(None)
    draft = Draft(incident, rule, gate, now)
    match fact:
        case Joined(events):
            draft.join(events)
        case Answered(name, value):
            _answered(draft, name, _bounded(value), None)
        case Unanswered(name, reason):
            _answered(draft, name, None, reason)
        case RunEnded():
            _run_ended(draft, fact)
        case Candidate(event):
            if verifying.fails(draft, event):
                _next_rung(draft)
        case Looked(value, because):
            _verified(draft, verifying.looked(draft, value=value, because=because))
        case Due():
            _due(draft)
        case Resumed():
            _resumed(draft)
        case Acked() | Commented():
            _said(draft, fact)
    return draft.made()


# ── from events to a first remedy ──


def _triggered(fact: Triggered, rule: Rule, gate: Gate, now: datetime) -> Made:
    incident = Incident(
        id=fact.incident,
        rule=rule.name,
        key=fact.key,
        state="asking",
        opened_at=now,
        changed_at=now,
        node=fact.event.node,
        event=fact.event.to_json(),
        events=fact.events,
        decisions=tuple(_ruling(clause, now) for clause in fact.clauses),
        spec=dict(rule.raw),
        revision=rule.revision,
        ladder=gate.ladder,
    )
    draft = Draft(incident, rule, gate, now)
    if gate.silenced is not None:
        draft.put(state="open")
        _silence(draft, gate.silenced)
    elif rule.asks:
        draft.put(asked=rule.asks)
        _ask(draft, rule.asks)
    else:
        _judge(draft)
    return draft.made()


def _ask(draft: Draft, names: Iterable[str]) -> None:
    """Each of them; what can't even be asked is unanswered."""
    longest = timedelta(0)
    for name in names:
        try:
            question = draft.rule.question(name, draft.incident.event)
        except (Invalid, ValueError) as error:
            _answered(draft, name, None, str(error))
            continue
        longest = max(longest, question.timeout)
        draft.do(Ask(question))
    if draft.incident.asked:
        # Who asks tells that time is over; should it be lost with its leader, this does.
        draft.put(wake_at=draft.now + longest + _GRACE)


def _answered(draft: Draft, name: str, value: Any, reason: str | None) -> None:
    incident = draft.incident
    if name not in incident.asked:
        return
    left = tuple(one for one in incident.asked if one != name)
    if incident.state == "verifying":
        fresh = incident.fresh if reason is not None else {**incident.fresh, name: value}
        draft.put(asked=left, fresh=fresh)
        if not left:
            _verified(draft, verifying.answered(draft))
        return
    draft.put(asked=left)
    if reason is None:
        draft.put(answers={**incident.answers, name: value})
    else:
        draft.put(unanswered={**incident.unanswered, name: reason})
        draft.rule_on(f"ask.{name}", "missing", reason)
    if not left and incident.state == "asking":
        _asked(draft)


def _asked(draft: Draft) -> None:
    """All is answered that will be."""
    draft.put(wake_at=None)
    policy = {name: _policy(draft, name) for name in draft.incident.unanswered}
    if "escalate" in policy.values():
        _open(draft)
        _escalate(draft, "what has to be known is not: " + ", ".join(sorted(policy)))
    elif "stop" in policy.values():
        _dismiss(draft, "what has to be known is not: " + ", ".join(sorted(policy)))
    else:
        _judge(draft)


def _policy(draft: Draft, name: str) -> str:
    try:
        return draft.rule.question(name, draft.incident.event).unknown
    except (Invalid, ValueError):
        return "stop"


def _judge(draft: Draft) -> None:
    """`when`, then the first remedy."""
    when = draft.rule.when
    if when is not None:
        verdict = when.evaluate(draft.roots())
        draft.put(decisions=(*draft.incident.decisions, *(_ruling(c, draft.now) for c in verdict.clauses)))
        if not verdict.value:
            _dismiss(draft, "")
            return
    if draft.gate.silenced is None and draft.gate.limited is not None:
        _dismiss(draft, draft.gate.limited, clause="limits")
        return
    _open(draft)
    _next_rung(draft)


def _open(draft: Draft) -> None:
    draft.put(state="open")
    draft.tell("incident-opened")


def _dismiss(draft: Draft, reason: str, *, clause: str = "ask") -> None:
    if reason:
        draft.rule_on(clause, value=False, because=reason)
    draft.put(state="dismissed", closed_at=draft.now, wake_at=None)


def _silence(draft: Draft, reason: str) -> None:
    draft.rule_on("silence", value=True, because=reason)
    draft.put(state="silenced", closed_at=draft.now, wake_at=draft.now + HOLDS)
    draft.tell("decided", remedy=None, because=reason)


def _escalate(draft: Draft, reason: str) -> None:
    """Nobody but a person helps now."""
    draft.rule_on("escalate", value=True, because=reason)
    draft.put(state="escalated", closed_at=draft.now, wake_at=draft.now + HOLDS)
    if draft.rule.otherwise is not None:
        try:
            pipeline, params = draft.rule.last_resort(draft.roots())
        except (Invalid, ValueError) as error:
            draft.rule_on("otherwise", "missing", str(error))
        else:
            _start(draft, -1, StartRun(_run_id(draft, "otherwise"), pipeline, params))
    draft.tell("escalated", remedy=draft.rule.otherwise, because=reason)


# ── remedies ──


def _next_rung(draft: Draft) -> None:
    """The next remedy of the ladder that can be begun; at its end, a person."""
    while True:
        incident, gate = draft.incident, draft.gate
        if gate.silenced is not None:
            _silence(draft, gate.silenced)
            return
        if incident.step >= len(incident.ladder):
            tried = len(incident.attempts)
            _escalate(
                draft, f"{tried} {'remedy' if tried == 1 else 'remedies'} did not help, there are no more"
            )
            return
        if gate.limited is not None:
            _escalate(draft, f"no further remedy: {gate.limited}")
            return
        index = incident.ladder[incident.step]
        draft.put(step=incident.step + 1, since=None, deadline=None, wake_at=None, asked=(), fresh={})
        try:
            rung = draft.rule.rung(index, draft.roots())
        except (Invalid, ValueError) as error:
            draft.rule_on(f"solve[{index}] {draft.rule.pipelines[index]}", "missing", str(error))
            continue
        start = StartRun(_run_id(draft, str(index)), rung.pipeline, rung.params, rung.approve)
        draft.put(state="solving")
        _start(draft, index, start)
        approval = " once it is approved" if rung.approve is not None else ""
        draft.rule_on(f"solve[{index}]", rung.pipeline, f"run {start.run} is started{approval}")
        draft.tell("decided", remedy=rung.pipeline, run=start.run)
        return


def _start(draft: Draft, index: int, start: StartRun) -> None:
    attempt = Attempt(
        pipeline=start.pipeline, run=start.run, rung=index, params=dict(start.params), started_at=draft.now
    )
    draft.put(attempts=(*draft.incident.attempts, attempt))
    draft.spend(otherwise=index < 0)
    draft.do(start)


def _run_id(draft: Draft, rung: str) -> str:
    # It follows from the incident: whoever decides, there is one run.
    opened = int(draft.incident.opened_at.timestamp() * 1000)
    return derived_id(opened, f"{draft.incident.id}/{rung}")


def _run_ended(draft: Draft, fact: RunEnded) -> None:
    attempt = next((one for one in draft.incident.attempts if one.run == fact.run), None)
    if attempt is None or attempt.state:
        return
    draft.attempt(fact.run, state=fact.state, message=fact.message, ended_at=draft.now)
    said = f"run {fact.run} {fact.state}" + (f": {fact.message}" if fact.message else "")
    name = "otherwise" if attempt.rung < 0 else f"solve[{attempt.rung}]"
    draft.rule_on(f"{name} {attempt.pipeline}", fact.state, said)
    if attempt.rung < 0 or draft.incident.state != "solving":
        return
    # Where nobody knows whether it was done, the verification tells.
    if fact.state in ("succeeded", "unknown"):
        _verified(draft, verifying.begin(draft))
    else:
        draft.attempt(fact.run, verified=False)
        draft.do(Worked(attempt.pipeline, verified=False))
        _next_rung(draft)


def _verified(draft: Draft, held: bool | None) -> None:
    """None: it is not known yet. An `until` that has to ask anew does so here."""
    if held is None:
        _ask_anew(draft)
    elif held:
        draft.put(state="resolved", closed_at=draft.now, wake_at=None, deadline=None)
        attempt = draft.incident.attempt
        draft.tell("resolved", remedy=attempt.pipeline if attempt else None)
    else:
        _next_rung(draft)


def _ask_anew(draft: Draft) -> None:
    wanted = draft.take_wanted()
    if wanted:
        draft.put(asked=wanted, fresh={})
        wake_at = draft.incident.wake_at
        _ask(draft, wanted)
        if draft.incident.state == "verifying" and draft.incident.asked:
            draft.put(wake_at=draft.incident.wake_at or wake_at)


# ── time, leaders, people ──


def _due(draft: Draft) -> None:
    incident = draft.incident
    if incident.wake_at is None or draft.now < incident.wake_at:
        return
    again = verifying.asked_witness(incident)
    draft.put(wake_at=None)
    if incident.state == "verifying":
        for name in incident.asked:
            draft.put(asked=())
            draft.rule_on(f"ask.{name}", "missing", "nobody answered in time")
        _verified(draft, verifying.due(draft, again=again))
    elif incident.state == "asking":
        for name in incident.asked:
            _answered(draft, name, None, "nobody answered in time")


def _resumed(draft: Draft) -> None:
    incident = draft.incident
    _ask(draft, incident.asked)
    verifying.resumed(draft)
    for attempt in incident.attempts:
        if not attempt.state:
            draft.do(Watch(StartRun(attempt.run, attempt.pipeline, attempt.params, _approve(draft, attempt))))


def _approve(draft: Draft, attempt: Attempt) -> Any:
    if attempt.rung < 0:
        return None
    try:
        return draft.rule.rung(attempt.rung, draft.roots()).approve
    except (Invalid, ValueError):
        return None


def _said(draft: Draft, fact: Acked | Commented) -> None:
    if isinstance(fact, Commented):
        said = (*draft.incident.comments, Remark(at=draft.now, by=fact.by, text=fact.text))
        draft.put(comments=said[-MAX_COMMENTS:])
        return
    if draft.incident.acked is None:
        draft.put(acked=Remark(at=draft.now, by=fact.by))
    if draft.incident.state in ("escalated", "silenced"):
        draft.put(wake_at=None)


def _ruling(clause: Clause, now: datetime) -> Ruling:
    value: Any = {"true": True, "false": False}.get(clause.value, clause.value)
    return Ruling(at=now, clause=clause.text, value=value, because=clause.because)


def _bounded(value: Any) -> Any:
    """What is kept with the incident has its bounds: of a long list its beginning, of anything else nothing."""
    if len(orjson.dumps(value, default=str)) <= MAX_ANSWER:
        return value
    if isinstance(value, list):
        kept: list[Any] = []
        size = 2
        for one in value:
            size += len(orjson.dumps(one, default=str)) + 1
            if size > MAX_ANSWER:
                break
            kept.append(one)
        return kept
    return None
