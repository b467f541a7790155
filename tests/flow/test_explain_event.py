"""What became of an event, told by a whole Olympus: from what is recorded, also after a kill."""

from __future__ import annotations

import json

from olympus.testing.cluster import eventually
from tests.flow.support import cli, emit, incidents

RULES = """
apiVersion: olympus/v1
kind: Pipeline
metadata: {name: mend}
spec: {steps: [{name: mend, emit: {type: mended}}]}
---
apiVersion: olympus/v1
kind: Rule
metadata: {name: broke}
spec:
  on: {event: thing.broke, where: "data.size > 3"}
  ask: {last: {hephaestus: {pipeline: mend}}}
  when: "length(answers.last) < 1000"
  solve: [{pipeline: mend, verify: {until: {node: n1, state: alive}, within: 20s}}]
  limits: {by: data.name, cooldown: 1h}
---
apiVersion: olympus/v1
kind: Rule
metadata: {name: counted}
spec:
  correlate: {within: 1m, by: data.name, count: {of: {event: thing.broke}, atLeast: 3}}
  solve: [{pipeline: mend, verify: {until: {node: n1, state: alive}, within: 1m}}]
"""


def explain(olympus, event, **more):
    query = "&".join(f"{name}={value}" for name, value in {"event": event, **more}.items())
    found = olympus.get(f"/api/v1/explain?{query}")
    assert found["event"] == event
    return {one["rule"]: one for one in found["rules"]}


def outcomes(olympus, event):
    return {name: one["outcome"] for name, one in explain(olympus, event).items()}


def test_what_became_of_an_event_is_told_for_every_rule(olympus):
    olympus.push({"rules.yaml": RULES})
    first = emit(olympus, "thing.broke", name="a", size=5)
    incident = eventually(
        lambda: next(iter(incidents(olympus, "state=resolved")), None), what="an incident that is resolved"
    )
    small = emit(olympus, "thing.broke", name="b", size=2)
    second = emit(olympus, "thing.broke", name="a", size=6)
    third = emit(olympus, "thing.broke", name="a", size=7)
    other = emit(olympus, "thing.else")
    nameless = emit(olympus, "thing.broke", size=9)
    eventually(lambda: len(incidents(olympus, "rule=counted")) == 1, what="counted to three")
    counted = incidents(olympus, "rule=counted")[0]

    def told():
        found = {event: explain(olympus, event) for event in (first, small, second, third, other, nameless)}
        assert found[first]["broke"]["outcome"] == "fired"
        assert found[first]["broke"]["incident"] == incident["id"]
        assert [one["value"] for one in found[first]["broke"]["clauses"]] == ["true", "true"]
        assert found[small]["broke"]["because"].startswith("data.size > 3: data.size is 2")
        assert "1 of 3 came within 1m for b" in found[small]["counted"]["because"]
        assert found[second]["broke"]["outcome"] == "limited"
        assert found[second]["broke"]["because"].startswith("cooldown of 1h until 20")
        assert {found[one]["counted"]["incident"] for one in (first, second, third)} == {counted["id"]}
        assert found[other] == {}
        assert (found[nameless]["broke"]["outcome"], found[nameless]["counted"]["outcome"]) == (
            "missing",
        ) * 2
        return found

    before = told()
    assert explain(olympus, second, rule="broke") == {"broke": before[second]["broke"]}
    assert olympus.ask("GET", f"/api/v1/explain?event={first}&rule=nope").status == 404
    assert olympus.ask("GET", "/api/v1/explain?event=nope").status == 404

    said = cli(olympus, "explain", "event", small, "broke")
    assert "rule broke: false: data.size > 3: data.size is 2" in said
    assert "counted" not in said
    shown = json.loads(cli(olympus, "explain", "event", first, "-o", "json"))
    assert {one["rule"]: one for one in shown["rules"]} == before[first]

    olympus.kill()
    olympus.start(within=60)
    assert told() == before
