"""A pushed Check is made on the node, told when its state changes, once, and waited for by runs."""

from __future__ import annotations

import json

from olympus.testing.cluster import eventually

CHECK = """
apiVersion: olympus/v1
kind: Check
metadata: {{name: flag}}
spec: {{file: {{path: {flag}}}, every: 100ms, failWhen: value.exists}}
---
apiVersion: olympus/v1
kind: Check
metadata: {{name: elsewhere}}
spec: {{nodes: {{selector: role=none}}, load: {{}}}}
---
apiVersion: olympus/v1
kind: Pipeline
metadata: {{name: settle}}
spec:
  steps: [{{name: settled, wait: {{until: {{check: flag, state: passing}}, every: 200ms, within: 1m}}}}]
"""

AGAIN = """
apiVersion: olympus/v1
kind: Check
metadata: {{name: again}}
spec: {{file: {{path: {flag}}}, every: 100ms, failWhen: value.exists}}
"""


def ready(olympus, name="flag"):
    status = olympus.get(f"/api/v1/checks/{name}")["status"]
    return next(one for one in status["conditions"] if one["type"] == "Ready") | {"nodes": status["nodes"]}


def becomes(olympus, reason):
    return eventually(lambda: (got := ready(olympus))["reason"] == reason and got, what=reason)


def told(olympus):
    kinds = (f"olympus.argos.check-{what}" for what in ("failed", "recovered", "unknown"))
    found = [event for kind in kinds for event in olympus.events(f"type={kind}")]
    return [
        (one["type"].rpartition("-")[2], one["data"]["check"]) for one in sorted(found, key=lambda e: e["id"])
    ]


def test_a_check_fails_is_known_over_a_kill_and_recovers(olympus, tmp_path):
    flag = tmp_path / "flag"
    olympus.push({"checks.yaml": CHECK.format(flag=flag)})
    assert becomes(olympus, "Passing")["status"] == "True"
    assert ready(olympus, "elsewhere")["reason"] == "NoNode"
    assert told(olympus) == []

    flag.touch()
    failing = becomes(olympus, "Failing")
    assert failing["status"] == "False"
    assert "exists is true" in failing["message"]
    (node,) = failing["nodes"]
    assert (node["node"], node["state"], node["value"]["exists"]) == ("n1", "failing", True)
    (event,) = olympus.events("type=olympus.argos.check-failed")
    assert (event["node"], event["data"]["since"]) == ("n1", node["since"])
    waiting = olympus.post("/api/v1/pipelines/settle/runs", {"params": {}})["id"]

    olympus.kill()
    olympus.start()
    assert becomes(olympus, "Failing")["nodes"] == failing["nodes"]
    # A second check of another name shows that the checks were made anew since.
    specs = {"checks.yaml": CHECK.format(flag=flag), "again.yaml": AGAIN.format(flag=flag)}
    olympus.push(specs)
    eventually(lambda: ready(olympus, "again")["reason"] == "Failing", what="the other one")
    assert sorted(told(olympus)) == [("failed", "again"), ("failed", "flag")]

    flag.unlink()
    becomes(olympus, "Passing")
    eventually(lambda: ("recovered", "flag") in told(olympus), what="told")
    assert sorted(told(olympus)).count(("failed", "flag")) == 1
    assert olympus.finished(waiting)["state"] == "succeeded"


def test_a_check_is_made_where_nothing_may_be_changed_and_goes_with_its_spec(make_olympus, tmp_path):
    olympus = make_olympus()
    olympus.start()
    node = json.dumps(
        {"apiVersion": "olympus/v1", "kind": "Node", "metadata": {"name": "n1"}, "spec": {"mode": "observe"}}
    )
    (tmp_path / "flag").touch()
    olympus.push({"checks.yaml": CHECK.format(flag=tmp_path / "flag"), "node.yaml": node})
    becomes(olympus, "Failing")
    olympus.push({"node.yaml": node}, "-o", "prune=confirm")
    assert olympus.ask("GET", "/api/v1/checks/flag").status == 404
    olympus.push({"checks.yaml": CHECK.format(flag=tmp_path / "none"), "node.yaml": node})
    becomes(olympus, "Passing")
