"""How an attempt ends: for good, or with another one to come."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import orjson

from olympus.hephaestus.draft import STEP_FINISHED, Draft
from olympus.hephaestus.model import CancelChild, ChildEnded, NoteAnswered, Observed
from olympus.hephaestus.orders import MAX_OUTPUT, Outcome
from olympus.hephaestus.recipe import Step, because
from olympus.records.run import StepRun, StepState

MAX_LOSSES: Final = 10
"""So often an idempotent step is begun anew after its attempt was lost: what kills its host must end."""

MAX_MESSAGE: Final = 2_000


def ended(draft: Draft, entry: StepRun, outcome: Outcome) -> None:
    """A worker's attempt is over."""
    output, error = _kept(outcome)
    entry = draft.put(
        entry,
        order=None,
        exit=outcome.exit,
        output=output,
        started_at=outcome.started_at or entry.started_at,
        artifacts=entry.artifacts | {one.name: one.sha256 for one in outcome.artifacts},
    )
    stop = draft.run.stop
    if outcome.state == "succeeded":
        final(draft, entry, "succeeded", message=error, at=outcome.finished_at)
    elif outcome.state == "cancelled" and stop is not None:
        final(draft, entry, stop.state, message=stop.reason, at=outcome.finished_at)
    elif outcome.state == "unknown":
        _lost(draft, entry, outcome.error)
    else:
        failed(draft, entry, error or _said(outcome), at=outcome.finished_at)


def _kept(outcome: Outcome) -> tuple[object, str]:
    size = len(orjson.dumps(outcome.output))
    if size <= MAX_OUTPUT:
        return outcome.output, outcome.error
    said = f"its output of {size} bytes is over the limit of {MAX_OUTPUT}: save it as an artifact"
    return None, f"{outcome.error}; {said}" if outcome.error else said


def _said(outcome: Outcome) -> str:
    return f"exit {outcome.exit}" if outcome.exit is not None else outcome.state


def failed(draft: Draft, entry: StepRun, message: str, *, at: datetime | None = None) -> None:
    """The attempt failed: the next one is set, or that was the last."""
    step = draft.begun(entry)
    retry = step.retry
    if entry.failures + 1 < retry.attempts and _may_go_on(draft, step):
        delay = min(retry.delay * retry.backoff**entry.failures, 86_400.0)
        draft.put(
            entry,
            state="pending",
            failures=entry.failures + 1,
            wake_at=draft.now + timedelta(seconds=delay),
            deadline=None,
            message=_cut(f"attempt {entry.attempt} of {retry.attempts}: {message}"),
        )
    else:
        final(draft, entry, "failed", message=message, at=at)


def _may_go_on(draft: Draft, step: Step) -> bool:
    return draft.run.stop is None or step.on != "success"


def _lost(draft: Draft, entry: StepRun, reason: str) -> None:
    """It began, and nobody knows how it ended: done, not done, or half."""
    step = draft.begun(entry)
    why = reason or "the worker ended while it ran"
    if step.verify is not None:
        verdict = step.verify.evaluate(draft.roots(entry))
        if verdict.value:
            final(draft, entry, "succeeded", message=f"{why}; verify says that it was done")
            return
        told = all(clause.value != "missing" for clause in verdict.clauses)
        if told and _once_more(draft, entry, step):
            return
        final(draft, entry, "unknown", message=f"{why}; verify: {because(verdict)}")
        return
    if step.idempotent and _once_more(draft, entry, step):
        return
    final(draft, entry, "unknown", message=f"{why}: it is unknown whether it was done")


def _once_more(draft: Draft, entry: StepRun, step: Step) -> bool:
    if entry.losses >= MAX_LOSSES or not _may_go_on(draft, step):
        return False
    # Without a wake_at, it is begun in this very decision.
    draft.put(entry, state="pending", losses=entry.losses + 1)
    return True


def final(
    draft: Draft, entry: StepRun, state: StepState, *, message: str | None = None, at: datetime | None = None
) -> None:
    """It ends in `state`, and an event says so; of what was skipped only the record tells."""
    entry = draft.put(
        entry,
        state=state,
        finished_at=at or draft.now,
        order=None,
        wake_at=None,
        deadline=None,
        message=_cut(message if message is not None else ""),
    )
    if state == "skipped":
        return
    data = {
        "run": draft.run.id,
        "pipeline": draft.run.pipeline,
        "step": entry.name,
        "node": entry.node,
        "attempt": entry.attempt,
        "state": state,
        "exit": entry.exit,
        "reason": entry.message,
    }
    draft.emit(STEP_FINISHED, data, node=entry.node)


def observed(draft: Draft, fact: Observed) -> None:
    """What a `wait` or `service` step asked for."""
    entry = draft.entries.get((fact.step, fact.target))
    if entry is None or entry.state not in {"waiting", "running"} or entry.order:
        return
    if fact.value:
        final(draft, entry, "succeeded", message=fact.because)
    elif fact.over:
        failed(draft, entry, fact.because)
    elif entry.message != fact.because:
        draft.put(entry, quiet=True, message=_cut(fact.because))


def note_answered(draft: Draft, fact: NoteAnswered) -> None:
    """What a `note` step wrote; what could not be written now is tried again until its time is over."""
    entry = draft.entries.get((fact.step, fact.target))
    if entry is None or entry.state != "running" or draft.step(entry).kind != "note":
        return
    if fact.output is not None:
        final(draft, draft.put(entry, output=fact.output), "succeeded")
    elif fact.over:
        failed(draft, entry, fact.message)
    elif entry.message != fact.message:
        draft.put(entry, quiet=True, message=_cut(fact.message))


def expired(draft: Draft, entry: StepRun) -> None:
    """What it waited for did not come in time."""
    step = draft.step(entry)
    waited = (draft.now - entry.started_at).total_seconds() if entry.started_at else 0
    if step.kind == "approve":
        final(draft, entry, "failed", message=f"nobody approved within {waited:g} s")
        return
    if step.kind == "pipeline" and entry.token:
        draft.do(CancelChild(entry.token, f"step '{entry.name}' of run {draft.run.id} timed out"))
    last = f": {entry.message}" if entry.message else ""
    failed(draft, entry, f"timed out after {waited:g} s{last}")


def child_ended(draft: Draft, fact: ChildEnded) -> None:
    """The run that a `pipeline` step waits for."""
    entry = next((one for one in draft.open() if one.token == fact.run and one.state == "running"), None)
    if entry is None:
        return
    entry = draft.put(entry, output=fact.output)
    stop = draft.run.stop
    if fact.state == "succeeded":
        final(draft, entry, "succeeded")
    elif stop is not None and fact.state == "cancelled":
        final(draft, entry, stop.state, message=stop.reason)
    elif fact.state == "unknown":
        final(draft, entry, "unknown", message=f"run {fact.run} is unknown: {fact.message}")
    else:
        failed(draft, entry, f"run {fact.run} {fact.state}: {fact.message}")


def _cut(text: str) -> str:
    return text if len(text) <= MAX_MESSAGE else text[:MAX_MESSAGE] + " … (cut)"
