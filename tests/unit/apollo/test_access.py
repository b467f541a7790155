"""Who may do what: every route, for everybody."""

from __future__ import annotations

import re

import orjson

from olympus.apollo.access import ROLES
from olympus.apollo.pages.table import PAGES
from olympus.apollo.request import MAX_BODY
from olympus.hermes import keys
from olympus.hermes.kv import Put


async def test_every_route_refuses_whom_its_row_refuses_and_lets_through_whom_it_lets(here):
    seen = 0
    for route, path in here.paths():
        if route.access == "open":
            continue
        for who in (None, "revoked", "expired", *ROLES):
            answer = await here.ask(route.method, path, role=who, data=b"{not json")
            if who not in ROLES:
                assert answer.status_code == 401, (route, who)
                assert answer.headers["WWW-Authenticate"] == "Bearer"
            elif ROLES.index(who) < ROLES.index(route.access):
                assert answer.status_code == 403, (route, who)
            else:
                assert answer.status_code not in (401, 403, 500), (route, who, await answer.get_data())
            seen += 1
    assert seen > 250


async def test_every_page_leads_nobody_to_the_login_and_refuses_whom_its_row_refuses(here):
    for role in (None, *ROLES):
        if role:
            await here.client.post(
                "/login", form={"token": here.tokens[role]}, headers={"Host": "127.0.0.1:4280"}
            )
        for page in PAGES:
            answer = await here.ask("GET", re.sub(r"{\w+}", "x", page.path.replace("{kind}", "Node")))
            if role is None:
                assert (answer.status_code, answer.headers["Location"]) == (303, "/login"), page
            elif ROLES.index(role) < ROLES.index(page.access):
                assert answer.status_code == 403, (page, role)
            else:
                there = "{" not in page.path or page.path.startswith(("/note-edit/", "/spec-edit/"))
                assert answer.status_code == (200 if there else 404), (page, role)


async def test_a_wrong_token_is_401_before_anything_is_parsed_or_looked_up(here):
    for method, path in (
        ("GET", "/api/v1/nothing/like/this"),
        ("POST", "/api/v1/nothing"),
        ("GET", "/api/v1/runs/nope"),
        ("PUT", "/api/v1/runs"),
        ("GET", "/api/v1/openapi.json"),
    ):
        for token in (None, "oly_x_y", "nonsense", here.tokens["viewer"][:-1]):
            assert (await here.ask(method, path, token=token)).status_code == 401, (method, path, token)
    assert (await here.ask("GET", "/api/v1/nothing", role="viewer")).status_code == 404


async def test_errors_are_problem_documents(here):
    answer = await here.ask("GET", "/api/v1/runs/nope", role="viewer")
    assert answer.mimetype == "application/problem+json"
    problem = orjson.loads(await answer.get_data())
    assert problem["status"] == 404
    assert problem["title"] == "Not Found"
    assert "nope" in problem["detail"]


async def test_lists_end_with_next_null_and_limits_are_checked(here):
    for path in ("/api/v1/services", "/api/v1/runs", "/api/v1/events", "/api/v1/logwatches"):
        body = orjson.loads(await (await here.ask("GET", path, role="viewer")).get_data())
        assert body == {"items": [], "next": None}
        for limit in ("0", "1001", "x", "-1"):
            assert (await here.ask("GET", f"{path}?limit={limit}", role="viewer")).status_code == 400


async def test_probes_are_open_and_say_no_secrets(here):
    for path in ("/healthz", "/readyz", "/metrics"):
        answer = await here.ask("GET", path)
        assert answer.status_code == 200
        text = (await answer.get_data()).decode()
        assert not any(token in text for token in here.tokens.values())


async def test_another_host_origin_or_site_gets_nothing(here):
    for headers, status in (
        ({"Host": "evil.example"}, 421),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
    ):
        for method, path in (
            ("GET", "/api/v1/status"),
            ("POST", "/api/v1/events"),
            ("GET", "/api/v1/events/stream"),
        ):
            answer = await here.ask(method, path, role="admin", headers=headers)
            assert answer.status_code == status, (headers, path)
            assert "Access-Control-Allow-Origin" not in answer.headers
    assert (
        await here.ask("GET", "/api/v1/status", role="viewer", headers={"Origin": "http://127.0.0.1:4280"})
    ).status_code == 200


async def test_a_body_over_the_limit_is_refused_before_it_is_read(here):
    answer = await here.ask(
        "POST", "/api/v1/events", role="admin", headers={"Content-Length": str(2 * 1024**3)}
    )
    assert answer.status_code == 413
    answer = await here.ask("POST", "/api/v1/events", role="admin", data=b"x" * (MAX_BODY + 1))
    assert answer.status_code == 413


async def test_tokens_are_kept_hashed_and_revoking_counts_at_once(here):
    stored = b"".join(entry.value for entry in (await here.kv.scan(keys.TOKENS)).entries)
    assert not any(token.encode() in stored for token in here.tokens.values())
    made = orjson.loads(
        await (
            await here.ask("POST", "/api/v1/tokens", role="admin", json={"role": "viewer", "expires": "1d"})
        ).get_data()
    )
    assert (await here.ask("GET", "/api/v1/runs", token=made["token"])).status_code == 200
    listed = await (await here.ask("GET", "/api/v1/tokens", role="admin")).get_data()
    assert made["token"].encode() not in listed
    assert (await here.ask("DELETE", f"/api/v1/tokens/{made['id']}", role="admin")).status_code == 204
    assert (await here.ask("GET", "/api/v1/runs", token=made["token"])).status_code == 401
    for body in ({"role": "god"}, {"role": "viewer", "expires": "soon"}, {}):
        assert (await here.ask("POST", "/api/v1/tokens", role="admin", json=body)).status_code == 422


async def test_the_audit_names_who_did_what_and_shows_tampering(here):
    await here.ask("POST", "/api/v1/pipelines/p/runs", role="operator")
    await here.ask("POST", "/api/v1/tokens", role="viewer", json={"role": "admin"})
    items = orjson.loads(await (await here.ask("GET", "/api/v1/audit", role="admin")).get_data())["items"]
    assert [(i["by"], i["action"], i["status"]) for i in items] == [
        ("viewer", "POST /api/v1/tokens", 403),
        ("operator", "POST /api/v1/pipelines/{name}/runs", 202),
    ]
    check = await here.ask("GET", "/api/v1/audit/check", role="admin")
    assert orjson.loads(await check.get_data()) == {"intact": True, "broken": None}
    first = (await here.kv.scan(keys.AUDIT + "entries/")).entries[0]
    await here.kv.transact([Put(first.key, first.value.replace(b"operator", b"somebody"))])
    check = await here.ask("GET", "/api/v1/audit/check", role="admin")
    assert orjson.loads(await check.get_data())["intact"] is False


async def test_openapi_lists_every_route_and_nothing_else(here):
    document = orjson.loads(await (await here.ask("GET", "/api/v1/openapi.json", role="viewer")).get_data())
    assert document["openapi"].startswith("3.1")
    listed = {(method.upper(), path) for path, ops in document["paths"].items() for method in ops}
    routes = {(route.method, route.path) for route in here.app.routes}
    extra = {("GET", "/api/v1/openapi.json"), ("GET", "/healthz"), ("GET", "/readyz"), ("GET", "/metrics")}
    assert listed == routes | extra
    ids = [op["operationId"] for ops in document["paths"].values() for op in ops.values()]
    assert len(ids) == len(set(ids))


async def test_starting_a_run_takes_params_and_an_idempotency_key(here):
    post = lambda **more: here.ask("POST", "/api/v1/pipelines/p/runs", role="operator", **more)  # noqa: E731
    first = await post(json={"params": {"a": 1}}, headers={"Idempotency-Key": "k"})
    again = await post(json={"params": {"a": 1}}, headers={"Idempotency-Key": "k"})
    assert (first.status_code, again.status_code) == (202, 202)
    assert await first.get_data() == await again.get_data()
    assert len(here.runs.started) == 1
    assert (await post(json={"parms": {}})).status_code == 422
    assert (await post(data=b"[1]")).status_code == 400
    missing = await here.ask("POST", "/api/v1/pipelines/nope/runs", role="operator")
    assert missing.status_code == 404
