"""The status of Checks and LogWatches, over the nodes that have them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from olympus.records.check import CheckState, NodeStanding, standing
from olympus.records.cluster import Cluster
from olympus.records.intents import Intent
from olympus.records.status.verdict import Truth, Verdict
from olympus.records.watch import WatchRecord


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


def _check_verdict(stands: list[NodeStanding], cluster: Cluster) -> Verdict:
    since = max((one.since for one in stands if one.since is not None), default=cluster.applied_at)
    if not stands:
        return Verdict(cluster.applied_at, "NoNode", "no registered node is selected", stalled="True")
    for state, reason, ready in _WORST_FIRST:
        said = "; ".join(f"{one.node}: {one.message or state}" for one in stands if one.state == state)
        if said:
            return Verdict(since, reason, said, ready=ready)
    return Verdict(since, "Passing", f"passing on {len(stands)} nodes", ready="True")


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
) -> Verdict:
    if intent is not None and intent.suspended:
        return Verdict(intent.at, "Suspended", "suspended by " + (intent.by or "an operator"))
    if not told:
        return Verdict(cluster.applied_at, "NoNode", "no registered node is selected", stalled="True")
    since = max((one.since for one in told.values() if one is not None), default=cluster.applied_at)
    failed = {node: one.message for node, one in told.items() if one is not None and one.state == "failed"}
    if failed:
        return Verdict(since, "Failed", _said(failed))
    silent = {
        node: "the node is lost" if not cluster.hosts[node].alive else "the node has not told of it yet"
        for node, one in told.items()
        if one is None or not cluster.hosts[node].alive
    }
    if silent:
        return Verdict(since, "Unknown", _said(silent), ready="Unknown")
    unread = {
        node: ", ".join(one.complaints) for node, one in told.items() if one is not None and one.complaints
    }
    if unread:
        return Verdict(since, "NotAllRead", _said(unread))
    return Verdict(since, "Watching", f"watching on {len(told)} nodes", ready="True")


def _said(by_node: Mapping[str, str]) -> str:
    return "; ".join(f"{node}: {why}" for node, why in sorted(by_node.items()))
