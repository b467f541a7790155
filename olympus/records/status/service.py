"""The status of Services."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from olympus.records.cluster import Cluster
from olympus.records.desired import InstanceSpec
from olympus.records.hosts import HostRecord
from olympus.records.instance import Instance
from olympus.records.intents import Intent
from olympus.records.rollout import Rollout
from olympus.records.status.verdict import Verdict


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
) -> Verdict:
    wanted, healthy = service.wanted, service.healthy_count()
    since = max((one.since for one in service.seen.values()), default=applied_at)
    if intent is not None and intent.suspended:
        return Verdict(intent.at, "Suspended", "suspended by " + (intent.by or "an operator"))
    if intent is not None and intent.stopped:
        return Verdict(intent.at, "Stopped", "stopped by " + (intent.by or "an operator"))
    if rollout is not None and rollout.failed is not None:
        message = f"rolled back, on {rollout.failed_on} it was {rollout.failed}: push a change"
        return Verdict(rollout.started, "RolledBack", message, stalled="True")
    here = [one for one in service.seen.values() if one.node in service.told]
    crashing = [one for one in here if one.state == "crashlooping"]
    if crashing:
        said = "; ".join(f"{one.node}: {one.message or one.reason or one.state}" for one in crashing)
        return Verdict(since, "CrashLooping", said, stalled="True")
    if len(service.told) < wanted:
        message = f"{len(service.told)} of {wanted} replicas have a node: not enough registered nodes match"
        return Verdict(since, "NoNode", message, stalled="True")
    if healthy < wanted:
        return Verdict(since, *_why_not(service, healthy), reconciling="True")
    message = f"{healthy} of {wanted} instances are healthy"
    proven = [one.healthy_since or one.since for one in here]
    since = max(proven, default=applied_at)
    if rollout is not None:
        return Verdict(since, "Progressing", message, ready="True", reconciling="True")
    return Verdict(since, "Healthy", message, ready="True")


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


def _as_known(instance: Instance, host: HostRecord | None) -> Instance:
    """What a lost host told last is not known to be so any more."""
    if host is None or host.alive or instance.state == "stopped":
        return instance
    said = {"state": "unknown", "since": host.since, "reason": "NodeLost", "message": host.reason}
    return instance.model_copy(update={**said, "healthy": None, "healthy_since": None})
