"""Local users and sessions: who logs in, as what, and how it ends."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest

from olympus.apollo.http_quart import App
from olympus.apollo.sessions import COOKIE
from olympus.apollo.tokens import Tokens
from olympus.hermes import keys
from olympus.testing.clock import VirtualClock

HOST = {"Host": "127.0.0.1:4280"}
PASSWORD = "correct horse battery"


async def body(answer):
    return orjson.loads(await answer.get_data())


async def add(here, name, **more):
    return await here.ask(
        "POST", "/api/v1/users", role="admin", json={"name": name, "password": PASSWORD, **more}
    )


async def login(here, name, password=PASSWORD, address="10.0.0.9"):
    """The answer, and the cookie that it gave."""
    here.client.cookie_jar.clear()
    answer = await here.client.post(
        "/login", form={"name": name, "password": password}, headers=HOST, scope_base={"client": (address, 1)}
    )
    cookie = answer.headers.get("Set-Cookie", "").partition(";")[0]
    here.client.cookie_jar.clear()
    return answer, cookie


async def get(here, cookie, path):
    return await here.client.get(path, headers={**HOST, "Cookie": cookie})


async def test_a_user_logs_in_and_is_kept_as_a_hash(here):
    assert (await add(here, "ann", role="operator", groups=["shop"])).status_code == 201
    stored = (await here.kv.get(keys.user("ann"))).value
    assert PASSWORD.encode() not in stored
    assert b"$argon2id$" in stored
    answer, cookie = await login(here, "ann")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    assert COOKIE in cookie
    assert (await get(here, cookie, "/api/v1/runs")).status_code == 200
    assert (await get(here, cookie, "/api/v1/tokens")).status_code == 403
    [entry] = (await body(await here.ask("GET", "/api/v1/audit?limit=1", role="admin")))["items"]
    assert (entry["by"], entry["action"]) == ("ann", "login")
    listed = await body(await here.ask("GET", "/api/v1/users", role="admin"))
    [ann] = listed["items"]
    assert (ann["name"], ann["role"], ann["groups"]) == ("ann", "operator", ["shop"])
    assert "hash" not in ann


@pytest.mark.parametrize(
    "given",
    [
        {"name": "Ann", "password": PASSWORD},
        {"name": "../x", "password": PASSWORD},
        {"name": "", "password": PASSWORD},
        {"name": "ann", "password": "short"},
        {"name": "ann", "password": "x" * 1025},
        {"name": "ann", "password": PASSWORD, "role": "god"},
        {"name": "ann", "password": PASSWORD, "groups": "shop"},
        {"name": "ann"},
    ],
)
async def test_a_user_that_is_no_user_is_refused(here, given):
    assert (await here.ask("POST", "/api/v1/users", role="admin", json=given)).status_code == 422
    assert (await here.kv.scan(keys.USERS)).entries == ()


async def test_a_name_is_taken_once(here):
    assert (await add(here, "ann")).status_code == 201
    assert (await add(here, "ann", role="admin")).status_code == 409


async def test_a_wrong_password_and_a_wrong_name_are_answered_alike(here):
    await add(here, "ann", role="viewer")
    wrong, none = await login(here, "ann", "something else"), await login(here, "bob", "something else")
    for answer, cookie in (wrong, none):
        assert answer.status_code == 401
        assert cookie == ""
    pages = [(await answer.get_data()).decode() for answer, _ in (wrong, none)]
    assert "Name or password is wrong" in pages[0]
    said = [page[page.index("Name or password") : page.index("<form class")] for page in pages]
    assert said[0] == said[1]


async def test_guessing_is_slowed_and_the_right_password_with_it(here):
    await add(here, "ann", role="viewer")
    clock = VirtualClock(here.around.clock.now())
    here.client = App(replace(here.around, clock=clock), Tokens(here.kv, clock)).build().test_client()
    for _ in range(5):
        assert (await login(here, "ann", "something else"))[0].status_code == 401
    answer, _ = await login(here, "ann")
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) >= 1
    # Elsewhere she is let in at once.
    assert (await login(here, "ann", address="10.0.0.10"))[0].status_code == 303
    clock.advance(int(answer.headers["Retry-After"]))
    assert (await login(here, "ann"))[0].status_code == 303


async def test_without_a_role_access_alone_gives_one(here):
    await add(here, "ann", groups=["shop"])
    answer, _ = await login(here, "ann")
    assert answer.status_code == 403
    assert "no Access gives you a role" in (await answer.get_data()).decode()
    await here.declare(("Access", "shop", {"groups": ["shop"], "role": "admin"}))
    answer, cookie = await login(here, "ann")
    assert answer.status_code == 303
    assert (await get(here, cookie, "/api/v1/tokens")).status_code == 200
    await here.declare()
    assert (await get(here, cookie, "/api/v1/tokens")).status_code == 403
    assert (await get(here, cookie, "/api/v1/runs")).status_code == 403


async def test_sessions_end_with_a_new_password_and_with_the_user(here):
    await add(here, "ann", role="viewer")
    _, cookie = await login(here, "ann")
    change = {"json": {"password": "another password"}}
    assert (await here.ask("POST", "/api/v1/users/ann/password", role="admin", **change)).status_code == 204
    assert (await get(here, cookie, "/api/v1/runs")).status_code == 401
    assert (await login(here, "ann"))[0].status_code == 401
    _, cookie = await login(here, "ann", "another password")
    assert (await get(here, cookie, "/api/v1/runs")).status_code == 200
    assert (await here.ask("DELETE", "/api/v1/users/ann", role="admin")).status_code == 204
    assert (await get(here, cookie, "/api/v1/runs")).status_code == 401


async def form_token(here, cookie):
    page = (await (await get(here, cookie, "/")).get_data()).decode()
    return page.partition('name="form_token" value="')[2].partition('"')[0]


async def test_people_change_their_own_password_with_the_old_one(here):
    await add(here, "ann", role="viewer")
    await add(here, "bob", role="viewer")
    _, cookie = await login(here, "ann")
    headers = {**HOST, "Cookie": cookie, "X-Olympus-Form": await form_token(here, cookie)}

    async def change(name, **given):
        path = f"/api/v1/users/{name}/password"
        return (await here.client.post(path, headers=headers, json=given)).status_code

    assert await change("ann", password="another password") == 403
    assert await change("ann", password="another password", old="wrong") == 403
    assert await change("bob", password="another password", old=PASSWORD) == 403
    assert await change("ann", password="short", old=PASSWORD) == 422
    assert await change("ann", password="another password", old=PASSWORD) == 204


async def test_sessions_are_listed_and_ended_one_by_one(here):
    await add(here, "ann", role="viewer")
    await add(here, "bob", role="viewer")
    _, first = await login(here, "ann")
    _, second = await login(here, "ann")
    _, other = await login(here, "bob")
    own = (await body(await get(here, first, "/api/v1/sessions")))["items"]
    assert [one["name"] for one in own] == ["ann", "ann"]
    assert own[0]["address"]
    everybodys = (await body(await here.ask("GET", "/api/v1/sessions", role="admin")))["items"]
    assert [one["name"] for one in everybodys] == ["ann", "ann", "bob"]
    assert not any(cookie.partition("=")[2] in str(everybodys) for cookie in (first, second, other))
    headers = {**HOST, "Cookie": first, "X-Olympus-Form": await form_token(here, first)}
    for session, status in ((everybodys[2]["id"], 404), (own[1]["id"], 204), ("nope", 404)):
        answer = await here.client.delete(f"/api/v1/sessions/{session}", headers=headers)
        assert answer.status_code == status
    assert (await get(here, second, "/api/v1/runs")).status_code == 401
    assert (await get(here, other, "/api/v1/runs")).status_code == 200
    ended = await here.ask("DELETE", f"/api/v1/sessions/{everybodys[2]['id']}", role="admin")
    assert ended.status_code == 204
    assert (await get(here, other, "/api/v1/runs")).status_code == 401
