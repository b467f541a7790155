"""What happened, held against a proposed commit: real history, real git, and nothing is done."""

from __future__ import annotations

import json

from olympus.testing.cluster import eventually
from tests.flow.support import cli, emit, incidents

RULES = """
apiVersion: olympus/v1
kind: Pipeline
metadata: {name: mend}
spec: {params: {type: object, properties: {what: {}}}, steps: [{name: mend, emit: {type: mended}}]}
---
apiVersion: olympus/v1
kind: Rule
metadata: {name: broke}
spec:
  on: {event: thing.broke, where: "data.size > 3"}
  ask: {last: {hephaestus: {pipeline: mend}}}
  when: "length(answers.last) < 1000"
  solve:
    - pipeline: mend
      params: {what: "${{ event.data.name }}"}
      verify: {absent: {event: thing.broke, where: "data.name == event.data.name"}, within: 300ms}
  limits: {by: data.name}
---
apiVersion: olympus/v1
kind: Rule
metadata: {name: counted}
spec:
  correlate: {within: 1m, by: data.name, count: {of: {event: thing.broke}, atLeast: 3}}
  solve: [{pipeline: mend, verify: {until: {node: n1, state: alive}, within: 1m}}]
"""
STRICTER = RULES.replace("data.size > 3", "data.size > 6").replace("atLeast: 3", "atLeast: 2")


def propose(olympus, text):
    """On a branch; what git printed."""
    clone = olympus.state.with_suffix(".clone")
    (clone / "rules.yaml").write_text(text)
    olympus.git("add", "-A", cwd=clone)
    olympus.git("commit", "--quiet", "-m", "stricter", cwd=clone)
    said = olympus.git("push", str(olympus.state / "specs.git"), "HEAD:refs/heads/stricter", cwd=clone)
    olympus.git("reset", "--quiet", "--hard", "HEAD~1", cwd=clone)
    return said


def test_a_proposed_commit_is_held_against_what_happened(olympus):
    olympus.push({"rules.yaml": RULES})
    for name, size in (("a", 5), ("a", 1), ("a", 1), ("b", 9), ("c", 2), ("c", 2)):
        emit(olympus, "thing.broke", name=name, size=size)

    def over():
        found = incidents(olympus)
        return len(found) == 3 and all(one["closedAt"] for one in found) and found

    happened = eventually(over, within=60, what="three incidents that are over")
    runs = olympus.get("/api/v1/runs")["items"]

    # Against what is applied, everything is as it was.
    found = json.loads(cli(olympus, "replay", "--since", "1h", "-o", "json"))
    assert found["cut"] is None
    assert found["events"] >= 6
    by_rule = {one["rule"]: one for one in found["rules"]}
    assert by_rule.keys() == {"broke", "counted"}
    for name, count in (("broke", 2), ("counted", 1)):
        of = by_rule[name]
        assert (of["starts"], of["stops"], of["differs"]) == ([], [], [])
        assert (of["fired"], of["fires"], of["same"], of["unsure"]) == (count, count, count, 0)

    # Another commit: which would not be, which would, and where; the push of the branch says it too.
    said = propose(olympus, STRICTER)
    assert "foreseen: rule broke (changed): 2 incidents were, 1 would not be; it would run mend on" in said
    assert "foreseen: rule counted (changed): 1 incident was, 1 more would be; it would run mend on" in said
    found = json.loads(cli(olympus, "replay", "--against", "stricter", "-o", "json"))
    by_rule = {one["rule"]: one for one in found["rules"]}
    assert [one["key"] for one in by_rule["broke"]["stops"]] == ["a"]
    assert by_rule["broke"]["stops"][0]["because"].startswith("data.size > 6: ")
    assert [(one["key"], one["runs"]) for one in by_rule["counted"]["starts"]] == [("c", ["mend"])]
    assert [one["count"] for one in by_rule["counted"]["runs"]] == [2]
    assert "rule broke (changed): 2 incidents were, 1 would be" in cli(
        olympus, "replay", "--against", "stricter"
    )
    plan = olympus.post("/api/v1/plan", {"ref": "stricter"})
    assert len(plan["foreseen"]) == 2
    assert "2 incidents were, 1 would not be" in cli(olympus, "plan", "stricter")

    # Nothing was done, and after a restart it is all the same.
    olympus.kill()
    olympus.start(within=60)
    again = olympus.post("/api/v1/replay", {"against": "stricter"})
    assert again["rules"] == found["rules"]
    assert incidents(olympus) == happened
    assert olympus.get("/api/v1/runs")["items"] == runs

    said = olympus.push({"rules.yaml": STRICTER})
    assert "foreseen: rule broke (changed): 2 incidents were, 1 would not be" in said
    assert "foreseen" not in olympus.push({"rules.yaml": STRICTER, "other.yaml": "# nothing\n"})


def test_what_can_not_be_replayed_is_refused(olympus):
    olympus.push({"rules.yaml": RULES})
    assert olympus.ask("POST", "/api/v1/replay", {"since": "soon"}).status == 422
    assert olympus.ask("POST", "/api/v1/replay", {"against": "nothing-like-it"}).status in (404, 422)
    assert olympus.ask("POST", "/api/v1/replay", {"sinc": "1d"}).status == 422
