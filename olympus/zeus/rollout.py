"""How a service gets from what it is to what it should be, a few instances at a time; pure.

Level-triggered: called again whenever an instance, a host or the goal changed, it says what each node should
have *now*. New instances prove themselves by being healthy for `healthy_for`; until then they count as away,
and no more than `may_be_away` may be. One that fails undoes all of them where the service says `rollback`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from olympus.records.desired import InstanceSpec
from olympus.records.instance import Instance
from olympus.records.rollout import Rollout
from olympus.zeus.model import Goal, Host

START_DEADLINE: Final = 60.0
"""Seconds beyond `healthy_for` after which an instance that is still starting counts as failed."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A service as it is: what its nodes were told, what they answered."""

    current: Mapping[str, InstanceSpec]
    observed: Mapping[str, Instance]
    rollout: Rollout | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """What each node should have now (a node that is missing: nothing); when to look again by the clock."""

    specs: Mapping[str, InstanceSpec]
    rollout: Rollout | None
    wake: datetime | None = None


def step(goal: Goal, placed: Sequence[Host], hosts: Mapping[str, Host], seen: Seen, now: datetime) -> Step:
    """The next step. `placed` are the hosts that should run it, `hosts` all that are registered."""
    if goal.suspended:
        frozen = {node: spec.model_copy(update={"suspended": True}) for node, spec in seen.current.items()}
        return Step(frozen, seen.rollout)
    rollout = _begun(goal, placed, hosts, seen, now)
    rollout = _failed(goal, placed, seen, rollout, now)
    wanted = {host.name: _wanted(goal, host, rollout) for host in placed}
    return _paced(goal, wanted, hosts, replace(seen, rollout=rollout), now)


def _begun(
    goal: Goal, placed: Sequence[Host], hosts: Mapping[str, Host], seen: Seen, now: datetime
) -> Rollout | None:
    rollout = seen.rollout
    if rollout is not None and rollout.goal == goal.digest:
        return rollout
    changes = [
        host.name
        for host in placed
        if host.name in seen.current and seen.current[host.name].generation != goal.spec_on(host).generation
    ]
    if not changes:
        return None
    worked = {node: seen.current[node] for node in changes if _available(node, hosts, seen)}
    # What an unfinished roll-out replaced is what worked last, unless it was undone.
    earlier = rollout.previous if rollout is not None and rollout.failed is None else {}
    return Rollout(service=goal.service, goal=goal.digest, started=now, previous={**worked, **earlier})


def _failed(
    goal: Goal, placed: Sequence[Host], seen: Seen, rollout: Rollout | None, now: datetime
) -> Rollout | None:
    if rollout is None or rollout.failed is not None or not goal.update.rollback or not rollout.previous:
        return rollout
    for host in sorted(placed, key=lambda one: one.name):
        instance = seen.observed.get(host.name)
        # What still runs, or crashes, from before says nothing about this goal.
        if instance is None or instance.generation != goal.spec_on(host).generation:
            continue
        before = rollout.previous.get(host.name)
        if before is not None and before.generation == instance.generation:
            continue
        why = _trouble(instance, goal.update.healthy_for, now)
        if why is not None:
            return rollout.model_copy(update={"failed": why, "failed_on": host.name})
    return rollout


def _trouble(instance: Instance, healthy_for: float, now: datetime) -> str | None:
    if instance.state in ("backoff", "crashlooping"):
        return f"{instance.state}: {instance.message or instance.reason}"
    if instance.healthy is False and instance.state == "running":
        return f"unhealthy: {instance.message or instance.reason}"
    patience = timedelta(seconds=healthy_for + START_DEADLINE)
    if instance.state == "starting" and now - instance.since > patience:
        return f"not healthy after {patience.total_seconds():.0f} s"
    return None


def _wanted(goal: Goal, host: Host, rollout: Rollout | None) -> InstanceSpec:
    if rollout is None or rollout.failed is None or not rollout.previous:
        return goal.spec_on(host)
    worked = rollout.previous.get(host.name) or next(iter(rollout.previous.values()))
    fresh = goal.spec_on(host)
    return worked.model_copy(update={"restart_token": fresh.restart_token, "suspended": False})


def _paced(
    goal: Goal, wanted: Mapping[str, InstanceSpec], hosts: Mapping[str, Host], seen: Seen, now: datetime
) -> Step:
    current = seen.current
    counted = [node for node in wanted if _counts(node, hosts)]
    outdated = [
        node for node in counted if node in current and not _same_process(current[node], wanted[node])
    ]
    leaving = [node for node in current if node not in wanted]
    new = [node for node in counted if node in current and node not in outdated]
    proven = [node for node in new if _proven(node, goal, hosts, seen, now)]
    up = [node for node in (*outdated, *leaving) if _available(node, hosts, seen)]
    room = len(up) + len(proven) - (len(counted) - goal.update.may_be_away(len(counted)))

    specs = {node: wanted[node] for node in wanted if node not in outdated}
    for node in sorted(leaving):
        if node in up and room <= 0:
            specs[node] = current[node]
        elif node in up:
            room -= 1
    allowed = len(outdated)
    if goal.update.canary and len(proven) < goal.update.canary:
        allowed = max(0, goal.update.canary - len(new))
    # Those that are down anyway lose nothing by being replaced.
    for node in sorted(outdated, key=lambda one: (one in up, one)):
        if allowed > 0 and (node not in up or room > 0):
            specs[node] = wanted[node]
            allowed -= 1
            room -= 1 if node in up else 0
        else:
            specs[node] = current[node]

    unproven = [node for node in new if node not in proven]
    finished = not outdated and not unproven and all(node in current for node in counted)
    rollout = seen.rollout
    if rollout is not None and rollout.failed is None and finished:
        rollout = None
    waits = bool(outdated or leaving or rollout is not None)
    return Step(specs, rollout, _wake(unproven, goal, seen, now) if waits else None)


def _counts(node: str, hosts: Mapping[str, Host]) -> bool:
    """A dead host, or one that only observes, must not hold up the others."""
    host = hosts.get(node)
    return host is not None and host.alive and host.mode == "manage"


def _same_process(one: InstanceSpec, other: InstanceSpec) -> bool:
    return one.generation == other.generation and one.restart_token == other.restart_token


def _available(node: str, hosts: Mapping[str, Host], seen: Seen) -> bool:
    spec, instance = seen.current.get(node), seen.observed.get(node)
    if spec is None or instance is None or not _counts(node, hosts):
        return False
    took = instance.generation == spec.generation and instance.restart_token == spec.restart_token
    return took and instance.state == "running" and instance.healthy is True


def _proven(node: str, goal: Goal, hosts: Mapping[str, Host], seen: Seen, now: datetime) -> bool:
    if not _available(node, hosts, seen):
        return False
    since = seen.observed[node].healthy_since
    return since is not None and now - since >= timedelta(seconds=goal.update.healthy_for)


def _wake(unproven: Sequence[str], goal: Goal, seen: Seen, now: datetime) -> datetime | None:
    moments = []
    for node in unproven:
        instance = seen.observed.get(node)
        if instance is None:
            continue
        if instance.healthy_since is not None:
            moments.append(instance.healthy_since + timedelta(seconds=goal.update.healthy_for))
        else:
            moments.append(instance.since + timedelta(seconds=goal.update.healthy_for + START_DEADLINE + 0.1))
    future = [moment for moment in moments if moment > now]
    return min(future, default=None)
