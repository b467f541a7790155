"""The thinnest slice that runs whole: push → hook → a service alive → a pipeline by hand → seen over HTTP."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest

from olympus.testing.cluster import OlympusProcess, eventually

SERVICE = """
apiVersion: olympus/v1
kind: Service
metadata: {name: sleeper}
spec: {run: {process: {command: [sleep, "86400"]}}}
"""

PIPELINE = """
apiVersion: olympus/v1
kind: Pipeline
metadata: {name: greet}
spec:
  params: {type: object, properties: {name: {type: string, default: world}}}
  steps:
    - {name: say, run: [echo, "hello ${{ params.name }}"]}
    - {name: count, script: "echo '{\\"n\\": 3}'"}
    - name: tell
      when: steps.count.output.n == 3
      emit: {type: greeting.said, data: {n: "${{ steps.count.output.n }}"}}
"""


def instance(olympus: OlympusProcess, service: str) -> dict:
    instances = olympus.get(f"/api/v1/services/{service}")["status"]["instances"]
    return instances[0] if instances else {"state": "unknown", "pid": None}


def running(olympus: OlympusProcess, service: str) -> dict:
    return eventually(
        lambda: one if (one := instance(olympus, service))["state"] == "running" else None, what=service
    )


def test_a_push_starts_a_service_that_comes_back_when_killed(olympus):
    printed = olympus.push({"a.yaml": SERVICE})
    assert "remote: olympus: applied" in printed
    assert "+1 service" in printed
    before = running(olympus, "sleeper")
    os.kill(before["pid"], signal.SIGKILL)
    after = eventually(
        lambda: now if (now := instance(olympus, "sleeper"))["pid"] not in {before["pid"], None} else None
    )
    assert after["restarts"] == 1
    assert {"olympus.zeus.applied", "olympus.zeus.service-failed"} <= {e["type"] for e in olympus.events()}


def test_a_bad_push_is_refused_with_its_place_and_changes_nothing(olympus):
    olympus.push({"a.yaml": SERVICE})
    with pytest.raises(subprocess.CalledProcessError) as refused:
        olympus.push({"services.yaml": SERVICE.replace("spec: {", "spec: {replcas: 2, ")})
    assert "remote: olympus: refused: services.yaml:5:8: unknown field 'replcas'" in refused.value.stderr
    assert [s["metadata"]["name"] for s in olympus.get("/api/v1/services")["items"]] == ["sleeper"]


def test_a_pipeline_by_hand_is_seen_step_by_step(olympus):
    olympus.push({"p.yaml": PIPELINE})
    run = olympus.run("greet", {"name": "Zeus"})
    assert run["state"] == "succeeded", run
    assert [(s["name"], s["state"], s["exit"]) for s in run["steps"]] == [
        ("say", "succeeded", 0),
        ("count", "succeeded", 0),
        ("tell", "succeeded", None),
    ]
    assert olympus.ask("GET", f"/api/v1/runs/{run['id']}/logs?step=say").text == "hello Zeus\n"
    (said,) = olympus.events("type=greeting.said")
    assert said["data"] == {"n": 3}


def test_stopping_leaves_services_and_starting_finds_all_as_it_was(olympus):
    olympus.push({"a.yaml": SERVICE + "---" + PIPELINE})
    before = running(olympus, "sleeper")
    run = olympus.run("greet")
    token = olympus.client["token"]
    assert olympus.stop() == 0
    os.kill(before["pid"], 0)
    olympus.start()
    assert olympus.client["token"] == token
    assert running(olympus, "sleeper")["pid"] == before["pid"]
    assert olympus.get(f"/api/v1/runs/{run['id']}") == run


def test_a_push_while_olympus_is_down_is_applied_at_the_next_start(olympus):
    olympus.stop()
    printed = olympus.push({"a.yaml": SERVICE})
    assert "applies when Olympus starts" in printed
    with pytest.raises(subprocess.CalledProcessError) as refused:
        olympus.push({"a.yaml": SERVICE.replace("kind: Service", "kind: Sevrice")})
    assert "did you mean 'Service'?" in refused.value.stderr
    olympus.start()
    running(olympus, "sleeper")


def test_killed_in_the_middle_it_finds_its_services_again(olympus):
    olympus.push({"a.yaml": SERVICE})
    before = running(olympus, "sleeper")
    olympus.kill()
    os.kill(before["pid"], 0)
    olympus.start()
    after = running(olympus, "sleeper")
    assert (after["pid"], after["restarts"]) == (before["pid"], 0)
