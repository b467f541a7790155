"""Assets, by push: told once each, also over a kill; and who changed what, from the specs' commits."""

from __future__ import annotations

from olympus.testing.cluster import eventually

ASSET = """\
apiVersion: olympus/v1
kind: Asset
metadata: {name: %s}
spec: {type: laptop, owner: %s}
"""
PIPELINE = """\
apiVersion: olympus/v1
kind: Pipeline
metadata: {name: tell}
spec:
  on: [{event: olympus.apollo.asset-changed, where: "data.verb == 'update'", params: {name: "${{ event.data.name }}"}}]
  params: {type: object, properties: {name: {type: string}}}
  steps: [{name: say, run: [echo, "${{ params.name }} changed"]}]
"""


def changes(olympus):
    found = olympus.get("/api/v1/events?type=olympus.apollo.asset-changed&order=asc&limit=1000")["items"]
    return [(one["data"]["verb"], one["data"]["name"]) for one in found]


def eventually_told(olympus, *expected):
    eventually(lambda: changes(olympus) == list(expected), what=f"changes {expected}")


def test_changes_are_told_once_also_over_a_kill_and_start_pipelines(olympus):
    olympus.push({"a.yaml": ASSET % ("lap-1", "ann"), "p.yaml": PIPELINE})
    eventually_told(olympus, ("create", "lap-1"))
    olympus.push({"a.yaml": ASSET % ("lap-1", "bob"), "p.yaml": PIPELINE})
    eventually_told(olympus, ("create", "lap-1"), ("update", "lap-1"))
    [run] = eventually(lambda: olympus.get("/api/v1/runs?pipeline=tell")["items"], what="the run")
    assert run["params"] == {"name": "lap-1"}
    chain = olympus.get(f"/api/v1/events/{run['cause']['event']}")
    assert chain["type"] == "olympus.apollo.asset-changed"
    assert olympus.get(f"/api/v1/events/{chain['cause']}")["type"] == "olympus.zeus.applied"
    olympus.kill()
    olympus.start()
    olympus.push({"a.yaml": ASSET % ("lap-1", "bob"), "b.yaml": ASSET % ("lap-2", "eve")})
    eventually_told(olympus, ("create", "lap-1"), ("update", "lap-1"), ("create", "lap-2"))


def test_history_has_every_field_with_who_also_where_the_file_was_moved(olympus):
    olympus.push({"a.yaml": ASSET % ("lap-1", "ann"), "b.yaml": ASSET % ("lap-11", "x")})
    olympus.push({"a.yaml": ASSET % ("lap-1", "bob")})
    olympus.push({"moved/all.yml": ASSET % ("lap-1", "bob") + "---\n" + ASSET % ("lap-3", "x")})
    olympus.push({"moved/all.yml": ASSET % ("lap-1", "eve") + "---\n" + ASSET % ("lap-3", "x")})
    items = olympus.get("/api/v1/assets/lap-1/history")["items"]
    owners = [[(c["from"], c["to"]) for c in one["changes"] if c["field"] == "spec.owner"] for one in items]
    assert owners == [[("bob", "eve")], [("ann", "bob")], [(None, "ann")]]
    assert [one["verb"] for one in items] == ["update", "update", "create"]
    assert all(one["actor"] and one["revision"] for one in items)
    only = olympus.get("/api/v1/assets/lap-1/history?field=spec.type")["items"]
    assert [one["verb"] for one in only] == ["create"]
    assert olympus.ask("GET", "/api/v1/assets/lap-9/history").status == 404
