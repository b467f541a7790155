"""Two hosts on one Consul: what one leaves, the other takes over."""

from __future__ import annotations

import pytest

from olympus.testing.cluster import eventually

SPECS = """
apiVersion: olympus/v1
kind: Service
metadata: {name: each}
spec: {nodes: {replicas: each}, run: {process: {command: [sh, -c, "echo each runs; exec sleep 86401"]}}}
---
apiVersion: olympus/v1
kind: Service
metadata: {name: one}
spec: {onFailure: failover, run: {process: {command: [sleep, "86402"]}}}
---
apiVersion: olympus/v1
kind: Pipeline
metadata: {name: where}
spec:
  nodes: {order: step}
  steps:
    - {name: say, script: 'echo "$OLY_NODE says"'}
    - {name: end, script: 'sleep 1; echo "$OLY_NODE ends"'}
---
apiVersion: olympus/v1
kind: Schedule
metadata: {name: tick}
spec: {every: 2s, pipeline: where, overlap: allow}
"""


def nodes_of(olympus, service, state="running"):
    instances = olympus.get(f"/api/v1/services/{service}")["status"]["instances"]
    return sorted(i["node"] for i in instances if i["state"] == state)


def slots(olympus):
    fired = olympus.events("type=olympus.chronos.fired&limit=1000")
    return [event["data"]["slot"] for event in fired]


@pytest.mark.consul
def test_what_a_lost_host_led_and_ran_goes_on_at_the_other(make_olympus, fresh_consul_agent):
    hermes = f"consul://{fresh_consul_agent.address}"
    first = make_olympus("first", node="n1", hermes=hermes)
    first.start()
    second = make_olympus("second", node="n2", hermes=hermes)
    second.start()
    eventually(lambda: len(first.get("/api/v1/nodes")["items"]) == 2, what="both registered")
    assert "applied" in first.push({"specs.yaml": SPECS})
    eventually(lambda: nodes_of(second, "each") == ["n1", "n2"], what="each on both")
    (home,) = eventually(lambda: nodes_of(second, "one"), what="one somewhere")
    run = second.run("where")
    assert sorted(step["node"] for step in run["steps"] if step["name"] == "say") == ["n1", "n2"]
    for asked in (first, second):
        lines = asked.ask("GET", f"/api/v1/runs/{run['id']}/logs").text.splitlines()
        assert sorted(lines) == ["n1 ends", "n1 says", "n2 ends", "n2 says"]
        for node in ("n1", "n2"):
            assert asked.ask("GET", f"/api/v1/services/each/logs?node={node}").text == "each runs\n"
            only = asked.ask("GET", f"/api/v1/runs/{run['id']}/logs?step=say&node={node}").text
            assert only == f"{node} says\n"
        assert asked.ask("GET", "/api/v1/services/one/logs").status == 200, "wherever it runs"
    following = second.post("/api/v1/pipelines/where/runs", {"params": {}})["id"]
    lines = second.ask("GET", f"/api/v1/runs/{following}/logs?follow=true").text.splitlines()
    assert sorted(lines) == ["n1 ends", "n1 says", "n2 ends", "n2 says"]
    lost, left = (first, second) if home == "n1" else (second, first)
    lost.kill()
    # The check fails after its time-to-live; only then does what ran there begin elsewhere.
    eventually(lambda: nodes_of(left, "one") == [left_name(left)], within=90, what="moved")
    before = len(slots(left))
    eventually(lambda: len(slots(left)) > before + 1, within=90, what="the schedule goes on")
    found = slots(left)
    assert len(found) == len(set(found)), "a slot fired twice"
    assert {"olympus.zeus.node-lost"} <= {e["type"] for e in left.events("type=olympus.zeus.*&limit=1000")}
    half = left.run("where", within=60)
    told = left.ask("GET", f"/api/v1/runs/{run['id']}/logs").text
    assert f"{left_name(left)} ends" in told
    assert f"[olympus: node '{home}' does not answer" in told
    assert left.ask("GET", f"/api/v1/services/each/logs?node={home}").status == 503
    assert half["state"] == "failed", "a node that is lost is no success"
    assert {step["node"]: step["state"] for step in half["steps"]}[left_name(left)] == "succeeded"
    lost.start()
    eventually(lambda: nodes_of(left, "each") == ["n1", "n2"], within=60, what="back")
    eventually(lambda: left.run("where", within=60)["state"] == "succeeded", within=60, what="a whole run")


def left_name(olympus):
    return olympus.get("/api/v1/status")["node"]
