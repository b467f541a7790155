"""Conditions of services and nodes: what people read when they ask why."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from olympus.records.cluster import Cluster
from olympus.records.desired import InstanceSpec, ProcessRun
from olympus.records.hosts import HostRecord
from olympus.records.instance import Instance
from olympus.records.intents import Intent
from olympus.records.rollout import Rollout
from olympus.records.status import resource_status, shown_all
from olympus.spec.catalog import Catalog, resource_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SPEC = InstanceSpec(service="s", process=ProcessRun(command=("run",))).sealed()


def cluster(*instances: Instance, told: tuple[str, ...] = ("n1",), **more) -> Cluster:
    hosts = {name: HostRecord(alive=True, since=NOW) for name in ("n1", "n2")}
    return Cluster(
        **{
            "revision": "abc",
            "applied_at": NOW,
            "now": NOW + timedelta(hours=1),
            "hosts": hosts,
            "told": {name: {"s": SPEC} for name in told},
            "seen": {one.node: {"s": one} for one in instances},
            **more,
        }
    )


def instance(state: str = "running", *, healthy: bool | None = True, node: str = "n1", **more) -> Instance:
    return Instance.model_validate(
        {
            "service": "s",
            "node": node,
            "state": state,
            "healthy": healthy,
            "since": NOW,
            "generation": SPEC.generation,
            **more,
        }
    )


def conditions(
    cluster: Cluster, kind: str = "Service", name: str = "s", **more
) -> dict[str, tuple[str, str]]:
    status = resource_status(kind, name, cluster, **more)
    assert all(one["observedRevision"] == "abc" for one in status["conditions"])
    return {one["type"]: (one["status"], one["reason"]) for one in status["conditions"]}


def test_a_healthy_service_is_ready():
    said = conditions(cluster(instance()))
    assert said["Ready"] == ("True", "Healthy")
    assert said["Reconciling"][0] == said["Stalled"][0] == "False"


def test_one_that_nobody_answered_for_is_reconciling():
    assert conditions(cluster())["Reconciling"] == ("True", "Starting")
    assert conditions(cluster())["Ready"][0] == "False"


def test_a_running_process_of_an_older_generation_is_not_ready():
    assert conditions(cluster(instance(generation="old")))["Ready"][0] == "False"


def test_a_crash_loop_is_stalled_and_says_where_and_why():
    status = resource_status(
        "Service", "s", cluster(instance("crashlooping", healthy=False, message="exit 3"))
    )
    stalled = next(one for one in status["conditions"] if one["type"] == "Stalled")
    assert stalled["status"] == "True"
    assert stalled["message"] == "n1: exit 3"
    assert status["instances"][0]["state"] == "crashlooping"


def test_too_few_nodes_is_stalled():
    assert conditions(cluster(instance()), replicas=3)["Stalled"] == ("True", "NoNode")


def test_a_lost_node_is_the_reason():
    lost = {"n1": HostRecord(alive=False, since=NOW, reason="its check fails")}
    assert conditions(cluster(instance(), hosts=lost))["Ready"] == ("False", "NodeLost")
    node = resource_status("Node", "n1", cluster(instance(), hosts=lost))
    assert node["alive"] is False
    assert node["lastSeen"] == "2026-01-01T00:00:00.000000Z"
    assert node["services"][0]["name"] == "s"


def test_a_suspended_service_says_by_whom():
    intent = Intent(id="1", do="suspend", at=NOW, by="ada", suspended=True)
    said = resource_status("Service", "s", cluster(instance(), intents={("service", "s"): intent}))
    assert said["conditions"][0]["reason"] == "Suspended"
    assert "ada" in said["conditions"][0]["message"]


def test_a_rollback_is_stalled_until_a_change():
    rollout = Rollout(service="s", goal="d", started=NOW, failed="crashlooping: exit 1", failed_on="n1")
    assert conditions(cluster(instance(), rollouts={"s": rollout}))["Stalled"] == ("True", "RolledBack")


def test_a_declared_node_that_never_registered_is_not_alive():
    assert conditions(cluster(), "Node", "n9")["Ready"] == ("False", "NotRegistered")


def test_a_schedule_is_ready_when_applied_and_not_when_suspended():
    assert conditions(cluster(), "Schedule", "x")["Ready"] == ("True", "Applied")
    intent = Intent(id="1", do="suspend", at=NOW, suspended=True)
    suspended = cluster(intents={("schedule", "x"): intent})
    assert conditions(suspended, "Schedule", "x")["Ready"] == ("False", "Suspended")


def test_resources_are_shown_with_spec_and_status():
    spec = {"run": {"process": {"command": ["run"]}}, "nodes": {"replicas": "each"}}
    web = resource_of({"kind": "Service", "metadata": {"name": "s", "labels": {"team": "a"}}, "spec": spec})
    (item,) = shown_all("Service", Catalog([web]), cluster(instance()))
    assert set(item) == {"apiVersion", "kind", "metadata", "spec", "status"}
    assert item["metadata"]["labels"] == {"team": "a"}
    assert item["spec"] == spec
    assert item["status"]["desired"] == 1
    assert item["status"]["instances"][0]["state"] == "running"


def test_hosts_without_a_document_are_nodes_too():
    declared = resource_of({"kind": "Node", "metadata": {"name": "n1"}, "spec": {}})
    items = shown_all("Node", Catalog([declared]), cluster(instance()))
    assert [(one["metadata"]["name"], one["status"]["alive"]) for one in items] == [
        ("n1", True),
        ("n2", True),
    ]
    assert [one["metadata"]["name"] for one in shown_all("Node", None, cluster())] == ["n1", "n2"]
