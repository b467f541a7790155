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


def test_a_table_goes_out_is_changed_planned_and_becomes_a_commit(olympus):
    files = {"a.yaml": "# Ours.\n" + ASSET % ("lap-1", "ann") + "---\n" + ASSET % ("lap-2", "ann")}
    olympus.push(files)
    table = olympus.ask("GET", "/api/v1/assets.csv")
    assert table.headers["content-type"].startswith("text/csv")
    changed = table.text.replace("lap-1,laptop,ann", "lap-1,laptop,bob").replace(
        "lap-2,laptop,ann", "lap-2,laptop,=1+1"
    )
    made = send(olympus, changed)
    assert made.status == 200, made.text
    plan = made.json
    assert [(one["verb"], one["name"]) for one in plan["plan"]["actions"]] == [
        ("update", "lap-1"),
        ("update", "lap-2"),
    ]
    assert olympus.get("/api/v1/assets/lap-1")["spec"]["owner"] == "ann"
    done = send(olympus, changed, f"?commit={plan['base']}")
    assert done.status == 201, done.text
    assert olympus.get("/api/v1/assets/lap-1")["spec"]["owner"] == "bob"
    assert olympus.get("/api/v1/assets/lap-2")["spec"]["owner"] == "=1+1"
    [last, _] = olympus.get("/api/v1/assets/lap-1/history")["items"]
    assert last["revision"] == done.json["revision"]
    assert last["actor"].startswith("local admin of")
    assert last["message"] == "Change assets: lap-1, lap-2"
    # The plan was for another main: nothing is overwritten.
    assert send(olympus, table.text, f"?commit={plan['base']}").status == 409
    assert send(olympus, table.text.replace("laptop", "")).status == 422
    bulk = {"selector": "", "set": {"location": "Budapest", "fields.ram": 16}}
    base = olympus.ask("POST", "/api/v1/assets/changes", bulk).json["base"]
    assert olympus.ask("POST", f"/api/v1/assets/changes?commit={base}", bulk).status == 201
    specs = [one["spec"] for one in olympus.get("/api/v1/assets")["items"]]
    assert {(one["location"], one["fields"]["ram"]) for one in specs} == {("Budapest", 16)}
    eventually(lambda: ("update", "lap-2") in changes(olympus), what="the event")
    olympus.git(
        "pull", "--quiet", str(olympus.state / "specs.git"), "main", cwd=olympus.state.with_suffix(".clone")
    )
    assert (olympus.state.with_suffix(".clone") / "a.yaml").read_text().startswith("# Ours.\n")


def send(olympus, table, query=""):
    headers = {"Content-Type": "text/csv"}
    return olympus.ask("POST", f"/api/v1/assets/changes{query}", table.encode(), headers=headers)
