"""Who is restricted by Access: sees its part, does what it may there, and nothing else."""

from __future__ import annotations

import asyncio

import orjson
import pytest

from olympus.apollo.access import ROLES, Caller, Grant, narrowed
from olympus.hermes import keys
from olympus.hermes.kv import Put
from olympus.kernel.clock import SystemClock
from olympus.kernel.events import Event
from olympus.kernel.ids import new_id
from olympus.records.incident import Incident
from olympus.records.run import Cause, Run
from olympus.records.watch import WatchRecord
from olympus.spec.catalog import Catalog, resource_of
from olympus.spec.selector import parse_selector

SHOP, BANK = {"team": "shop"}, {"team": "bank"}
VERIFY = {"absent": {"event": "x"}, "within": "1m"}
NOW = SystemClock().now()


def access(name, **spec):
    return ("Access", name, {"role": "viewer", **spec})


def declared(team, labels):
    steps = {"steps": [{"name": "go", "run": ["true"]}]}
    watch = {"source": {"files": ["/x"]}, "match": [{"name": "a", "pattern": "b"}]}
    process = {"run": {"process": {"command": ["sleep", "9"]}}}
    return [
        ("Pipeline", f"{team}-pipeline", steps, labels),
        ("Service", f"{team}-service", process, labels),
        ("Schedule", f"{team}-schedule", {"every": "1h", "pipeline": f"{team}-pipeline"}, labels),
        ("Asset", f"{team}-asset", {"type": "laptop"}, labels),
        ("Node", f"{team}-node", {}, labels),
        ("LogWatch", f"{team}-watch", watch, labels),
        (
            "Rule",
            f"{team}-rule",
            {"on": {"event": "x"}, "solve": [{"pipeline": f"{team}-pipeline", "verify": VERIFY}]},
            labels,
        ),
    ]


@pytest.fixture
async def shop(here):
    """Two teams; `operator` is shop's, and who is called `viewer` or `admin` too."""
    await here.declare(
        *declared("shop", SHOP),
        *declared("bank", BANK),
        access("shop", users=["viewer", "operator", "admin"], role="admin", selector="team=shop"),
    )
    for team in ("shop", "bank"):
        run = Run(
            id=f"{team}-run",
            pipeline=f"{team}-pipeline",
            revision="r1",
            cause=Cause(),
            created_at=NOW,
            spec="",
        )
        event = Event(
            f"{team}-event",
            "olympus.hephaestus.run-started",
            "x",
            NOW,
            {"run": run.id, "pipeline": run.pipeline},
        )
        incident = Incident(
            id=f"{team}-incident", state="open", rule=f"{team}-rule", opened_at=NOW, changed_at=NOW,
            event=event.to_json(),
        )  # fmt: skip
        watch = WatchRecord(
            watch=f"{team}-watch", node="n1", state="watching", since=NOW, at=NOW, started=NOW
        )
        await here.kv.transact(
            [
                Put(keys.run(run.id), run.to_bytes()),
                Put(keys.incident(incident.id), incident.to_bytes()),
                Put(keys.watch("n1", watch.watch), watch.to_bytes()),
            ]
        )
        await here.bus.publish([event])
    return here


async def body(answer):
    return orjson.loads(await answer.get_data())


async def test_every_route_that_is_of_everything_is_refused_to_who_has_a_part(shop):
    seen = 0
    for route, path in shop.paths():
        if route.access == "open":
            continue
        for role in ROLES:
            answer = await shop.ask(route.method, path, role=role, data=b"{not json")
            if ROLES.index(role) < ROLES.index(route.access) or not route.part:
                assert answer.status_code == 403, (route, role)
            else:
                assert answer.status_code not in (401, 500), (route, role, await answer.get_data())
            seen += 1
    assert seen > 150


NAMED = [
    *(
        ("GET", f"/api/v1/{kind}s/%s-{kind}")
        for kind in ("pipeline", "service", "schedule", "asset", "node", "rule")
    ),
    ("GET", "/api/v1/schedules/%s-schedule/next"),
    ("GET", "/api/v1/logwatches/%s-watch"),
    ("GET", "/api/v1/logwatches/%s-watch/unmatched"),
    ("GET", "/api/v1/runs/%s-run"),
    ("GET", "/api/v1/runs/%s-run/logs"),
    ("GET", "/api/v1/events/%s-event"),
    ("GET", "/api/v1/incidents/%s-incident"),
    ("GET", "/api/v1/explain?run=%s-run"),
    ("GET", "/api/v1/explain?service=%s-service"),
    ("GET", "/api/v1/explain?schedule=%s-schedule"),
]


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(("method", "path"), NAMED)
async def test_what_is_of_another_team_is_not_there(shop, method, path, role):
    assert (await shop.ask(method, path % "shop", role=role)).status_code == 200
    answer = await shop.ask(method, path % "bank", role=role)
    assert answer.status_code == 404
    assert "there is no" in (await body(answer))["detail"]


DONE = [
    ("/api/v1/pipelines/%s-pipeline/runs", {}),
    ("/api/v1/services/%s-service/orders", {"do": "restart"}),
    ("/api/v1/nodes/%s-node/orders", {"do": "drain"}),
    ("/api/v1/schedules/%s-schedule/orders", {"do": "suspend"}),
    ("/api/v1/rules/%s-rule/orders", {"do": "suspend"}),
]


@pytest.mark.parametrize(("path", "order"), DONE)
async def test_who_may_do_it_to_its_own_may_not_to_others(shop, path, order):
    assert (await shop.ask("POST", path % "shop", role="operator", json=order)).status_code == 202
    assert (await shop.ask("POST", path % "bank", role="operator", json=order)).status_code == 404
    assert (await shop.ask("POST", path % "shop", role="viewer", json=order)).status_code == 403
    assert all(pipeline == "shop-pipeline" for pipeline, _, _ in shop.runs.started)


@pytest.mark.parametrize("what", ["cancel", "retry", "approve"])
async def test_runs_of_others_can_not_be_steered(shop, what):
    asked = {"json": {"step": "go"}}
    refused = await body(await shop.ask("POST", f"/api/v1/runs/bank-run/{what}", role="operator", **asked))
    assert refused["detail"] == "there is no run bank-run"
    # The one of its own is handed on: to a Hephaestus that knows no run at all.
    assert (
        await shop.ask("POST", f"/api/v1/runs/shop-run/{what}", role="operator", **asked)
    ).status_code == 404
    assert (
        await shop.ask("POST", f"/api/v1/runs/shop-run/{what}", role="viewer", **asked)
    ).status_code == 403


async def test_every_rule_at_once_is_not_for_who_has_a_part(shop):
    for name in ("*", "all"):
        answer = await shop.ask(
            "POST", f"/api/v1/rules/{name}/orders", role="operator", json={"do": "suspend"}
        )
        assert answer.status_code == 404


@pytest.mark.parametrize(
    "path", ["pipelines", "services", "schedules", "assets", "nodes", "rules", "runs", "incidents", "events"]
)
async def test_lists_have_its_part(shop, path):
    text = (await (await shop.ask("GET", f"/api/v1/{path}", role="operator")).get_data()).decode()
    assert "shop" in text
    assert "bank" not in text


async def test_status_counts_its_part(shop):
    found = await body(await shop.ask("GET", "/api/v1/status", role="viewer"))
    assert found["counts"]["Service"] == 1
    assert "bank" not in str(found)


async def test_the_stream_tells_its_part(shop):
    headers = {"Host": "127.0.0.1:4280", "Authorization": f"Bearer {shop.tokens['viewer']}"}
    async with shop.client.request("/api/v1/events/stream", headers=headers) as connection:
        await connection.send_complete()
        await connection.receive()
        for team in ("bank", "shop"):
            data = {"service": f"{team}-service", "state": "failed"}
            await shop.bus.publish([Event(new_id(), "olympus.zeus.service-failed", "x", NOW, data)])
        async with asyncio.timeout(10):
            told = await connection.receive()
        await connection.disconnect()
    assert b"shop-service" in told
    assert b"bank" not in told


async def test_events_that_name_nothing_of_its_part_are_not_told(shop):
    mine = Event(new_id(), "shop.sold", "user/x", NOW, {}, node="shop-node")
    others = [
        Event(new_id(), "shop.sold", "user/x", NOW, {"service": "shop-service"}),
        Event(new_id(), "shop.sold", "user/x", NOW, {}, node="bank-node"),
        Event(new_id(), "olympus.zeus.applied", "x", NOW, {"revision": "r"}, node="shop-node"),
    ]
    await shop.bus.publish([mine, *others])
    assert (await shop.ask("GET", f"/api/v1/events/{mine.id}", role="viewer")).status_code == 200
    for event in others:
        assert (await shop.ask("GET", f"/api/v1/events/{event.id}", role="viewer")).status_code == 404, event


PAGES = [
    "/",
    "/runs",
    "/events",
    "/incidents",
    "/pipelines",
    "/services",
    "/schedules",
    "/assets",
    "/nodes",
    "/rules",
]
PLACES = [
    *(f"/{kind}s/%s-{kind}" for kind in ("pipeline", "service", "schedule", "asset", "node", "rule")),
    *("/runs/%s-run", "/events/%s-event", "/incidents/%s-incident"),
]


async def page(shop, path):
    answer = await shop.client.get(path, headers={"Host": "127.0.0.1:4280"})
    return answer.status_code, (await answer.get_data()).decode()


async def test_pages_have_its_part(shop):
    await shop.client.post("/login", form={"token": shop.tokens["admin"]}, headers={"Host": "127.0.0.1:4280"})
    for path in PAGES:
        status, text = await page(shop, path)
        assert status == 200, path
        assert "bank-" not in text, path
        assert path == "/" or "shop-" in text, path
    for path in PLACES:
        assert (await page(shop, path % "shop"))[0] == 200, path
        status, text = await page(shop, path % "bank")
        assert status == 404, path
    for path in ("/sync", "/audit", "/settings"):
        assert (await page(shop, path))[0] == 403, path


async def test_repositories_are_not_cloned_by_who_has_a_part(shop):
    path = "/git/specs.git/info/refs?service=git-upload-pack"
    assert (await shop.ask("GET", path, role="admin")).status_code == 403


async def test_a_new_commit_counts_at_once(shop):
    path = "/api/v1/services/bank-service"
    assert (await shop.ask("GET", path, role="viewer")).status_code == 404
    await shop.declare(*declared("bank", BANK), access("all", users=["viewer"]))
    assert (await shop.ask("GET", path, role="viewer")).status_code == 200


def caller(own, *documents, groups=()):
    catalog = Catalog(
        resource_of({"kind": "Access", "metadata": {"name": f"a{n}"}, "spec": spec})
        for n, spec in enumerate(documents)
    )
    return narrowed(Caller("t", "ann", own, groups), catalog)


def test_access_narrows_a_token_and_never_widens_it():
    assert caller("operator").may_all("operator")
    assert caller("operator", {"users": ["bob"], "role": "viewer"}).may_all("operator")
    assert not caller("operator", {"users": ["ann"], "role": "viewer"}).may("operator")
    assert not caller("viewer", {"users": ["ann"], "role": "admin"}).may("operator")
    assert caller("admin", {"groups": ["ops"], "role": "operator"}, groups=("ops",)).role == "operator"


def test_roles_of_several_documents_add_up_each_on_its_part():
    found = caller(
        "admin",
        {"users": ["ann"], "role": "viewer"},
        {"users": ["ann"], "role": "operator", "selector": "team=shop"},
    )
    assert found.may_all("viewer")
    assert not found.may_all("operator")
    assert found.may_on("operator", SHOP)
    assert not found.may_on("operator", BANK)
    assert not found.may_on("operator", None)
    assert found.may_on("viewer", None)


def test_note_folders_are_whole_names():
    found = Caller("t", "ann", "admin", access=(Grant("operator", parse_selector(""), ("team/",)),))
    assert found.may_note("operator", "team/plan")
    for path in ("teams/plan", "team", "other", "x/team/plan"):
        assert not found.may_note("viewer", path), path
    assert not found.may_all("viewer")
