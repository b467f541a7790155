"""The `status` of resources, made from what lies in Hermes; pure, so that every host says the same.

Ready:       it is as declared
Reconciling: it is being made so
Stalled:     nothing changes until an operator changes something
"""

from __future__ import annotations

from typing import Any

from olympus.records.cluster import Cluster
from olympus.records.status.declared import declared_status, rule_status
from olympus.records.status.looks import check_status, watch_status
from olympus.records.status.node import node_conditions, node_status
from olympus.records.status.service import service_status
from olympus.spec.catalog import Catalog, Resource
from olympus.spec.kinds import API_VERSION


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


def standing_all(kind: str, catalog: Catalog | None, cluster: Cluster) -> list[dict[str, Any]]:
    """How all of a kind stand, at a glance: items with at least `metadata.name` and `status.conditions`."""
    if kind != "Node":
        return shown_all(kind, catalog, cluster)
    names = {one.name for one in (catalog.all(kind) if catalog is not None else ())} | cluster.hosts.keys()
    return [
        {"metadata": {"name": name}, "status": {"conditions": node_conditions(name, cluster)}}
        for name in sorted(names)
    ]


def shown_one(kind: str, name: str, catalog: Catalog | None, cluster: Cluster) -> dict[str, Any] | None:
    """One of those; None where there is none."""
    declared = None if catalog is None else catalog.get(kind, name)
    if declared is not None:
        return shown(declared, cluster)
    return _undeclared(name, cluster) if kind == "Node" and name in cluster.hosts else None


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
