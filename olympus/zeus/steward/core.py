"""One service's life: pure decisions. What comes in is a fact, what is to be done goes out as effects."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from olympus.host.process import Identity
from olympus.kernel.decision import Decision
from olympus.records.desired import InstanceSpec
from olympus.records.instance import CheckResult, Instance, InstanceState, LastExit, ProcessIdentity
from olympus.zeus.steward.model import (
    STABLE,
    Checked,
    DependenciesChanged,
    Desired,
    Due,
    Exited,
    Fact,
    FilesChanged,
    Forget,
    Reload,
    Removed,
    Start,
    Started,
    StartFailed,
    StewardEffect,
    Stop,
    Supervised,
    Tell,
    WakeAt,
    Watch,
    WriteFiles,
)

Made = Decision[Supervised | None, StewardEffect]
Effects = tuple[StewardEffect, ...]


def decide(state: Supervised | None, fact: Fact, now: datetime) -> Made:
    """What follows from `fact` for one service at `now`."""
    if isinstance(fact, Desired):
        return _desired(state, fact, now)
    if state is None:
        return Decision(None)
    match fact:
        case Removed():
            return _reconcile(replace(state, removed=True), now)
        case Started():
            return _started(state, fact, now)
        case StartFailed():
            return _failed(replace(state, phase="down"), now, "StartFailed", fact.why)
        case Exited():
            return _exited(state, fact, now)
        case Checked():
            return _checked(state, fact, now)
        case DependenciesChanged():
            return _reconcile(replace(state, ready=fact.ready), now)
        case FilesChanged():
            said = f"files were not as declared: {', '.join(fact.paths)}"
            after = _reconcile(state, now)
            return Decision(after.state, (Tell("healed", said), *after.effects))
        case Due():
            return _due(state, now)


def _desired(state: Supervised | None, fact: Desired, now: datetime) -> Made:
    before = None if state is None else state.spec
    state = _first_seen(fact, now) if state is None else state
    effects = _taken_in(state, before, fact)
    fresh = fact.spec.generation != state.spec.generation
    state = replace(state, spec=fact.spec, manage=fact.manage, ready=fact.ready, removed=False)
    if fresh:
        # Another program: what the one before did wrong does not count against it.
        state = replace(state, failures=(), burst=0, not_before=None, failed=False)
        if state.record.state in ("crashlooping", "backoff"):
            state = _show(state, now, state="starting", reason="Changed", message="")
    if before is not None and before.checks != fact.spec.checks:
        state = _show(replace(state, checks={}), now, checks=_results(replace(state, checks={})))
        if state.phase == "up" and state.identity is not None:
            effects = (*effects, Watch(fact.spec, state.identity))
    state = _show(state, now, observed_revision=fact.spec.revision or None, suspended=fact.spec.suspended)
    after = _reconcile(state, now)
    return Decision(after.state, (*effects, *after.effects))


def _taken_in(state: Supervised, before: InstanceSpec | None, fact: Desired) -> Effects:
    """What brings changed files to a process that goes on."""
    spec = fact.spec
    if state.phase != "up" or not spec.files or not fact.manage or spec.suspended:
        return ()
    if spec.generation != state.record.generation:
        return ()
    if before is None:
        # Adopted: what was changed while we were away is known by the digest alone.
        changed = spec.files if state.record.observed_digest != spec.digest else ()
    else:
        changed = tuple(file for file in spec.files if file not in before.files)
    if any(file.on_change == "reload" for file in changed):
        return (Reload(spec, state.identity),)
    return (WriteFiles(spec),) if changed or before is None or before.suspended else ()


def _first_seen(fact: Desired, now: datetime) -> Supervised:
    spec = fact.spec
    known = fact.known
    record = Instance(
        service=spec.service,
        node=fact.node,
        state="stopped",
        since=now,
        restarts=known.restarts if known else 0,
        last_exit=known.last_exit if known else None,
        # A token that was there before us asks for nothing: what starts now is new anyway.
        restart_token=known.restart_token if known else spec.restart_token,
        generation=known.generation if known else None,
        observed_digest=known.observed_digest if known else None,
    )
    if fact.as_declared:
        record = record.model_copy(
            update={"generation": spec.generation, "restart_token": spec.restart_token}
        )
    if fact.adopted is None:
        return Supervised(spec, record)
    healthy = known.healthy if known else None
    running: InstanceState = "running" if not spec.checks or healthy else "starting"
    kept = known.state if known and known.state in ("running", "starting", "crashlooping") else running
    record = record.model_copy(
        update={
            "state": kept,
            "since": known.since if known else now,
            "pid": fact.adopted.pid or None,
            "identity": _identity(fact.adopted),
            "healthy": healthy if spec.checks else True,
            "healthy_since": (known.healthy_since if known else None) or (None if spec.checks else now),
        }
    )
    return Supervised(spec, record, phase="up", identity=fact.adopted, up_since=fact.adopted_since or now)


def _identity(identity: Identity) -> ProcessIdentity:
    return ProcessIdentity(boot_id=identity.boot_id, pid=identity.pid, start_time=identity.start_time)


def _reconcile(state: Supervised, now: datetime) -> Made:
    """The next step from what is to what should be; none where one is on its way."""
    spec, record = state.spec, state.record
    if not state.manage or (spec.suspended and not state.removed):
        return Decision(state, (WakeAt(None),))
    wanted = not (spec.stop or spec.drain or state.removed)
    if state.phase == "up":
        if not wanted or record.generation != spec.generation or record.restart_token != spec.restart_token:
            return _stop(state, now, wanted=wanted)
        return _settle(state, now)
    if state.phase != "down":
        return Decision(state)
    if state.removed:
        return Decision(None, (WakeAt(None), Forget()))
    if not wanted:
        reason = "Drained" if spec.drain else "Stopped"
        state = _show(state, now, state="stopped", reason=reason, message="", observed_digest=spec.digest)
        return Decision(replace(state, failures=(), burst=0, not_before=None, failed=False), (WakeAt(None),))
    if not state.ready:
        said = f"waits for {', '.join(spec.depends_on)}"
        return Decision(
            _show(state, now, state="starting", reason="DependencyNotReady", message=said), (WakeAt(None),)
        )
    if state.not_before is not None and state.not_before > now:
        return Decision(state, (WakeAt(state.not_before),))
    shown: InstanceState = "crashlooping" if record.state == "crashlooping" else "starting"
    reason = record.reason if shown == "crashlooping" else "Starting"
    state = _show(state, now, state=shown, reason=reason)
    state = replace(state, phase="spawning", begun=spec, not_before=None, checks={})
    return Decision(state, (WakeAt(None), Start(spec)))


def _stop(state: Supervised, now: datetime, *, wanted: bool) -> Made:
    if wanted:
        changed = state.record.generation != state.spec.generation
        state = _show(
            state, now, state="starting", reason="Changed" if changed else "RestartAsked", message=""
        )
    state = replace(_show(state, now, healthy=None, healthy_since=None), phase="stopping", planned=True)
    return Decision(state, (WakeAt(None), Stop(state.begun or state.spec, state.identity)))


def _started(state: Supervised, fact: Started, now: datetime) -> Made:
    # What is desired may have changed meanwhile.
    spec = state.begun or state.spec
    again = state.failed and state.record.generation == spec.generation
    state = replace(state, phase="up", identity=fact.identity, up_since=now, planned=False)
    healthy = None if spec.checks else True
    shown: dict[str, Any] = {
        "pid": fact.identity.pid or None,
        "identity": _identity(fact.identity),
        "generation": spec.generation,
        "restart_token": spec.restart_token,
        "observed_digest": spec.digest,
        "restarts": state.record.restarts + 1 if again else state.record.restarts,
        "healthy": healthy,
        "healthy_since": now if healthy else None,
        "checks": _results(state),
    }
    if state.record.generation != spec.generation:
        shown["restarts"] = 0
    if state.record.state != "crashlooping":
        waiting = bool(spec.checks)
        shown |= {
            "state": "starting" if waiting else "running",
            "reason": "ChecksPending" if waiting else "Running",
            "message": "",
        }
    return _reconcile(_show(state, now, **shown), now)


def _settle(state: Supervised, now: datetime) -> Made:
    """It is up: has it recovered, and when is the next look?"""
    record, effects = state.record, []
    stable_at = (state.up_since or now) + STABLE
    if not state.spec.checks and not record.healthy:
        # Its checks went, and left it running.
        return _healthy(state, now)
    if record.observed_digest != state.spec.digest:
        # What changed needed no restart.
        state = _show(state, now, observed_digest=state.spec.digest)
    if record.state == "crashlooping" and now >= stable_at and record.healthy is not False:
        if record.healthy:
            state = _show(state, now, state="running", reason="Running", message="")
        else:
            state = _show(state, now, state="starting", reason="ChecksPending", message="")
    if now >= stable_at:
        state = replace(state, burst=0, failures=() if state.record.state == "running" else state.failures)
    # Not before it is stable: a crash loop would tell of a recovery at each of its starts.
    if state.record.state == "running" and state.failed and now >= stable_at:
        effects.append(Tell("service-recovered", "it runs again"))
        state = replace(state, failed=False)
    unsettled = state.burst or state.failed or state.record.state == "crashlooping"
    wake = stable_at if now < stable_at and unsettled else None
    return Decision(state, (WakeAt(wake), *effects))


def _exited(state: Supervised, fact: Exited, now: datetime) -> Made:
    if state.phase not in ("up", "stopping") or (
        fact.identity is not None and fact.identity != state.identity
    ):
        return Decision(state)
    ended = LastExit(code=fact.code, at=now)
    planned = state.planned
    state = replace(state, phase="down", identity=None, planned=False)
    state = _show(state, now, pid=None, identity=None, healthy=None, healthy_since=None, last_exit=ended)
    if planned:
        return _reconcile(state, now)
    said = fact.why or _how(fact.code)
    if not state.manage or state.spec.suspended:
        state = _show(state, now, state="stopped", reason="Exited", message=said)
        return Decision(state, (WakeAt(None),))
    if state.record.reason == "CheckFailed":
        return _failed(state, now, "CheckFailed", state.record.message)
    return _failed(state, now, "Exited", said)


def _failed(state: Supervised, now: datetime, reason: str, message: str) -> Made:
    policy = state.spec.restart
    if state.up_since is not None and now - state.up_since >= STABLE:
        state = replace(state, burst=0, failures=())
    window = timedelta(seconds=policy.within)
    failures = (*(at for at in state.failures if now - at < window), now)
    state = replace(state, failures=failures, up_since=None, failed=True)
    if len(failures) > policy.attempts:
        was = state.record.state == "crashlooping"
        said = f"{message}; {len(failures)} failures within {policy.within:g} s, tried again every {policy.max:g} s"
        state = _show(state, now, state="crashlooping", reason=reason, message=said)
        state = replace(state, not_before=now + timedelta(seconds=policy.max))
        tell: Effects = () if was else (Tell("service-crashlooping", said),)
    else:
        delay = _delay(state, policy.delay, policy.max)
        shown: InstanceState = "backoff" if delay else "starting"
        state = _show(state, now, state=shown, reason=reason, message=message)
        state = replace(state, burst=state.burst + 1, not_before=now + timedelta(seconds=delay))
        tell = (Tell("service-failed", message),)
    after = _reconcile(state, now)
    return Decision(after.state, (*tell, *after.effects))


def _delay(state: Supervised, base: float, longest: float) -> float:
    """The first of a burst at once, then base × 2ⁿ, ± 10 % so that many services don't start as one."""
    if state.burst == 0:
        return 0.0
    seed = f"{state.record.node}/{state.spec.service}/{len(state.failures)}/{state.record.restarts}"
    fraction = int.from_bytes(hashlib.blake2b(seed.encode(), digest_size=4).digest(), "big") / 2**32
    return min(longest, base * 2.0 ** (state.burst - 1) * (0.9 + 0.2 * fraction))


def _checked(state: Supervised, fact: Checked, now: datetime) -> Made:
    spec = state.spec
    if state.phase != "up" or fact.index >= len(spec.checks):
        return Decision(state)
    _, failures, _ = state.checks.get(fact.index, (None, 0, ""))
    failures = 0 if fact.passing else failures + 1
    checks = {**state.checks, fact.index: (fact.passing, failures, fact.message)}
    state = replace(state, checks=checks)
    worst = next((i for i, (_, n, _) in checks.items() if n >= spec.checks[i].failures), None)
    if worst is not None:
        said = f"{_check_name(spec, worst)}: {checks[worst][2]}"
        return _unhealthy(state, now, said)
    if len(checks) == len(spec.checks) and all(passing for passing, _, _ in checks.values()):
        return _healthy(state, now)
    return Decision(state)


def _healthy(state: Supervised, now: datetime) -> Made:
    if not state.record.healthy:
        state = _show(state, now, healthy=True, healthy_since=now, checks=_results(state))
    record = state.record
    if record.state == "starting" or (record.state == "running" and record.reason == "CheckFailed"):
        state = _show(state, now, state="running", reason="Running", message="")
    return _settle(state, now)


def _unhealthy(state: Supervised, now: datetime, said: str) -> Made:
    state = _show(state, now, healthy=False, healthy_since=None, checks=_results(state))
    if not state.manage or state.spec.suspended:
        return Decision(_show(state, now, reason="CheckFailed", message=said))
    # It hangs: it is ended, and what comes then is the failure.
    state = _show(state, now, reason="CheckFailed", message=said)
    stop = Stop(state.begun or state.spec, state.identity)
    return Decision(replace(state, phase="stopping"), (WakeAt(None), stop))


def _results(state: Supervised) -> tuple[CheckResult, ...]:
    found = []
    for index in range(len(state.spec.checks)):
        passing, failures, message = state.checks.get(index, (None, 0, ""))
        name = _check_name(state.spec, index)
        found.append(CheckResult(name=name, passing=passing, failures=failures, message=message))
    return tuple(found)


def _check_name(spec: InstanceSpec, index: int) -> str:
    check = spec.checks[index]
    if check.http:
        return f"http {check.http}"
    return f"tcp {check.tcp}" if check.tcp else f"command {(check.command or ('',))[0]}"


def _due(state: Supervised, now: datetime) -> Made:
    return _settle(state, now) if state.phase == "up" else _reconcile(state, now)


def _how(code: int | None) -> str:
    if code is None:
        return "the process is gone"
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"


def _show(supervised: Supervised, now: datetime, /, **update: Any) -> Supervised:
    """The record with `update`; `since` moves with `state`."""
    record = supervised.record
    if "state" in update and update["state"] != record.state:
        update["since"] = now
    changed = {name: value for name, value in update.items() if getattr(record, name) != value}
    return replace(supervised, record=record.model_copy(update=changed)) if changed else supervised
