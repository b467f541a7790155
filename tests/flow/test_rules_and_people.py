"""What people say to rules: approvals, silences, suspends; what rules ask; and where loops and storms of events end."""

from __future__ import annotations

import json

import pytest

from olympus.testing.cluster import eventually
from tests.flow.support import cli, emit, incidents

RULES = """
apiVersion: olympus/v1
kind: Asset
metadata: {name: n1}
spec: {type: server, owner: team-web, fields: {env: prod}}
---
apiVersion: olympus/v1
kind: Pipeline
metadata: {name: isolate}
spec:
  steps:
    - {name: cut, needs: [], emit: {type: host.isolated}}
    - {name: undo, on: failure, emit: {type: host.undone}}
---
apiVersion: olympus/v1
kind: Pipeline
metadata: {name: page}
spec: {steps: [{name: page, emit: {type: paged, data: {depth: "${{ event.depth }}"}}}]}
---
apiVersion: olympus/v1
kind: Rule
metadata: {name: attacked}
spec:
  on: {event: host.attacked}
  ask:
    owner: {apollo: {asset: "${{ event.data.host }}"}}
    node: {zeus: {node: n1}}
    last: {hephaestus: {pipeline: isolate, runs: 2}, unknown: proceed}
    memo: {apollo: {note: "runbooks/attacked"}, unknown: proceed}
  when: "answers.owner.fields.env == 'prod' && answers.node.alive == `true`"
  solve:
    - pipeline: isolate
      approve: {role: operator, expires: 1m, message: "isolate ${{ event.data.host }}?"}
      verify: {until: {node: n1, state: alive}, within: 20s}
  otherwise: {pipeline: page}
  limits: {by: data.host}
---
apiVersion: olympus/v1
kind: Rule
metadata: {name: restless}
spec:
  on: {event: paged}
  solve: [{pipeline: page, verify: {until: {node: n1, state: alive}, within: 20s}}]
  limits: {by: id}
"""


@pytest.fixture
def ruled(make_olympus):
    olympus = make_olympus()
    olympus.start()
    olympus.push({"rules.yaml": RULES})
    return olympus


def until(olympus, state, count=1):
    def there():
        found = incidents(olympus, f"state={state}&limit=1000")
        return found if len(found) >= count else None

    return eventually(there, within=30, what=f"{count} {state}")


def waiting(olympus):
    def there():
        runs = [
            one for one in olympus.get("/api/v1/runs?pipeline=isolate")["items"] if one["state"] == "waiting"
        ]
        return next(iter(runs), None)

    return eventually(there, what="a run that waits")


def test_a_remedy_waits_for_a_yes_and_nothing_of_it_runs_after_a_no(ruled):
    emit(ruled, "host.attacked", host="n1")
    run = waiting(ruled)
    (gate,) = [step for step in run["steps"] if step["state"] == "waiting"]
    assert (gate["name"], gate["role"], gate["message"]) == ("approve", "operator", "isolate n1?")
    (incident,) = until(ruled, "solving")
    assert incident["answers"]["owner"]["owner"] == "team-web"
    assert incident["answers"]["last"] == []
    assert "there is no note" in incident["unanswered"]["memo"]
    assert ruled.events("type=host.isolated") == []
    cli(ruled, "approve", run["id"])
    (resolved,) = until(ruled, "resolved")
    assert (resolved["id"], resolved["attempts"][0]["verified"]) == (incident["id"], True)
    assert len(ruled.events("type=host.isolated")) == 1

    emit(ruled, "host.attacked", host="n1")
    cli(ruled, "approve", waiting(ruled)["id"], "--deny")
    (escalated,) = until(ruled, "escalated")
    assert "rejected" in escalated["attempts"][0]["message"]
    assert len(ruled.events("type=host.isolated")) == 1
    assert ruled.events("type=host.undone") == []
    assert escalated["attempts"][1]["pipeline"] == "page"


def test_what_is_not_known_stops_where_it_has_to_be(ruled):
    emit(ruled, "host.attacked", host="elsewhere")
    eventually(lambda: outcomes(ruled, "attacked").get("fired"), what="the rule was looked at")
    assert incidents(ruled) == []


def outcomes(olympus, rule):
    return olympus.get(f"/api/v1/rules/{rule}")["status"]["outcomes"]


def ready(olympus, rule):
    conditions = olympus.get(f"/api/v1/rules/{rule}")["status"]["conditions"]
    return next(one for one in conditions if one["type"] == "Ready")


def test_silences_and_suspends_keep_rules_from_acting(ruled):
    made = json.loads(cli(ruled, "silence", "attacked", "--for", "1h", "--reason", "we test", "-o", "json"))
    name = made["metadata"]["name"]
    assert ruled.get(f"/api/v1/silences/{name}") == made
    first = until_silenced(ruled, "n1")
    assert "we test" in first["decisions"][-1]["because"]
    cli(ruled, "silence", "--end", name)
    assert ruled.get("/api/v1/silences")["items"] == []

    def again():
        emit(ruled, "host.attacked", host="n1")
        return incidents(ruled, "state=solving")

    # What came in the silence stays undone; what comes after it is new.
    eventually(again, what="the silence is over")
    run = waiting(ruled)
    assert run["cause"]["name"] != first["id"]

    cli(ruled, "suspend", "rule", "all")
    assert ready(ruled, "attacked")["reason"] == "Suspended"
    before = outcomes(ruled, "attacked")["silenced"]

    def suspended():
        emit(ruled, "host.attacked", host="n2")
        return outcomes(ruled, "attacked")["silenced"] > before

    eventually(suspended, what="suspended")
    cli(ruled, "resume", "rule", "all")
    assert ready(ruled, "attacked")["status"] == "True"
    joined = outcomes(ruled, "attacked").get("duplicate", 0)
    emit(ruled, "host.attacked", host="n1")
    eventually(lambda: outcomes(ruled, "attacked").get("duplicate", 0) > joined, what="joined")
    assert [one["rule"] for one in incidents(ruled, "state=solving")] == ["attacked"]


def until_silenced(olympus, host):
    """Once the silence counts, which is a moment after it was made: of what comes before, nothing is made."""
    hosts = iter(range(1000))

    def counts():
        emit(olympus, "host.attacked", host=f"nobody-{next(hosts)}")
        return incidents(olympus, "state=silenced")

    eventually(counts, what="the silence counts")
    emit(olympus, "host.attacked", host=host)

    def there():
        return next((one for one in incidents(olympus, "state=silenced") if one["key"] == host), None)

    return eventually(there, what=f"{host} is silenced")


def test_a_rule_that_triggers_itself_ends_at_the_depth_that_is_allowed(ruled):
    emit(ruled, "paged")
    eventually(lambda: outcomes(ruled, "restless").get("limited"), within=40, what="the end of the loop")
    paged = ruled.events("type=paged&limit=1000")
    assert max(one["depth"] for one in paged) > 16
    assert len(paged) < 16


def test_a_storm_of_events_is_one_incident(ruled):
    ids = [
        ruled.post("/api/v1/events", {"type": "host.attacked", "data": {"host": "n1"}})["id"]
        for _ in range(300)
    ]
    eventually(lambda: outcomes(ruled, "attacked").get("duplicate") == 299, within=40, what="all of them")
    (incident,) = incidents(ruled)
    assert (incident["joined"], incident["events"][0], incident["events"][-1]) == (299, ids[0], ids[-1])
    assert len(ruled.get("/api/v1/runs?pipeline=isolate")["items"]) == 1
