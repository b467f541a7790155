"""How an attempt begins: what stands in its step is rendered, and either handed out or done at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final

import orjson

from olympus.hephaestus import ending, graph
from olympus.hephaestus.draft import Draft
from olympus.hephaestus.model import CancelChild, Dispatch, Intend, Observe, StartChild, Withdraw, WriteNote
from olympus.hephaestus.orders import (
    Action,
    Checkout,
    HttpAction,
    Load,
    Order,
    RunAction,
    ScriptAction,
    SecretRef,
    WorkFile,
    Workspace,
)
from olympus.hephaestus.recipe import (
    DEFAULT_EXPIRES,
    DEFAULT_POLL,
    DEFAULT_WITHIN,
    WORKER_KINDS,
    Kind,
    Step,
    because,
    seconds,
)
from olympus.kernel.errors import Invalid
from olympus.kernel.events import MAX_DEPTH
from olympus.kernel.ids import derived_id
from olympus.records.run import StepRun
from olympus.spec.expression import ExpressionError
from olympus.spec.template import render

SERVICE_POLL: Final = 1.0
SERVICE_WITHIN: Final = 600.0
NOTE_POLL: Final = 15.0
NOTE_WITHIN: Final = 600.0


def begin(draft: Draft, entry: StepRun, stopped: str | None) -> None:
    """Skip it with its reason, or start it. `stopped`: why no more nodes are begun."""
    step = draft.step(entry)
    reason = None if entry.attempt > 0 and entry.losses else _why_not(draft, entry, step, stopped)
    if reason is not None:
        ending.final(draft, entry, "skipped", message=reason)
    else:
        start(draft, entry)


def _why_not(draft: Draft, entry: StepRun, step: Step, stopped: str | None) -> str | None:
    if stopped is not None:
        begun = any(one.attempt for one in draft.entries.values() if one.target == entry.target)
        by_step = draft.recipe.nodes is not None and draft.recipe.nodes.order == "step"
        if not begun or (by_step and step.on == "success"):
            return stopped
    culprit = graph.broken(draft.recipe, draft.entries, step, entry.target)
    if step.on == "success" and culprit is not None:
        return f"step '{culprit}' did not succeed"
    if (
        step.on == "failure"
        and culprit is None
        and (draft.run.stop is None or draft.run.stop.state != "failed")
    ):
        return "nothing failed"
    if step.when is not None:
        verdict = step.when.evaluate(draft.roots(entry))
        if not verdict.value:
            return f"when: {because(verdict)}"
    return None


def start(draft: Draft, entry: StepRun) -> None:
    """The next attempt."""
    entry = draft.put(entry, attempt=entry.attempt + 1, wake_at=None, state="pending", exit=None, output=None)
    try:
        step = draft.settled(entry)
        if step.kind in WORKER_KINDS:
            order = _order(draft, entry, step)
            draft.put(entry, order=order.id)
            draft.do(Dispatch(order))
        else:
            _STARTS[step.kind](draft, entry, step)
    except (ExpressionError, Invalid, ValueError) as exc:
        ending.final(draft, entry, "failed", message=str(exc))


def again(draft: Draft, entry: StepRun) -> None:
    """The same attempt once more: its order never reached anybody."""
    try:
        draft.do(Dispatch(_order(draft, entry, draft.settled(entry))))
    except (ExpressionError, Invalid, ValueError) as exc:
        ending.final(draft, entry, "failed", message=str(exc))


def woken(draft: Draft, entry: StepRun) -> None:
    """The next attempt is due, or the next look at what it waits for."""
    if entry.state == "pending":
        start(draft, entry)
        return
    step = draft.begun(entry)
    if step.kind == "wait":
        _look(draft, entry, step)
    elif step.kind == "service":
        _look_at_service(draft, entry, step)
    elif step.kind == "note":
        _write_note(draft, entry, step)


def withdraw(draft: Draft, entry: StepRun, reason: str) -> None:
    """End what runs or waits; a worker's answer comes later."""
    if entry.order:
        draft.do(Withdraw(entry.order, entry.node, reason))
        return
    if draft.step(entry).kind == "pipeline" and entry.token:
        draft.do(CancelChild(entry.token, reason))
        return
    ending.final(draft, entry, "cancelled", message=reason)


# --- a worker's attempt ----------------------------------------------------------------------------------


def _order(draft: Draft, entry: StepRun, step: Step) -> Order:
    run, roots = draft.run, draft.roots(entry)
    recipe = draft.recipe
    checkout = render(dict(recipe.checkout), roots) if recipe.checkout else None
    files = tuple(WorkFile(path=path, content=blob) for path, blob in (recipe.files or {}).items())
    return Order(
        id=f"{run.id}.{entry.name}.{entry.target}.{entry.attempt}",
        run=run.id,
        pipeline=run.pipeline,
        step=entry.name,
        node=entry.node,
        attempt=entry.attempt,
        epoch=0,
        revision=run.revision,
        issued_at=draft.now,
        action=_action(step, roots),
        params=run.params,
        env={name: _text(render(value, roots), f"env {name}") for name, value in (step.env or {}).items()},
        secrets={name: SecretRef(secret=secret, source={}) for name, secret in (step.secrets or {}).items()},
        user=step.user,
        timeout=step.timeout,
        deadline=run.deadline,
        workspace=Workspace(
            key=f"{run.id}-{entry.target}",
            checkout=Checkout.model_validate(checkout) if checkout else None,
            files=files,
        ),
        save=dict(step.save or {}),
        share=_shared(draft, step),
        load=tuple(_load(draft, entry, name, path) for name, path in (step.load or {}).items()),
        idempotent=step.idempotent,
        cause=run.begun,
        depth=run.depth + 1,
    )


def _action(step: Step, roots: Mapping[str, Any]) -> Action:
    if step.kind == "script":
        return ScriptAction(do="script", text=step.body)
    if step.kind == "run":
        rendered = render(step.body, roots)
        return RunAction(do="run", argv=tuple(_text(a, f"argument {i}") for i, a in enumerate(rendered)))
    body = dict(step.body)
    headers = body.pop("headers", None) or {}
    body = render(body, roots)
    return HttpAction(
        do="http",
        method=body.get("method") or "GET",
        url=body["url"],
        headers={name: _header(name, value, roots) for name, value in headers.items()},
        body=body.get("body"),
    )


def _header(name: str, value: str | Mapping[str, Any], roots: Mapping[str, Any]) -> str | SecretRef:
    if isinstance(value, Mapping):
        prefix = _one_line(render(value.get("prefix") or "", roots), name)
        return SecretRef(secret=value["secret"], source={}, prefix=prefix)
    return _one_line(render(value, roots), name)


def _one_line(value: object, header: str) -> str:
    text = _text(value, f"header {header}")
    if "\n" in text or "\r" in text:
        raise Invalid(f"header {header} would hold a line break")
    return text


def _load(draft: Draft, entry: StepRun, name: str, path: str) -> Load:
    saved = [one for one in draft.entries.values() if name in one.artifacts]
    mine = next((one for one in saved if one.target == entry.target), saved[-1] if saved else None)
    if mine is None:
        raise Invalid(f"no step has saved the artifact '{name}'")
    return Load(name=name, path=path, node=mine.node, sha256=mine.artifacts[name])


def _shared(draft: Draft, step: Step) -> tuple[str, ...]:
    """What of this step's is loaded where another node may have to do it: `_load` prefers the same target's."""
    names = set(step.save or {})
    loaders = [one for one in draft.recipe.steps if names & set(one.load or {})]
    several = len(draft.run.targets) > 1
    wander = (
        step.delegate is not None
        or any(one.delegate is not None for one in loaders)
        # On some nodes it may be skipped, or fail, and the later step goes on all the same.
        or (several and (step.when is not None or step.on != "success"))
        or (several and any(one.on != "success" for one in loaders))
    )
    return tuple(sorted(names & {name for one in loaders for name in one.load or {}})) if wander else ()


def _text(value: object, what: str) -> str:
    """As a program or a header takes it: texts as they are, numbers in digits, the rest as JSON."""
    if isinstance(value, str):
        if "\0" in value:
            raise Invalid(f"{what} would hold a NUL byte")
        return value
    if value is None:
        raise Invalid(f"{what} has no value")
    return orjson.dumps(value).decode()


# --- what the coordinator does itself --------------------------------------------------------------------


def _emit(draft: Draft, entry: StepRun, step: Step) -> None:
    body = render(step.body, draft.roots(entry))
    if str(body["type"]).startswith("olympus."):
        raise Invalid(f"event type {body['type']!r} is Olympus's own: choose one that doesn't begin so")
    entry = draft.put(entry, started_at=draft.now)
    event = draft.emit(body["type"], body.get("data") or {}, node=entry.node)
    ending.final(draft, draft.put(entry, output={"event": event}), "succeeded")


def _wait(draft: Draft, entry: StepRun, step: Step) -> None:
    within = seconds(step.body.get("within")) or DEFAULT_WITHIN
    limit = min(within, step.timeout or within)
    deadline = draft.now + timedelta(seconds=limit)
    _look(draft, draft.put(entry, state="waiting", started_at=draft.now, deadline=deadline), step)


def _look(draft: Draft, entry: StepRun, step: Step) -> None:
    every = seconds(step.body.get("every")) or DEFAULT_POLL
    entry = draft.put(entry, quiet=True, wake_at=draft.now + timedelta(seconds=every))
    if step.until is None:
        what = render(step.body["until"], draft.roots(entry))
        draft.do(Observe(entry.name, entry.target, what))
        return
    verdict = step.until.evaluate(draft.roots(entry))
    if verdict.value:
        ending.final(draft, entry, "succeeded")
    else:
        draft.put(entry, quiet=True, message=because(verdict))


def _approve(draft: Draft, entry: StepRun, step: Step) -> None:
    body = render(step.body, draft.roots(entry))
    expires = seconds(body.get("expires")) or step.timeout or DEFAULT_EXPIRES
    draft.put(
        entry,
        state="waiting",
        started_at=draft.now,
        deadline=draft.now + timedelta(seconds=expires),
        role=body.get("role") or "operator",
        message=str(body.get("message") or ""),
    )


def _pipeline(draft: Draft, entry: StepRun, step: Step) -> None:
    run = draft.run
    if run.depth + 1 > MAX_DEPTH:
        raise Invalid(f"{MAX_DEPTH} runs have started each other: this one starts no more")
    params = render(step.body.get("params") or {}, draft.roots(entry))
    child = _derived(draft, entry)
    limit = draft.now + timedelta(seconds=step.timeout) if step.timeout else None
    draft.put(entry, state="running", started_at=draft.now, token=child, deadline=limit)
    draft.do(StartChild(child, run, entry.name, entry.target, step.body["name"], params))


def _service(draft: Draft, entry: StepRun, step: Step) -> None:
    body = render(step.body, draft.roots(entry))
    intent = _derived(draft, entry)
    entry = draft.put(
        entry,
        state="running",
        started_at=draft.now,
        token=intent,
        deadline=draft.now + timedelta(seconds=step.timeout or SERVICE_WITHIN),
        wake_at=draft.now + timedelta(seconds=SERVICE_POLL),
    )
    draft.do(Intend(intent, draft.run.id, body["name"], body.get("do") or "restart", draft.run.begun))


def _look_at_service(draft: Draft, entry: StepRun, step: Step) -> None:
    body = render(step.body, draft.roots(entry))
    entry = draft.put(entry, quiet=True, wake_at=draft.now + timedelta(seconds=SERVICE_POLL))
    what = {"service": body["name"], "do": body.get("do") or "restart"}
    draft.do(Observe(entry.name, entry.target, what, entry.token))


def _note(draft: Draft, entry: StepRun, step: Step) -> None:
    entry = draft.put(
        entry,
        state="running",
        started_at=draft.now,
        deadline=draft.now + timedelta(seconds=step.timeout or NOTE_WITHIN),
    )
    _write_note(draft, entry, step)


def _write_note(draft: Draft, entry: StepRun, step: Step) -> None:
    run, body = draft.run, render(step.body, draft.roots(entry))
    whole = body.get("append") is None
    # Of every attempt, so that one whose answer was lost is not written again.
    mark = f"{run.id}/{entry.name}/{entry.target}"
    text = _text(body["write"] if whole else body["append"], "the note")
    path = _text(body["path"], "the note's path")
    draft.put(entry, quiet=True, wake_at=draft.now + timedelta(seconds=NOTE_POLL))
    cause, depth = run.begun or run.cause.event, run.depth + 1
    draft.do(WriteNote(mark, run.pipeline, entry.name, entry.target, path, text, whole, cause, depth))


def _derived(draft: Draft, entry: StepRun) -> str:
    seed = f"{draft.run.id}/{entry.name}/{entry.target}/{entry.attempt}"
    return derived_id(int(draft.now.timestamp() * 1000), seed)


_STARTS: Final[Mapping[Kind, Callable[[Draft, StepRun, Step], None]]] = {
    "emit": _emit,
    "wait": _wait,
    "approve": _approve,
    "pipeline": _pipeline,
    "service": _service,
    "note": _note,
}
