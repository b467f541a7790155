"""The `status` of resources, made from what lies in Hermes; pure, so that every host says the same.

Ready:       it is as declared
Reconciling: it is being made so
Stalled:     nothing changes until an operator changes something
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from olympus.kernel.clock import rfc3339
from olympus.records.check import CheckRecord, CheckState, NodeStanding, standing
from olympus.records.condition import Condition, Truth
from olympus.records.desired import InstanceSpec, Refusal
from olympus.records.hosts import HostRecord
from olympus.records.incident import RuleRecord
from olympus.records.instance import Instance
from olympus.records.intents import ALL_RULES, Intent
from olympus.records.offer import Outcome, SourceState
from olympus.records.rollout import Rollout
from olympus.records.watch import WatchRecord
from olympus.spec.catalog import Catalog, Resource
from olympus.spec.kinds import API_VERSION


@dataclass(frozen=True, slots=True)
class Cluster:
    """All that statuses are made of.

    told, seen: node → service → what the node was told, what it answered
    checking:   node → the checks that it was told to make
    checks:     node → check → how it stands there
    watching:   node → the watches that it was told to keep
    watches:    node → watch → how it fares there
    rules:      how each rule fares
    facts:      node → name → {value, source, at}
    refusals:   node → why it does not take what it is told
    """

    revision: str
    applied_at: datetime
    now: datetime
    hosts: Mapping[str, HostRecord] = field(default_factory=dict)
    told: Mapping[str, Mapping[str, InstanceSpec]] = field(default_factory=dict)
    seen: Mapping[str, Mapping[str, Instance]] = field(default_factory=dict)
    rollouts: Mapping[str, Rollout] = field(default_factory=dict)
    intents: Mapping[tuple[str, str], Intent] = field(default_factory=dict)
    checking: Mapping[str, frozenset[str]] = field(default_factory=dict)
    checks: Mapping[str, Mapping[str, CheckRecord]] = field(default_factory=dict)
    watching: Mapping[str, frozenset[str]] = field(default_factory=dict)
    watches: Mapping[str, Mapping[str, WatchRecord]] = field(default_factory=dict)
    rules: Mapping[str, RuleRecord] = field(default_factory=dict)
    facts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    refusals: Mapping[str, Refusal] = field(default_factory=dict)
    outcome: Outcome | None = None
    source: SourceState | None = None


@dataclass(frozen=True, slots=True)
class _Verdict:
    since: datetime
    reason: str
    message: str = ""
    ready: Truth = "False"
    reconciling: Truth = "False"
    stalled: Truth = "False"

    def conditions(self, revision: str) -> list[dict[str, Any]]:
        return [
            Condition(
                type=type_,
                status=status,
                reason=self.reason,
                message=self.message,
                since=self.since,
                observed_revision=revision,
            ).to_json()
            for type_, status in (
                ("Ready", self.ready),
                ("Reconciling", self.reconciling),
                ("Stalled", self.stalled),
            )
        ]


def shown(resource: Resource, cluster: Cluster) -> dict[str, Any]:
    """`{apiVersion, kind, metadata, spec, status}` of what git declares."""
    replicas: int | None = 1
    if resource.kind == "Service":
        declared = resource.spec.nodes.replicas
        replicas = None if declared == "each" else declared
    return resource.to_json() | {
        "status": resource_status(resource.kind, resource.name, cluster, replicas=replicas)
    }


def shown_all(kind: str, catalog: Catalog | None, cluster: Cluster) -> list[dict[str, Any]]:
    """All of a kind, by name; of nodes also those that registered themselves without a document in git."""
    declared = [] if catalog is None else catalog.all(kind)
    items = [shown(one, cluster) for one in declared]
    if kind == "Node":
        names = set(cluster.hosts) - {one.name for one in declared}
        items += [_undeclared(name, cluster) for name in names]
    return sorted(items, key=lambda item: str(item["metadata"]["name"]))


def _undeclared(name: str, cluster: Cluster) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": "Node",
        "metadata": {"name": name, "labels": {}, "annotations": {}},
        "spec": {},
        "status": node_status(name, cluster),
    }


def resource_status(kind: str, name: str, cluster: Cluster, *, replicas: int | None = 1) -> dict[str, Any]:
    """The status of any resource. replicas: of a Service (None: each)."""
    if kind == "Service":
        return service_status(name, cluster, replicas)
    if kind == "Node":
        return node_status(name, cluster)
    if kind == "Check":
        return check_status(name, cluster)
    if kind == "LogWatch":
        return watch_status(name, cluster)
    if kind == "Rule":
        return rule_status(name, cluster)
    return declared_status(cluster, cluster.intents.get((kind.lower(), name)))


@dataclass(frozen=True, slots=True)
class _Service:
    told: Mapping[str, InstanceSpec]
    seen: Mapping[str, Instance]
    hosts: Mapping[str, HostRecord]
    wanted: int

    def healthy(self, node: str) -> bool:
        instance, host = self.seen.get(node), self.hosts.get(node)
        if instance is None or host is None or not host.alive:
            return False
        took = instance.generation == self.told[node].generation
        return took and instance.state == "running" and instance.healthy is True

    def healthy_count(self) -> int:
        return sum(1 for node in self.told if self.healthy(node))


def service_status(name: str, cluster: Cluster, replicas: int | None) -> dict[str, Any]:
    """`status` of a Service: conditions, instances, and how many of them are healthy."""
    told = {node: specs[name] for node, specs in cluster.told.items() if name in specs}
    # What a host wrote before it left for good says nothing any more.
    there = {*told, *cluster.hosts}
    seen = {node: ones[name] for node, ones in cluster.seen.items() if name in ones and node in there}
    service = _Service(told, seen, cluster.hosts, len(told) if replicas is None else replicas)
    verdict = _service_verdict(
        service, cluster.applied_at, cluster.rollouts.get(name), cluster.intents.get(("service", name))
    )
    return {
        "conditions": verdict.conditions(cluster.revision),
        "instances": [_as_known(seen[node], cluster.hosts.get(node)).to_json() for node in sorted(seen)],
        "nodes": sorted(told),
        "desired": service.wanted,
        "healthy": service.healthy_count(),
    }


def _service_verdict(
    service: _Service, applied_at: datetime, rollout: Rollout | None, intent: Intent | None
) -> _Verdict:
    wanted, healthy = service.wanted, service.healthy_count()
    since = max((one.since for one in service.seen.values()), default=applied_at)
    if intent is not None and intent.suspended:
        return _Verdict(intent.at, "Suspended", "suspended by " + (intent.by or "an operator"))
    if intent is not None and intent.stopped:
        return _Verdict(intent.at, "Stopped", "stopped by " + (intent.by or "an operator"))
    if rollout is not None and rollout.failed is not None:
        message = f"rolled back, on {rollout.failed_on} it was {rollout.failed}: push a change"
        return _Verdict(rollout.started, "RolledBack", message, stalled="True")
    here = [one for one in service.seen.values() if one.node in service.told]
    crashing = [one for one in here if one.state == "crashlooping"]
    if crashing:
        said = "; ".join(f"{one.node}: {one.message or one.reason or one.state}" for one in crashing)
        return _Verdict(since, "CrashLooping", said, stalled="True")
    if len(service.told) < wanted:
        message = f"{len(service.told)} of {wanted} replicas have a node: not enough registered nodes match"
        return _Verdict(since, "NoNode", message, stalled="True")
    if healthy < wanted:
        return _Verdict(since, *_why_not(service, healthy), reconciling="True")
    message = f"{healthy} of {wanted} instances are healthy"
    proven = [one.healthy_since or one.since for one in here]
    since = max(proven, default=applied_at)
    if rollout is not None:
        return _Verdict(since, "Progressing", message, ready="True", reconciling="True")
    return _Verdict(since, "Healthy", message, ready="True")


def _why_not(service: _Service, healthy: int) -> tuple[str, str]:
    said = []
    reason = "Starting"
    for node in sorted(service.told):
        instance, host = service.seen.get(node), service.hosts.get(node)
        if host is None or not host.alive:
            reason = "NodeLost"
            said.append(f"{node} is lost")
        elif instance is None:
            said.append(f"{node} has not answered yet")
        elif not service.healthy(node):
            reason = instance.reason or reason
            said.append(f"{node}: {instance.message or instance.reason or instance.state}")
    return reason, f"{healthy} of {service.wanted} instances are healthy; " + "; ".join(said)


def node_status(name: str, cluster: Cluster) -> dict[str, Any]:
    """`status` of a Node. lastSeen: now while the registry says that it lives."""
    host, intent = cluster.hosts.get(name), cluster.intents.get(("node", name))
    told, seen = cluster.told.get(name, {}), cluster.seen.get(name, {})
    alive = host is not None and host.alive
    drained = intent is not None and intent.drained
    services = [
        {"name": service, **(_brief(seen[service]) if service in seen else {"state": "unknown"})}
        for service in sorted({*told, *seen})
    ]
    return {
        "alive": alive,
        "lastSeen": None if host is None else rfc3339(cluster.now if host.alive else host.since),
        "drained": drained,
        "facts": dict(cluster.facts.get(name, {})),
        "services": services,
        "conditions": _node_verdict(name, cluster, intent).conditions(cluster.revision),
    }


def _node_verdict(name: str, cluster: Cluster, intent: Intent | None) -> _Verdict:
    host, refusal = cluster.hosts.get(name), cluster.refusals.get(name)
    if host is None:
        message = f"{name} is declared in git, but has not registered itself"
        return _Verdict(cluster.applied_at, "NotRegistered", message, stalled="True")
    if not host.alive:
        return _Verdict(host.since, "Lost", host.reason or "its check fails")
    if refusal is not None:
        return _Verdict(refusal.at, "DesiredRefused", refusal.reason, stalled="True")
    if intent is not None and intent.drained:
        return _Verdict(intent.at, "Drained", "drained by " + (intent.by or "an operator"), ready="True")
    return _Verdict(host.since, "Alive", ready="True")


def check_status(name: str, cluster: Cluster) -> dict[str, Any]:
    """`status` of a Check: conditions, and how it stands on each node that makes it."""
    nodes = [node for node, names in cluster.checking.items() if name in names and node in cluster.hosts]
    lost = {node: host.since for node, host in cluster.hosts.items() if not host.alive}
    stands = standing(name, nodes, cluster.checks, lost)
    return {
        "conditions": _check_verdict(stands, cluster).conditions(cluster.revision),
        "nodes": [one.to_json() for one in stands],
    }


_WORST_FIRST: Final[tuple[tuple[CheckState, str, Truth], ...]] = (
    ("failing", "Failing", "False"),
    ("unknown", "Unknown", "Unknown"),
)


def _check_verdict(stands: list[NodeStanding], cluster: Cluster) -> _Verdict:
    since = max((one.since for one in stands if one.since is not None), default=cluster.applied_at)
    if not stands:
        return _Verdict(cluster.applied_at, "NoNode", "no registered node is selected", stalled="True")
    for state, reason, ready in _WORST_FIRST:
        said = "; ".join(f"{one.node}: {one.message or state}" for one in stands if one.state == state)
        if said:
            return _Verdict(since, reason, said, ready=ready)
    return _Verdict(since, "Passing", f"passing on {len(stands)} nodes", ready="True")


def watch_status(name: str, cluster: Cluster) -> dict[str, Any]:
    """`status` of a LogWatch: conditions, and how it fares on each node that keeps it."""
    nodes = sorted(
        node for node, names in cluster.watching.items() if name in names and node in cluster.hosts
    )
    told = {node: cluster.watches.get(node, {}).get(name) for node in nodes}
    shown = [
        {"node": node, "state": _watch_state(node, told[node], cluster)}
        | ({} if (record := told[node]) is None else _without(record.to_json(), "watch", "node", "state"))
        for node in nodes
    ]
    intent = cluster.intents.get(("logwatch", name))
    return {
        "conditions": _watch_verdict(told, cluster, intent).conditions(cluster.revision),
        "nodes": shown,
        "lines": sum(one.lines for one in told.values() if one is not None),
        "matches": sum(one.matches for one in told.values() if one is not None),
    }


def _without(record: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {key: value for key, value in record.items() if key not in names}


def _watch_state(node: str, record: WatchRecord | None, cluster: Cluster) -> str:
    if record is None or not cluster.hosts[node].alive:
        return "unknown"
    return record.state


def _watch_verdict(
    told: Mapping[str, WatchRecord | None], cluster: Cluster, intent: Intent | None
) -> _Verdict:
    if intent is not None and intent.suspended:
        return _Verdict(intent.at, "Suspended", "suspended by " + (intent.by or "an operator"))
    if not told:
        return _Verdict(cluster.applied_at, "NoNode", "no registered node is selected", stalled="True")
    since = max((one.since for one in told.values() if one is not None), default=cluster.applied_at)
    failed = {node: one.message for node, one in told.items() if one is not None and one.state == "failed"}
    if failed:
        return _Verdict(since, "Failed", _said(failed))
    silent = {
        node: "the node is lost" if not cluster.hosts[node].alive else "the node has not told of it yet"
        for node, one in told.items()
        if one is None or not cluster.hosts[node].alive
    }
    if silent:
        return _Verdict(since, "Unknown", _said(silent), ready="Unknown")
    unread = {
        node: ", ".join(one.complaints) for node, one in told.items() if one is not None and one.complaints
    }
    if unread:
        return _Verdict(since, "NotAllRead", _said(unread))
    return _Verdict(since, "Watching", f"watching on {len(told)} nodes", ready="True")


def _said(by_node: Mapping[str, str]) -> str:
    return "; ".join(f"{node}: {why}" for node, why in sorted(by_node.items()))


def _as_known(instance: Instance, host: HostRecord | None) -> Instance:
    """What a lost host told last is not known to be so any more."""
    if host is None or host.alive or instance.state == "stopped":
        return instance
    said = {"state": "unknown", "since": host.since, "reason": "NodeLost", "message": host.reason}
    return instance.model_copy(update={**said, "healthy": None, "healthy_since": None})


def _brief(instance: Instance) -> dict[str, Any]:
    whole = instance.to_json()
    return {key: whole[key] for key in ("state", "pid", "healthy", "restarts", "since")}


def specs_status(cluster: Cluster) -> dict[str, Any]:
    """How it stands with the specs themselves: what is applied, and why a later commit is not."""
    outcome, source = cluster.outcome, cluster.source
    if source is not None and source.error:
        verdict = _Verdict(source.since, "FetchFailed", source.error, stalled="True")
    elif outcome is not None and not outcome.applied:
        message = f"{outcome.revision[:7]} was refused: {'; '.join(outcome.lines)}"
        verdict = _Verdict(outcome.at, "Refused", message, stalled="True")
    elif not cluster.revision:
        verdict = _Verdict(cluster.now, "Empty", "nothing was pushed yet", ready="True")
    else:
        verdict = _Verdict(cluster.applied_at, "Applied", ready="True")
    return {"revision": cluster.revision or None, "conditions": verdict.conditions(cluster.revision)}


def declared_status(cluster: Cluster, intent: Intent | None) -> dict[str, Any]:
    """`status` of kinds that are in force as soon as they are applied (Schedule, Pipeline, Webhook, …)."""
    if intent is not None and intent.suspended:
        verdict = _Verdict(intent.at, "Suspended", "suspended by " + (intent.by or "an operator"))
    else:
        verdict = _Verdict(cluster.applied_at, "Applied", ready="True")
    return {"conditions": verdict.conditions(cluster.revision)}


def rule_status(name: str, cluster: Cluster) -> dict[str, Any]:
    """`status` of a Rule: conditions, and what it came to so far."""
    record = cluster.rules.get(name) or RuleRecord(rule=name)
    raw = record.to_json()
    helped = {
        pipeline: {"tried": tried, "verified": record.verified.get(pipeline, 0)}
        for pipeline, tried in record.tried.items()
    }
    return {
        "conditions": _rule_verdict(name, record, cluster).conditions(cluster.revision),
        "lastFired": raw["lastFired"],
        "outcomes": raw["outcomes"],
        "remedies": helped,
    }


def _rule_verdict(name: str, record: RuleRecord, cluster: Cluster) -> _Verdict:
    for of, what in ((name, ""), (ALL_RULES, "every rule is ")):
        intent = cluster.intents.get(("rule", of))
        if intent is not None and intent.suspended:
            return _Verdict(intent.at, "Suspended", f"{what}suspended by {intent.by or 'an operator'}")
    if record.broken is not None and record.broken > cluster.now:
        said = f"it started too many runs in a minute, and starts no more until {rfc3339(record.broken)}"
        return _Verdict(record.last_fired or cluster.applied_at, "BreakerOpen", said)
    return _Verdict(cluster.applied_at, "Applied", ready="True")
