"""What follows from one fact about one run: pure, in terms of its record and its recipe.

    queued ──Admitted, Placed──▶ running ⇄ waiting ──all ended──▶ succeeded | failed | cancelled | unknown
       └──CancelAsked, GroupBusy──▶ cancelled                        └──RetryAsked──▶ queued

An entry (a step on a node): pending ─▶ running | waiting ─▶ succeeded | failed | cancelled | unknown,
or skipped.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

from olympus.hephaestus import begin, ending, graph
from olympus.hephaestus.draft import RUN_FINISHED, RUN_STARTED, Draft, Made, told
from olympus.hephaestus.model import (
    Admitted,
    Approved,
    CancelAsked,
    CheckChild,
    CheckOrder,
    ChildEnded,
    Claims,
    Clear,
    CommitCursor,
    Fact,
    GroupBusy,
    NodeLost,
    NoteAnswered,
    NotPlaced,
    Observed,
    OrderEnded,
    OrderMissing,
    OrderStarted,
    Place,
    Placed,
    Release,
    Requested,
    Resumed,
    RetryAsked,
    RunState,
    Seen,
    Store,
    Unreadable,
    Woken,
)
from olympus.kernel.decision import Decision
from olympus.records.run import Run, StepRun, Stop, may_approve
from olympus.records.run import RunState as State

LAST_CHANCE: Final = timedelta(seconds=60)
"""What handlers (`on: failure`, `on: always`) get at least after a run's time-out."""


def decide(state: RunState | None, fact: Fact, now: datetime) -> Made:
    """What follows from `fact` for one run at `now`."""
    match fact:
        case Requested(run, recipe):
            return Decision(state) if state else _requested(Draft(run, recipe, now))
        case Resumed(run, recipe):
            return Decision(state) if state else _resumed(Draft(run, recipe, now))
        case Unreadable(run, reason):
            return _unreadable(run, reason, now)
        case RetryAsked():
            return Decision(state) if state else _retried(fact, now)
        case Seen(cursor):
            return Decision(None, (CommitCursor(cursor),))
    if state is None or state.run.finished:
        return Decision(state, (Clear(fact.order, fact.node),) if isinstance(fact, OrderEnded) else ())
    draft = Draft(state.run, state.recipe, now)
    _take(draft, fact)
    if draft.run.state == "queued":
        return draft.done()
    return _advance(draft)


def _retried(fact: RetryAsked, now: datetime) -> Made:
    """A finished run that did not succeed goes on: what succeeded stays, the rest is decided anew."""
    run = fact.run
    if run.state not in {"failed", "cancelled", "unknown"} or run.asked == fact.request:
        return Decision(None)
    draft = Draft(run, fact.recipe, now)
    draft.entries = {one.key: _again(draft, one) for one in run.steps}
    draft.change(
        steps=None,
        state="queued",
        message=f"retried by {fact.by}" if fact.by else "retried",
        finished_at=None,
        deadline=None,
        stop=None,
        retries=run.retries + 1,
        asked=fact.request,
    )
    return _requested(draft)


def _again(draft: Draft, entry: StepRun) -> StepRun:
    if entry.state == "succeeded" and draft.step(entry).on == "success":
        return entry
    return StepRun(name=entry.name, node=entry.node, target=entry.target, attempt=entry.attempt)


# --- beginning -------------------------------------------------------------------------------------------


def _requested(draft: Draft) -> Made:
    run = draft.run
    if run.claims:
        draft.do(Claims(run.id, run.claims, run.parent.run if run.parent else None))
    else:
        draft.do(Place(draft.recipe))
    return draft.done()


def _resumed(draft: Draft) -> Made:
    run = draft.run
    if run.claims:
        draft.do(Claims(run.id, run.claims, run.parent.run if run.parent else None, holds=True))
    for one in draft.open():
        if one.order:
            draft.do(CheckOrder(one.order, one.node))
            # The mark may not have been made before the leader before this one ended.
            begun = one.started_at or draft.now
            if run.stop is not None and (draft.step(one).on == "success" or begun < run.stop.at):
                begin.withdraw(draft, one, run.stop.reason)
        elif one.token and draft.step(one).kind == "pipeline":
            draft.do(CheckChild(one.token))
    return _advance(draft)


def _unreadable(run: Run, reason: str, now: datetime) -> Made:
    failed = run.model_copy(update={"state": "failed", "message": reason, "finished_at": now})
    return Decision(None, (Store(failed), Release(run.id)))


def _placed(draft: Draft, fact: Placed) -> None:
    run = draft.run
    if run.state != "queued":
        return
    if not run.steps:
        draft.change(
            targets=fact.targets,
            delegates=dict(fact.delegates),
            batch=graph.batch_size(draft.recipe.nodes, len(fact.targets)),
        )
        for step in draft.recipe.steps:
            choice = fact.delegates.get(step.name) if step.delegate else None
            for i, target in enumerate(fact.targets):
                node = choice[i % len(choice)].name if choice else target.name
                entry = StepRun(name=step.name, node=node, target=target.name)
                draft.entries[entry.key] = entry
    timeout = draft.recipe.timeout
    draft.change(
        state="running",
        started_at=run.started_at or draft.now,
        deadline=draft.now + timedelta(seconds=timeout) if timeout else None,
        steps=None,
    )
    draft.change(begun=draft.emit(RUN_STARTED, told(run, "running", run.message), first=True))
    for name, reason in fact.unfit.items():
        _leave_out(draft, name, reason)


def _leave_out(draft: Draft, node: str, reason: str) -> None:
    """This node can't be used: that is a failure, and nothing else is tried there."""
    mine = [one for one in draft.open() if node in {one.target, one.node}]
    for i, one in enumerate(mine):
        ending.final(draft, one, "skipped" if i and one.target == node else "failed", message=reason)


# --- facts -----------------------------------------------------------------------------------------------


def _take(draft: Draft, fact: Fact) -> None:
    handler = _HANDLERS.get(type(fact))
    if handler is not None:
        handler(draft, fact)


def _admitted(draft: Draft, _fact: Admitted) -> None:
    if draft.run.state == "queued":
        draft.do(Place(draft.recipe))


def _order_started(draft: Draft, fact: OrderStarted) -> None:
    entry = draft.ordered(fact.order)
    if entry is not None and entry.state == "pending":
        draft.put(entry, lazy=True, state="running", started_at=fact.at)


def _order_missing(draft: Draft, fact: OrderMissing) -> None:
    entry = draft.ordered(fact.order)
    if entry is not None:
        begin.again(draft, entry)


def _order_ended(draft: Draft, fact: OrderEnded) -> None:
    if not fact.keep:
        draft.do(Clear(fact.order, fact.node))
    entry = draft.ordered(fact.order)
    # A node ends its own orders, and nobody else's.
    if entry is not None and entry.node == fact.node:
        ending.ended(draft, entry, fact.outcome)


def _approved(draft: Draft, fact: Approved) -> None:
    for one in draft.open():
        if one.name != fact.step or one.state != "waiting" or draft.step(one).kind != "approve":
            continue
        if not may_approve(fact.role, one.role):
            continue
        if fact.yes:
            output = {"by": fact.by, "comment": fact.comment}
            ending.final(draft, draft.put(one, by=fact.by, output=output), "succeeded")
        else:
            said = f": {fact.comment}" if fact.comment else ""
            ending.final(draft, draft.put(one, by=fact.by), "failed", message=f"rejected by {fact.by}{said}")


def _node_lost(draft: Draft, fact: NodeLost) -> None:
    said = f"node {fact.node} is lost" + (f": {fact.reason}" if fact.reason else "")
    for one in draft.open():
        # Whether it was taken is for Hermes to say: a pending order can be withdrawn, a started one is lost.
        if one.node == fact.node and one.order:
            begin.withdraw(draft, one, said)


def _woken(draft: Draft, _fact: Woken) -> None:
    run, now = draft.run, draft.now
    if run.state == "queued":
        return
    if run.deadline is not None and run.deadline <= now:
        limit = draft.recipe.timeout or 0
        reason = f"the run's time limit of {limit:g} s is over"
        _stop(draft, Stop(at=now, reason=reason, state="failed"))
    for one in draft.open():
        if one.deadline is not None and one.deadline <= now:
            ending.expired(draft, one)
        elif one.wake_at is not None and one.wake_at <= now:
            begin.woken(draft, one)


# --- ending early ----------------------------------------------------------------------------------------


def _end_queued(draft: Draft, state: State, message: str) -> None:
    """It never began."""
    if draft.run.state != "queued":
        return
    draft.change(state="running", message=message)
    for one in draft.open():
        draft.put(one, state="cancelled", message=message, finished_at=draft.now)
    draft.change(
        stop=Stop(at=draft.now, reason=message, state="failed" if state == "failed" else "cancelled")
    )


def _stop(draft: Draft, stop: Stop) -> None:
    """The first time handlers still run (`always`, after a time-out also `failure`), then nothing."""
    run = draft.run
    if run.state == "queued":
        _end_queued(draft, stop.state, stop.reason)
        return
    again = run.stop is not None
    if run.stop is None:
        timeout = draft.recipe.timeout
        limit = max(timedelta(seconds=timeout), LAST_CHANCE) if timeout else None
        draft.change(stop=stop, message=stop.reason, deadline=draft.now + limit if limit else None)
    else:
        draft.change(deadline=None)
    for one in draft.open():
        if one.order or one.state in {"running", "waiting"}:
            begin.withdraw(draft, one, stop.reason)
        elif again or not _is_handler(draft, one, stop):
            ending.final(draft, one, "cancelled" if one.attempt else "skipped", message=stop.reason)


def _is_handler(draft: Draft, entry: StepRun, stop: Stop) -> bool:
    on = draft.step(entry).on
    return not entry.attempt and (on == "always" or (on == "failure" and stop.state == "failed"))


_HANDLERS: Final[dict[type[Any], Callable[[Draft, Any], None]]] = {
    Admitted: _admitted,
    GroupBusy: lambda draft, fact: _end_queued(
        draft, "cancelled", f"skipped: run {fact.run} is in concurrency group '{fact.group}'"
    ),
    Placed: _placed,
    NotPlaced: lambda draft, fact: _end_queued(draft, "failed", fact.reason),
    OrderStarted: _order_started,
    OrderEnded: _order_ended,
    OrderMissing: _order_missing,
    Observed: ending.observed,
    NoteAnswered: ending.note_answered,
    ChildEnded: ending.child_ended,
    Approved: _approved,
    CancelAsked: lambda draft, fact: _stop(draft, Stop(at=draft.now, reason=fact.reason, by=fact.by)),
    NodeLost: _node_lost,
    Woken: _woken,
}


# --- going on --------------------------------------------------------------------------------------------


def _advance(draft: Draft) -> Made:
    """Begin or skip what can be, until nothing more can; then see whether the run is over."""
    run = draft.run
    targets = [target.name for target in run.targets]
    while True:
        ready = graph.startable(draft.recipe, draft.entries, targets, run.batch or len(targets))
        if not ready:
            break
        stopped = graph.stop_reason(draft.recipe, draft.entries, targets, run.batch or len(targets))
        for entry in ready:
            begin.begin(draft, entry, stopped)
    if any(not one.ended for one in draft.entries.values()):
        _waiting_or_running(draft)
        return draft.done()
    return _finish(draft)


def _waiting_or_running(draft: Draft) -> None:
    states = {one.state for one in draft.entries.values()}
    busy = any(one.order or one.wake_at for one in draft.open() if one.state == "pending")
    now_is: State = "waiting" if "waiting" in states and "running" not in states and not busy else "running"
    if draft.run.state != now_is:
        draft.change(state=now_is)


def _finish(draft: Draft) -> Made:
    run = draft.run
    state = _verdict(run, draft)
    message = run.message
    if not message and state != "succeeded":
        first = next((one for one in draft.entries.values() if one.state in graph.BAD), None)
        message = f"step '{first.name}' on {first.node}: {first.message or first.state}" if first else ""
    draft.change(state=state, message="" if state == "succeeded" else message, finished_at=draft.now)
    draft.change(deadline=None)
    draft.emit(RUN_FINISHED, told(run, state, message))
    draft.do(Release(run.id))
    return draft.done(forget=True)


def _verdict(run: Run, draft: Draft) -> State:
    states = {one.state for one in draft.entries.values()}
    if "unknown" in states:
        return "unknown"
    if run.stop is not None:
        return run.stop.state
    return "failed" if states & {"failed", "cancelled"} else "succeeded"
