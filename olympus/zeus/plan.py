"""What applying a catalog would do: how two declarations differ, and what nodes have from what they should.

Pure. A plan says where it all ends: how many instances at a time is the roll-out's business.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from olympus.records.desired import InstanceSpec
from olympus.records.plan import Action, Plan
from olympus.zeus.model import Declared, Goal, Host, Look, Placement, World
from olympus.zeus.placement import place

_MAX_DIFF: Final = 200
PRUNE_AT_LEAST: Final = 10


@dataclass(frozen=True, slots=True)
class Declaration:
    """A catalog as plans see it: its revision, its resources, its services resolved, what hosts look at."""

    revision: str | None = None
    resources: Mapping[tuple[str, str], Declared] = field(default_factory=dict)
    goals: Mapping[str, Goal] = field(default_factory=dict)
    looks: Sequence[Look] = ()


def plan(before: Declaration, after: Declaration, world: World, *, live: bool = False) -> Plan:
    """The plan from `before` to `after`. live: also what would be done because instances are not as told."""
    if after.revision is None:
        raise ValueError("a plan needs a revision to go to")
    placed = place(after.goals.values(), list(world.hosts.values()), world.placement())
    actions = [*_resources(before.resources, after.resources)]
    for service in sorted({*placed, *world.placement()}):
        goal = after.goals.get(service)
        actions += _instances(service, goal, placed.get(service, ()), world)
        if live and goal is not None:
            actions += _healing(service, goal, placed.get(service, ()), world)
    return Plan.model_validate(
        {
            "from": before.revision,
            "to": after.revision,
            "actions": actions,
            "warnings": [*_warnings(after, placed, world)],
        }
    )


def prune_refused(before: Iterable[tuple[str, str]], after: Iterable[tuple[str, str]]) -> str | None:
    """Why going from these resources to those removes too much to be meant; None where it does not."""
    old, new = set(before), set(after)
    gone = len(old - new)
    if old and not new:
        what = f"this commit declares nothing, and would delete all {len(old)} resources"
    elif gone >= PRUNE_AT_LEAST and gone * 2 > len(old):
        what = f"this would delete {gone} of {len(old)} resources"
    else:
        return None
    return f"{what}: if that is meant, push with -o prune=confirm"


def _resources(
    before: Mapping[tuple[str, str], Declared], after: Mapping[tuple[str, str], Declared]
) -> Iterable[Action]:
    for key in sorted({*before, *after}):
        old, new = before.get(key), after.get(key)
        if old is not None and new is not None and old.digest == new.digest:
            continue
        verb = "create" if old is None else "delete" if new is None else "update"
        yield Action.model_validate(
            {"verb": verb, "kind": key[0], "name": key[1], "reason": _REASONS[verb], "diff": _diff(old, new)}
        )


_REASONS: Final = {"create": "new in git", "update": "changed in git", "delete": "no longer in git"}


def _diff(old: Declared | None, new: Declared | None) -> str:
    lines = difflib.unified_diff(
        old.text().splitlines() if old else [], new.text().splitlines() if new else [], lineterm="", n=1
    )
    changed = [line for line in lines if not line.startswith(("---", "+++", "@@"))]
    if len(changed) > _MAX_DIFF:
        changed = [*changed[:_MAX_DIFF], f"… {len(changed) - _MAX_DIFF} lines more"]
    return "\n".join(changed)


def _instances(service: str, goal: Goal | None, nodes: Sequence[str], world: World) -> Iterable[Action]:
    current = world.current(service)
    if goal is not None and goal.suspended:
        return
    left = sorted(set(current) - set(nodes))
    came = sorted(set(nodes) - set(current))
    for old, new in zip(left, came, strict=False):
        yield _action("move", service, new, f"from {old}: {_why_left(goal, old, world)}")
    for new in came[len(left) :]:
        yield _action("start", service, new, "declared for this node")
    for old in left[len(came) :]:
        yield _action("stop", service, old, _why_left(goal, old, world))
    if goal is None:
        return
    for node in sorted(set(nodes) & set(current)):
        reason = _why_restarted(current[node], goal, world.hosts[node], world)
        if reason is not None:
            yield _action("restart", service, node, reason)


def _why_restarted(told: InstanceSpec, goal: Goal, host: Host, world: World) -> str | None:
    wanted = goal.spec_on(host)
    if told.restart_token != wanted.restart_token:
        return "ordered"
    rollout = world.rollouts.get(goal.service)
    undone = rollout is not None and rollout.failed is not None and rollout.goal == goal.digest
    if told.generation != wanted.generation and not undone:
        return "its run or a file that it is started with changed"
    return None


def _why_left(goal: Goal | None, node: str, world: World) -> str:
    host = world.hosts.get(node)
    if goal is None:
        return "no longer declared"
    if host is None:
        return "the node is gone"
    if host.drained:
        return "the node is drained"
    if not goal.accepts(host.labels):
        return "the node is not selected"
    return "fewer replicas are declared" if host.alive else "the node is lost"


def _healing(service: str, goal: Goal, nodes: Sequence[str], world: World) -> Iterable[Action]:
    current, seen = world.current(service), world.seen(service)
    for node in nodes:
        if goal.suspended or node not in current or current[node].stop or not world.hosts[node].alive:
            continue
        instance = seen.get(node)
        if instance is None:
            yield _action("start", service, node, "not seen running")
        elif instance.state not in ("running", "starting"):
            yield _action("start", service, node, f"{instance.state}: {instance.message or instance.reason}")
        elif instance.healthy is False:
            yield _action("restart", service, node, f"unhealthy: {instance.message or instance.reason}")


def _action(verb: str, service: str, node: str, reason: str) -> Action:
    return Action.model_validate(
        {"verb": verb, "kind": "Service", "name": service, "node": node, "reason": reason}
    )


def _warnings(after: Declaration, placed: Placement, world: World) -> Iterable[str]:
    for service in sorted(placed):
        goal, nodes = after.goals[service], placed[service]
        if not world.hosts:
            yield f"service {service}: no node is registered yet"
        elif goal.replicas is None and not nodes:
            yield f"service {service}: no registered node matches its selector"
        elif goal.replicas is not None and len(nodes) < goal.replicas:
            yield f"service {service}: {len(nodes)} of {goal.replicas} replicas: not enough nodes match"
        for node in nodes:
            yield from _host_warnings(goal, world.hosts[node])
    for look in after.looks:
        if world.hosts and not any(look.accepts(host.labels) for host in world.hosts.values()):
            yield f"{look.kind} {look.name}: no registered node matches its selector"


def _host_warnings(goal: Goal, host: Host) -> Iterable[str]:
    if host.mode == "observe":
        yield f"service {goal.service}: node {host.name} is only observed, nothing is changed there"
    process = goal.spec_on(host).process
    user = None if process is None else process.user
    if user not in (None, "nobody", *host.allow_users):
        yield f"service {goal.service}: user {user} is not in allow.users of node {host.name}"
