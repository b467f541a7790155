"""The status of Nodes."""

from __future__ import annotations

from typing import Any

from olympus.kernel.clock import rfc3339
from olympus.records.cluster import Cluster
from olympus.records.instance import Instance
from olympus.records.intents import Intent
from olympus.records.status.verdict import Verdict


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
        "conditions": node_conditions(name, cluster),
    }


def node_conditions(name: str, cluster: Cluster) -> list[dict[str, Any]]:
    """`status.conditions` of a Node alone."""
    return _node_verdict(name, cluster, cluster.intents.get(("node", name))).conditions(cluster.revision)


def _node_verdict(name: str, cluster: Cluster, intent: Intent | None) -> Verdict:
    host, refusal = cluster.hosts.get(name), cluster.refusals.get(name)
    if host is None:
        message = f"{name} is declared in git, but has not registered itself"
        return Verdict(cluster.applied_at, "NotRegistered", message, stalled="True")
    if not host.alive:
        return Verdict(host.since, "Lost", host.reason or "its check fails")
    if refusal is not None:
        return Verdict(refusal.at, "DesiredRefused", refusal.reason, stalled="True")
    if intent is not None and intent.drained:
        return Verdict(intent.at, "Drained", "drained by " + (intent.by or "an operator"), ready="True")
    return Verdict(host.since, "Alive", ready="True")


def _brief(instance: Instance) -> dict[str, Any]:
    whole = instance.to_json()
    return {key: whole[key] for key in ("state", "pid", "healthy", "restarts", "since")}
