"""Why something is as it is, in words: of a run, a service, a schedule, from what is recorded of it. Pure.

The chain of causes begins with what people or clocks did, and ends with what happened last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from olympus.kernel.clock import rfc3339
from olympus.kernel.events import Event
from olympus.records.instance import Instance
from olympus.records.run import Run, StepRun

MAX_STEPS: Final = 50
"""So many steps of a run are told of: a run on a hundred nodes says much the same a hundred times."""


@dataclass(frozen=True, slots=True)
class Story:
    """says: how it stands and why, most important first. chain: what led to it, oldest first."""

    kind: str
    name: str
    says: tuple[str, ...]
    chain: tuple[Event, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As programs see it."""
        chain = [
            {
                "event": one.id,
                "at": rfc3339(one.time),
                "type": one.type,
                "node": one.node,
                "says": sentence_of(one),
            }
            for one in self.chain
        ]
        return {"kind": self.kind, "name": self.name, "says": list(self.says), "chain": chain}


def story_of_run(run: Run, chain: Sequence[Event]) -> Story:
    """chain: the events that caused it and that it caused."""
    says = [f"run {run.id} of pipeline '{run.pipeline}' is {run.state}{_because(run.message)}"]
    if run.stop is not None:
        by = f" by {run.stop.by}" if run.stop.by else ""
        says.append(f"it was told to end{by} at {rfc3339(run.stop.at)}{_because(run.stop.reason)}")
    said = [line for step in run.steps if (line := _step(step)) is not None]
    says += said[:MAX_STEPS]
    if len(said) > MAX_STEPS:
        says.append(f"and {len(said) - MAX_STEPS} steps more")
    if run.state == "queued" and run.claims:
        says.append(f"it waits for its turn in {' and '.join(claim.group for claim in run.claims)}")
    says.append(_started_by(run))
    return Story("run", run.id, tuple(says), tuple(chain))


def story_of_note(path: str, change: Event, chain: Sequence[Event]) -> Story:
    """change: the last one; chain: the events that led to it, itself, and those that it led to."""
    return Story("note", path, (f"{sentence_of(change)} at {rfc3339(change.time)}",), tuple(chain))


def _step(step: StepRun) -> str | None:
    where = f"step '{step.name}' on {step.target}"
    if step.state == "waiting" and step.role:
        until = f" until {rfc3339(step.deadline)}" if step.deadline else ""
        return f"{where} waits for the approval of an {step.role}{until}"
    if step.state in ("succeeded", "pending") and not step.message:
        return None
    told = f", exit {step.exit}" if step.exit not in (None, 0) else ""
    told += f", attempt {step.attempt}" if step.attempt > 1 else ""
    if step.state == "pending" and step.wake_at is not None:
        told += f", tried again at {rfc3339(step.wake_at)}"
    return f"{where} is {step.state}{told}{_because(step.message)}"


def _started_by(run: Run) -> str:
    if run.parent is not None:
        return f"it was started by step '{run.parent.step}' of run {run.parent.run}"
    cause, at = run.cause, rfc3339(run.created_at)
    by = f"{cause.kind} '{cause.name}'" if cause.name else cause.kind
    event = f", through event {cause.event}" if cause.event else ""
    return f"it was started at {at} by {by}{event}"


def story_of_service(
    name: str,
    status: Mapping[str, Any],
    instances: Iterable[Instance],
    needs: Mapping[str, Mapping[str, Any]],
    chain: Sequence[Event],
) -> Story:
    """status: as `get` shows it. needs: the statuses of the services that it depends on."""
    says = [_ready(f"service '{name}'", status)]
    for other, its in needs.items():
        if _condition(its)["status"] != "True":
            says.append(f"it depends on {_ready(f'service {other!r}', its)}")
    for one in instances:
        says += _instance(one)
    return Story("service", name, tuple(says), tuple(chain))


def _instance(one: Instance) -> Iterable[str]:
    told = f", {one.restarts} restarts" if one.restarts else ""
    health = {True: ", healthy", False: ", not healthy", None: ""}[one.healthy]
    reason = ": ".join(part for part in (one.reason, one.message) if part)
    yield f"on {one.node} it is {one.state}{health}{told} since {rfc3339(one.since)}{_because(reason)}"
    if one.last_exit is not None and one.state != "running":
        code = "nobody knows how" if one.last_exit.code is None else f"with {one.last_exit.code}"
        yield f"on {one.node} its process ended {code} at {rfc3339(one.last_exit.at)}"
    for check in one.checks:
        if check.passing is False:
            yield f"on {one.node} check {check.name} failed {check.failures} times{_because(check.message)}"


def story_of_schedule(
    name: str,
    status: Mapping[str, Any],
    spec: Mapping[str, Any],
    coming: Sequence[datetime],
    chain: Sequence[Event],
) -> Story:
    """chain: its last firings and skips, and the ends of their runs."""
    says = [_ready(f"schedule '{name}'", status)]
    if spec.get("paused"):
        says.append("it is paused by its spec: each slot is skipped")
    if coming:
        says.append("it fires next at " + ", ".join(map(rfc3339, coming)))
    else:
        says.append("no slot comes any more")
    for word, type_ in (("fired", "olympus.chronos.fired"), ("skipped", "olympus.chronos.skipped")):
        last = next((one for one in reversed(chain) if one.type == type_), None)
        if last is not None:
            says.append(f"last {word} at {rfc3339(last.time)}: {sentence_of(last)}")
    ended = next((one for one in reversed(chain) if one.type == "olympus.hephaestus.run-finished"), None)
    if ended is not None:
        says.append(f"last run: {sentence_of(ended)}")
    return Story("schedule", name, tuple(says), tuple(chain))


def _condition(status: Mapping[str, Any]) -> Mapping[str, Any]:
    return next(one for one in status["conditions"] if one["type"] == "Ready")


def _ready(what: str, status: Mapping[str, Any]) -> str:
    one = _condition(status)
    state = {"True": "is ready", "False": "is not ready"}.get(one["status"], "is in an unknown state")
    reason = ": ".join(part for part in (one["reason"], one["message"]) if part)
    return f"{what} {state} since {one['since']}{_because(reason)}"


def _because(reason: str) -> str:
    return f": {reason}" if reason else ""


# ── events in words ──


def sentence_of(event: Event) -> str:
    """What happened, for people."""
    words = _SENTENCES.get(event.type)
    data = _Lenient(event.data)
    if words is None:
        told = ", ".join(f"{name}={_brief(value)}" for name, value in event.data.items())
        return f"{event.type}{f' ({told})' if told else ''}"
    return words(data)


class _Lenient(dict[str, Any]):
    """Events of other versions may lack what ours have."""

    def __missing__(self, key: str) -> str:
        return ""


def _brief(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else text[:59] + "…"


def _service(word: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda d: f"service '{d['service']}' {word} on {d['node']}{_because(_brief(d['reason']))}"


def _incident(data: Mapping[str, Any]) -> str:
    return f"incident {data['incident']} of rule '{data['rule']}'"


_SENTENCES: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    "olympus.zeus.applied": lambda d: f"commit {str(d['revision'])[:7]} of {d['author']} was applied",
    "olympus.zeus.refused": lambda d: f"commit {str(d['revision'])[:7]} of {d['author']} was refused",
    "olympus.zeus.service-failed": _service("failed"),
    "olympus.zeus.service-recovered": _service("recovered"),
    "olympus.zeus.service-crashlooping": _service("crashes again and again"),
    "olympus.zeus.healed": _service("was healed"),
    "olympus.zeus.node-joined": lambda d: f"node {d['node']} joined",
    "olympus.zeus.node-lost": lambda d: f"node {d['node']} was lost{_because(str(d['reason']))}",
    "olympus.argos.match": lambda d: f"log watch '{d['watch']}' found {d['name']}: {_brief(d['line'])}",
    "olympus.argos.check-failed": lambda d: f"check '{d['check']}' failed: {_brief(d['value'])}",
    "olympus.argos.check-recovered": lambda d: f"check '{d['check']}' recovered: {_brief(d['value'])}",
    "olympus.chronos.fired": lambda d: f"schedule '{d['schedule']}' fired for {d['slot']}",
    "olympus.chronos.skipped": lambda d: f"schedule '{d['schedule']}' skipped {d['slot']}: {d['reason']}",
    "olympus.hephaestus.run-requested": lambda d: f"a run of pipeline '{d['pipeline']}' was asked for",
    "olympus.hephaestus.run-started": lambda d: f"run {d['run']} of pipeline '{d['pipeline']}' started",
    "olympus.hephaestus.run-finished": lambda d: (
        f"run {d['run']} of pipeline '{d['pipeline']}' is {d['state']}{_because(_brief(d['reason']))}"
    ),
    "olympus.hephaestus.step-finished": lambda d: (
        f"step '{d['step']}' of run {d['run']} is {d['state']}{_because(_brief(d['reason']))}"
    ),
    "olympus.hephaestus.order-started": lambda d: f"step '{d['step']}' of run {d['run']} began",
    "olympus.hephaestus.order-finished": lambda d: (
        f"the node is done with step '{d['step']}' of run {d['run']}"
    ),
    "olympus.hephaestus.overdue": lambda d: (
        f"pipeline '{d['pipeline']}' of schedule '{d['schedule']}' did not succeed within {d['within']}"
    ),
    "olympus.apollo.note-changed": lambda d: (
        f"note '{d['path']}' was {d.get('change') or 'edited'} by {d['actor']}"
    ),
    "olympus.apollo.webhook-received": lambda d: f"webhook '{d['name']}' was called",
    "olympus.athena.incident-opened": lambda d: f"{_incident(d)} was opened",
    "olympus.athena.decided": lambda d: (
        f"{_incident(d)}: {d['remedy'] or 'no remedy'} was decided on{_because(_brief(d['because']))}"
    ),
    "olympus.athena.resolved": lambda d: (
        f"{_incident(d)} is resolved{f' by {r}' if (r := d['remedy']) else ''}"
    ),
    "olympus.athena.escalated": lambda d: f"{_incident(d)} needs a person{_because(_brief(d['because']))}",
}
