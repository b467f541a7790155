"""Events over HTTP, sessions, and the page with hostile content."""

from __future__ import annotations

import asyncio
import re

import orjson
import pytest

from olympus.apollo.sessions import COOKIE
from olympus.kernel.clock import SystemClock
from olympus.kernel.events import Event
from olympus.kernel.ids import new_id


async def emitted(here, type_="my.event", **data):
    answer = await here.ask("POST", "/api/v1/events", role="operator", json={"type": type_, "data": data})
    assert answer.status_code == 202, await answer.get_data()
    return orjson.loads(await answer.get_data())["id"]


async def history(here, query=""):
    return orjson.loads(await (await here.ask("GET", f"/api/v1/events?{query}", role="viewer")).get_data())


async def test_history_pages_orders_and_filters(here):
    ids = [await emitted(here, "a.b" if i % 2 else "c.d", i=i) for i in range(10)]
    page = await history(here, "limit=4")
    assert [e["id"] for e in page["items"]] == ids[:-5:-1]
    rest = await history(here, f"limit=100&cursor={page['next']}")
    assert [e["id"] for e in rest["items"]] == ids[5::-1]
    assert rest["next"] is None
    assert [e["id"] for e in (await history(here, "order=asc"))["items"]] == ids
    assert {e["type"] for e in (await history(here, "type=a.*"))["items"]} == {"a.b"}
    assert len((await history(here, "type=a.b&type=c.d"))["items"]) == 10
    assert len((await history(here, "since=1h"))["items"]) == 10
    for bad in ("since=yesterday", "order=up", "cursor=zzz"):
        assert (await here.ask("GET", f"/api/v1/events?{bad}", role="viewer")).status_code == 400
    one = await here.ask("GET", f"/api/v1/events/{ids[3]}", role="viewer")
    assert orjson.loads(await one.get_data())["data"] == {"i": 3}


@pytest.mark.parametrize(
    "body",
    [
        {"type": "olympus.zeus.applied"},
        {"type": "a b"},
        {"type": 5},
        {"data": {}},
        {"type": "x", "data": [1]},
    ],
)
async def test_what_is_no_event_of_a_users_is_refused(here, body):
    assert (await here.ask("POST", "/api/v1/events", role="operator", json=body)).status_code == 422


async def test_depth_is_ours_to_say(here):
    cause = await emitted(here)
    event = {"type": "x.y", "cause": cause, "depth": 0}
    answer = await here.ask("POST", "/api/v1/events", role="operator", json=event)
    found = await here.bus.find(orjson.loads(await answer.get_data())["id"])
    assert (found.cause, found.depth) == (cause, 1)


async def read_stream(here, count, headers=None):
    """The first `count` events of the stream."""
    given = {"Host": "127.0.0.1:4280", "Authorization": f"Bearer {here.tokens['viewer']}", **(headers or {})}
    got, text = [], b""
    async with here.client.request("/api/v1/events/stream", headers=given) as connection:
        await connection.send_complete()
        async with asyncio.timeout(10):
            while len(got) < count:
                text += await connection.receive()
                got = [orjson.loads(line) for line in re.findall(rb"data: (.*)\n", text)]
        await connection.disconnect()
    return got


async def test_the_stream_goes_on_after_the_last_event_without_loss_or_double(here):
    ids = [await emitted(here, i=i) for i in range(5)]
    reading = asyncio.ensure_future(read_stream(here, 5, {"Last-Event-ID": ids[1]}))
    await asyncio.sleep(0.1)
    ids += [await emitted(here, i=5), await emitted(here, i=6)]
    assert [e["id"] for e in await reading] == ids[2:]


async def login(here, token):
    return await here.client.post("/login", form={"token": token}, headers={"Host": "127.0.0.1:4280"})


async def test_without_a_session_the_page_leads_to_the_login(here):
    for path in ("/", "/runs/x"):
        answer = await here.ask("GET", path)
        assert (answer.status_code, answer.headers["Location"]) == (303, "/login")
    assert (await login(here, "nonsense")).status_code == 401
    answer = await login(here, here.tokens["operator"])
    assert answer.status_code == 303
    cookie = answer.headers["Set-Cookie"]
    assert COOKIE in cookie
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert here.tokens["operator"] not in cookie


async def test_a_session_reads_the_api_and_changes_only_with_the_form_token(here):
    await login(here, here.tokens["operator"])
    assert (await here.ask("GET", "/api/v1/status")).status_code == 200
    post = {"json": {"type": "x.y"}}
    assert (await here.ask("POST", "/api/v1/events", **post)).status_code == 403
    page = (await (await here.ask("GET", "/")).get_data()).decode()
    form_token = re.search(r'name="form_token" value="([0-9a-f]+)"', page)[1]
    headers = {"X-Olympus-Form": form_token}
    assert (await here.ask("POST", "/api/v1/events", headers=headers, **post)).status_code == 202
    await here.ask("POST", "/logout", form={"form_token": "wrong"})
    assert (await here.ask("GET", "/api/v1/status")).status_code == 200
    await here.ask("POST", "/logout", form={"form_token": form_token})
    assert (await here.ask("GET", "/api/v1/status")).status_code == 401


async def test_a_revoked_token_ends_its_sessions(here):
    await login(here, here.tokens["operator"])
    await here.ask("DELETE", f"/api/v1/tokens/{here.ids['operator']}", role="admin")
    here_without_bearer = await here.ask("GET", "/api/v1/status")
    assert here_without_bearer.status_code == 401


HOSTILE = "<script>alert(1)</script>\x1b[31m\x00\u202eevil {{7*7}} ${{ x }}"


async def test_hostile_text_is_shown_and_never_obeyed(here):
    event = Event(new_id(), "x.y", "s", SystemClock().now(), {"line": HOSTILE}, node=HOSTILE)
    await here.bus.publish([event])
    await login(here, here.tokens["viewer"])
    answer = await here.ask("GET", "/")
    page = (await answer.get_data()).decode()
    assert "<script>alert" not in page
    assert not set(page) & {"\x1b", "\x00", "\u202e"}
    assert "{{7*7}}" in page
    policy = answer.headers["Content-Security-Policy"]
    nonce = re.search(r"'nonce-([^']+)'", policy)[1]
    assert f'nonce="{nonce}"' in page
    assert "unsafe" not in policy
    other = await here.ask("GET", "/")
    assert nonce not in other.headers["Content-Security-Policy"]


async def test_static_files_are_those_of_the_folder_alone(here):
    assert (await here.ask("GET", "/static/olympus.css")).status_code == 200
    for path in (
        "/static/..%2ftemplates%2fbase.html",
        "/static/%2e%2e/x",
        "/static/nope",
        "/static//etc/passwd",
    ):
        assert (await here.ask("GET", path)).status_code in (404, 405, 308, 400)


async def test_the_page_shows_what_is_declared_with_little_and_with_much_said_of_it(here):
    await here.declare(
        ("Node", "bare", {}),
        ("Node", "full", {"address": "10.0.0.1"}),
        ("Service", "web", {"run": {"process": {"command": ["true"]}}}),
        ("Pipeline", "p", {"steps": [{"name": "a", "run": ["true"]}]}),
        ("Schedule", "often", {"every": "5m", "pipeline": "p"}),
    )
    await emitted(here, "of.nobody")
    await login(here, here.tokens["viewer"])
    for path, words in {
        "/": ("NotRegistered",),
        "/nodes": ("bare", "full", "10.0.0.1"),
        "/services": ("web", "true"),
        "/schedules": ("often", "every 5m"),
        "/pipelines/p": ("run true",),
        "/events": ("of.nobody",),
    }.items():
        answer = await here.ask("GET", path)
        page = (await answer.get_data()).decode()
        assert answer.status_code == 200, page
        assert [word for word in words if word not in page] == []
        assert "&lt;td" not in page
        # A viewer is offered nothing that only operators may do.
        assert "data-api" not in page
    missing = await here.ask("GET", "/runs/nope")
    assert missing.status_code == 404
