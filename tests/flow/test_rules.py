"""A pushed Rule: an event becomes an incident, a remedy runs, and whether it helped is verified."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest

from olympus.testing.cluster import eventually
from tests.flow.support import cli, emit, incidents

RULES = """
apiVersion: olympus/v1
kind: Pipeline
metadata: {{name: clean-up}}
spec:
  params: {{type: object, required: [path], properties: {{path: {{type: string}}}}}}
  steps:
    - {{name: clean, script: 'echo "$OLY_PARAM_PATH" >> {out}'}}
    - {{name: told, emit: {{type: disk.cleaned, data: {{path: "${{{{ params.path }}}}"}}}}}}
---
apiVersion: olympus/v1
kind: Pipeline
metadata: {{name: page}}
spec: {{steps: [{{name: page, emit: {{type: paged}}}}]}}
---
apiVersion: olympus/v1
kind: Rule
metadata: {{name: disk-full}}
spec:
  on: {{event: disk.full, where: "data.percent > 90"}}
  when: "event.data.path != '/boot'"
  solve:
    - pipeline: clean-up
      params: {{path: "${{{{ event.data.path }}}}"}}
      verify: {{absent: {{event: disk.full, where: "data.path == event.data.path"}}, within: {within}}}
  otherwise: {{pipeline: page}}
  limits: {{by: data.path}}
"""


@pytest.fixture
def out():
    """What steps write to; an unprivileged user may, which pytest's folders do not allow."""
    with tempfile.TemporaryDirectory(prefix="olympus-rules-") as name:
        Path(name).chmod(0o755)
        file = Path(name) / "out"
        file.touch()
        file.chmod(0o666)
        yield file


def push(olympus, out, within="1s"):
    olympus.push({"rules.yaml": RULES.format(out=out, within=within)})


def becomes(olympus, state, within=30):
    return eventually(
        lambda: next(iter(incidents(olympus, f"state={state}")), None), within=within, what=state
    )


def test_an_event_becomes_a_run_that_is_verified(olympus, out):
    push(olympus, out)
    emit(olympus, "disk.full", path="/data", percent=10)
    emit(olympus, "disk.full", path="/boot", percent=99)
    event = emit(olympus, "disk.full", path="/data", percent=95)

    incident = becomes(olympus, "resolved")
    assert (incident["rule"], incident["key"], incident["events"]) == ("disk-full", "/data", [event])
    assert incidents(olympus) == [incident]
    (attempt,) = incident["attempts"]
    assert (attempt["pipeline"], attempt["verified"]) == ("clean-up", True)
    run = olympus.get(f"/api/v1/runs/{attempt['run']}")
    assert (run["state"], run["params"]) == ("succeeded", {"path": "/data"})
    assert run["cause"] == {"event": event, "kind": "incident", "name": incident["id"]}
    said = {one["clause"]: one["value"] for one in incident["decisions"]}
    assert said["data.percent > 90"] is True
    assert said["event.data.path != '/boot'"] is True

    told = [one["type"].removeprefix("olympus.athena.") for one in olympus.events("type=olympus.athena.*")]
    assert told[::-1] == ["incident-opened", "decided", "resolved"]
    assert {one["cause"] for one in olympus.events("type=olympus.athena.*")} == {event}

    shown = json.loads(cli(olympus, "get", "incidents", "-o", "json"))["items"]
    assert shown == [incident]
    said = cli(olympus, "describe", "incident", incident["id"])
    assert f"remedy      clean-up, run {attempt['run']} succeeded: it helped" in said


def test_what_comes_again_shows_that_it_did_not_help(olympus, out):
    push(olympus, out, within="1m")
    emit(olympus, "disk.full", path="/data", percent=95)
    incident = becomes(olympus, "verifying")
    again = emit(olympus, "disk.full", path="/data", percent=96)
    escalated = becomes(olympus, "escalated")
    assert escalated["id"] == incident["id"]
    assert again in escalated["events"]
    assert [one["pipeline"] for one in escalated["attempts"]] == ["clean-up", "page"]
    assert escalated["attempts"][0]["verified"] is False
    eventually(lambda: olympus.events("type=paged"), what="the last resort")

    cli(olympus, "ack", incident["id"], "-m", "on it")
    acked = incidents(olympus)[0]
    assert (acked["acked"]["by"][:11], acked["comments"][0]["text"]) == ("local admin", "on it")


def test_a_kill_in_between_loses_nothing_and_starts_nothing_twice(olympus, out):
    push(olympus, out, within="3s")
    for path in ("/a", "/b", "/c"):
        emit(olympus, "disk.full", path=path, percent=95)
    eventually(lambda: len(incidents(olympus)) == 3, what="three incidents")
    olympus.kill()
    olympus.start()
    ends = eventually(
        lambda: (found := incidents(olympus)) and all(one["closedAt"] for one in found) and found, within=90
    )
    assert [one["state"] for one in ends] == ["resolved"] * 3, [
        (one["attempts"], one["decisions"][2:]) for one in ends if one["state"] != "resolved"
    ]
    assert sorted(out.read_text().split()) == ["/a", "/b", "/c"]
    assert len(olympus.get("/api/v1/runs?pipeline=clean-up")["items"]) == 3
