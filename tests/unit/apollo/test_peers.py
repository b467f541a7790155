"""Two Olympuses on one Hermes, each with its own logs: what is asked of the one is fetched from the other."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from olympus.apollo.access import Caller
from olympus.apollo.http_quart import App
from olympus.apollo.peers import HEADER, PASSED, Call, Peers, said
from olympus.apollo.server_hypercorn import listen, serve
from olympus.apollo.tokens import Tokens
from olympus.hermes import keys
from olympus.hermes.kv import Delete, Put
from olympus.hermes.registry import Member
from olympus.hermes.registry_embedded import EmbeddedRegistry
from olympus.host.http_aiohttp import HttpClient, HttpFailed
from olympus.kernel.clock import SystemClock, rfc3339
from olympus.kernel.errors import RetryLater
from olympus.kernel.ids import new_id
from olympus.records.run import Run, StepRun, StoredPipeline
from olympus.testing.trust import author_of, trust_of

RUN = new_id()
PATH = f"/api/v1/runs/{RUN}/logs"
SPEC = {"steps": [{"name": "say", "run": ["echo"]}, {"name": "tell", "emit": {"type": "x"}}]}


@dataclass
class Written:
    """The logs of one host."""

    node: str
    folder: Path

    def steps(self, run):
        return [(f.stem, self.node, 1, f) for f in sorted(self.folder.glob("*.log"))] if run == RUN else []

    def service(self, name, tail):
        return f"{name} on {self.node}\n".encode() if (self.folder / name).exists() else None

    def service_from(self, name, offset):
        return b"", 0

    def say(self, text: str) -> None:
        with (self.folder / "say.log").open("a") as file:
            file.write(text)


@dataclass
class Host:
    node: str
    logs: Written
    peers: Peers
    url: str = ""


@dataclass
class Cluster:
    here: Any
    registry: EmbeddedRegistry
    client: HttpClient
    hosts: dict[str, Host] = field(default_factory=dict)

    async def get(self, node: str, path: str, headers=None):
        given = headers or {"Authorization": f"Bearer {self.here.tokens['viewer']}"}
        return await self.client.request("GET", self.hosts[node].url + path, headers=given)

    async def record(self, state: str, *nodes: str) -> None:
        now = SystemClock().now()
        steps = [
            StepRun(name=name, node=node, target=node, state="running", started_at=now + timedelta(seconds=i))
            for i, node in enumerate(nodes)
            for name in ("say", "tell")
        ]
        run = Run(
            id=RUN, pipeline="p", revision="r", created_at=now, spec="d", steps=tuple(steps), state=state
        )
        stored = StoredPipeline(name="p", spec=SPEC)
        await self.here.kv.transact(
            [Put(keys.run(RUN), run.to_bytes()), Put(keys.pipeline("d"), stored.to_bytes())]
        )

    def signed(self, by: str, to: str, path: str, *, age: float = 0, **query: str) -> dict[str, str]:

        moment = rfc3339(SystemClock().now() - timedelta(seconds=age))
        author = author_of(self.hosts[by].logs.folder, by)
        return {HEADER: f"{moment} {author.sign('ask', said(to, path, query, moment))}"}


@pytest.fixture
async def cluster(here, tmp_path):
    async with AsyncExitStack() as stack:
        client, registry, clock = HttpClient(), EmbeddedRegistry(), SystemClock()
        stack.push_async_callback(client.close)
        found = Cluster(here, registry, client)
        stop = asyncio.Event()
        for node in ("n1", "n2"):
            folder = tmp_path / node
            folder.mkdir()
            author = author_of(folder, node)
            peers = Peers(registry, await trust_of(here.kv, author), author, client, clock)
            sock = listen("127.0.0.1", 0)
            url = f"http://127.0.0.1:{sock.getsockname()[1]}"
            found.hosts[node] = Host(node, Written(node, folder), peers, url)
            around = replace(
                here.around,
                node=node,
                peers=peers,
                logs=found.hosts[node].logs,
                origins=frozenset({url}),
                # n1 has the notes.
                notes=here.around.notes if node == "n1" else None,
            )
            app = App(around, Tokens(here.kv, clock)).build()
            app.config["RESPONSE_TIMEOUT"] = 0.2
            task = asyncio.create_task(serve(app, sock, stop=stop.wait))
            stack.push_async_callback(asyncio.wait, [task])
            await registry.register(Member(node, "127.0.0.1", meta={"url": url}))
        stack.callback(stop.set)
        # Both know both.
        for host in found.hosts.values():
            await host.peers._trust.begin()
        yield found


async def test_the_output_of_a_run_comes_from_all_its_nodes(cluster):
    await cluster.record("succeeded", "n2", "n1")
    for node in ("n1", "n2"):
        cluster.hosts[node].logs.say(f"{node}\n")
    for asked in ("n1", "n2"):
        assert (await cluster.get(asked, PATH)).body == b"n2\nn1\n"
        assert (await cluster.get(asked, PATH + "?node=n2")).body == b"n2\n"
        assert (await cluster.get(asked, PATH + "?node=n1&step=say")).body == b"n1\n"
        assert (await cluster.get(asked, PATH + "?step=tell")).body == b""


async def test_what_is_followed_comes_as_it_is_written_from_nodes_that_join_and_for_longer_than_a_request(
    cluster,
):
    await cluster.record("running", "n2")
    cluster.hosts["n2"].logs.say("first\n")
    async with cluster.client.stream(
        cluster.hosts["n1"].url + PATH + "?follow=true",
        headers={"Authorization": f"Bearer {cluster.here.tokens['viewer']}"},
        timeout=10,
    ) as (status, pieces):
        assert status == 200
        assert await anext(pieces) == b"first\n"
        # Longer than Quart's limit for ordinary answers, at both of them.
        await asyncio.sleep(0.5)
        cluster.hosts["n2"].logs.say("second\n")
        assert await anext(pieces) == b"second\n"
        await cluster.record("running", "n2", "n1")
        cluster.hosts["n1"].logs.say("third\n")
        assert await anext(pieces) == b"third\n"
        await cluster.record("succeeded", "n2", "n1")
        async with asyncio.timeout(20):
            assert [piece async for piece in pieces] == []


async def test_a_service_is_read_where_it_runs(cluster):
    (cluster.hosts["n2"].logs.folder / "web").touch()
    await cluster.here.kv.transact([Put(keys.instance("n2", "web"), b"{}")])
    for asked in ("n1", "n2"):
        assert (await cluster.get(asked, "/api/v1/services/web/logs")).body == b"web on n2\n"
    answer = await cluster.get("n2", "/api/v1/services/web/logs?node=n1")
    assert (answer.status, b"never ran on node 'n1'" in answer.body) == (404, True)


async def test_a_node_that_cannot_be_asked_is_named_and_the_others_answer(cluster):
    await cluster.record("succeeded", "n1", "n2", "n3")
    for node in ("n1", "n2"):
        cluster.hosts[node].logs.say(f"{node}\n")
    # n3 runs no Apollo, but would like to be asked; n2 is down.
    await cluster.registry.register(Member("n3", "127.0.0.1", meta={"url": cluster.hosts["n1"].url}))
    await cluster.registry.register(Member("n2", "127.0.0.1", meta={"url": "http://127.0.0.1:1"}))
    lines = (await cluster.get("n1", PATH)).body.decode().splitlines()
    assert lines[0] == "n1"
    assert lines[1].startswith("[olympus: node 'n2' does not answer")
    assert lines[2].startswith("[olympus: node 'n3' answers nobody (it runs no Apollo)")
    assert len(lines) == 3
    assert (await cluster.get("n1", PATH + "?node=n2")).status == 503
    assert (await cluster.get("n1", PATH + "?node=n3")).status == 404
    assert (await cluster.get("n1", PATH + "?node=n9")).status == 404


async def test_the_caller_s_token_is_not_passed_on(cluster):
    seen = []

    async def handle(reader, writer):
        seen.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    await cluster.registry.register(Member("n2", "127.0.0.1", meta={"url": url}))
    await cluster.record("succeeded", "n2")
    assert (await cluster.get("n1", PATH + "?node=n2")).status == 200
    (head,) = seen
    assert cluster.here.tokens["viewer"] not in head
    assert "authorization" not in head.lower()
    assert "cookie" not in head.lower()
    server.close()


async def test_only_what_a_controller_signed_for_this_host_path_and_minute_counts(cluster):
    await cluster.record("succeeded", "n2")
    cluster.hosts["n2"].logs.say("n2\n")
    good = cluster.signed("n1", "n2", PATH, node="n2")
    assert (await cluster.get("n2", PATH + "?node=n2", good)).body == b"n2\n"
    assert (await cluster.get("n2", PATH + "?node=n2&step=say", good)).status == 401
    assert (await cluster.get("n2", PATH, good)).status == 401
    assert (await cluster.get("n1", PATH + "?node=n2", good)).status == 401, "it is for another host"
    for path in ("/api/v1/runs", f"/api/v1/runs/{RUN}", "/api/v1/events", "/api/v1/tokens"):
        assert (await cluster.get("n2", path, cluster.signed("n1", "n2", path))).status == 401
    for age in (61, -61):
        stale = cluster.signed("n1", "n2", PATH, age=age, node="n2")
        assert (await cluster.get("n2", PATH + "?node=n2", stale)).status == 401
    for bad in ("", "x", "x y", good[HEADER] + "x", good[HEADER].replace("n1:", "n9:"), "a" * 5000):
        assert (await cluster.get("n2", PATH + "?node=n2", {HEADER: bad})).status == 401
    await cluster.here.kv.transact([Delete(keys.controller("n1"))])
    await cluster.hosts["n2"].peers._trust._look()
    assert (await cluster.get("n2", PATH + "?node=n2", good)).status == 401, "it is no controller any more"


async def test_a_peer_is_given_nothing_but_what_lies_here(cluster):
    await cluster.record("succeeded", "n1", "n2")
    for node in ("n1", "n2"):
        cluster.hosts[node].logs.say(f"{node}\n")
    assert (await cluster.get("n2", PATH, cluster.signed("n1", "n2", PATH))).body == b"n2\n"
    passed_on = cluster.signed("n1", "n2", PATH, node="n1")
    assert (await cluster.get("n2", PATH + "?node=n1", passed_on)).status == 404


async def put_note(cluster, node, path, text, *, role="operator", **headers):
    given = {"Authorization": f"Bearer {cluster.here.tokens[role]}", **headers}
    url = f"{cluster.hosts[node].url}/api/v1/notes/{path}"
    return await cluster.client.request("PUT", url, headers=given, body=orjson.dumps({"markdown": text}))


async def test_notes_are_read_and_written_on_every_host_as_who_asks(cluster):
    made = await put_note(cluster, "n2", "a%20b/c", "# C\n")
    assert (made.status, orjson.loads(made.body)["author"]) == (201, "operator")
    read = await cluster.get("n2", "/api/v1/notes/a%20b/c")
    assert (read.status, read.headers["etag"]) == (200, made.headers["etag"])
    assert orjson.loads(read.body) == orjson.loads((await cluster.get("n1", "/api/v1/notes/a%20b/c")).body)
    assert (await put_note(cluster, "n2", "a%20b/c", "x")).status == 428
    assert (await put_note(cluster, "n2", "a%20b/c", "x", **{"If-Match": made.headers["etag"]})).status == 200
    assert (await put_note(cluster, "n2", "d", "x", role="viewer")).status == 403
    assert (await cluster.get("n2", "/api/v1/notes/nope")).status == 404
    git = await cluster.client.request(
        "GET", cluster.hosts["n2"].url + "/git/notes.git/info/refs?service=git-upload-pack",
        headers={"Authorization": f"Bearer {cluster.here.tokens['viewer']}"}, redirects=False,
    )  # fmt: skip
    assert (
        git.headers["location"]
        == cluster.hosts["n1"].url + "/git/notes.git/info/refs?service=git-upload-pack"
    )
    audited = await cluster.here.ask("GET", "/api/v1/audit?limit=100", role="admin")
    routes = [one["action"] for one in orjson.loads(await audited.get_data())["items"]]
    assert routes.count("PUT /api/v1/notes/{path}") == 4


async def test_nothing_is_taken_as_passed_on_that_no_controller_passed_on_for_this_host(cluster):
    body = orjson.dumps({"markdown": "x"})
    call = Call("PUT", "/api/v1/notes/a", {}, body)
    caller = Caller("t", "eve", "admin")
    seen: list[dict[str, str]] = []

    class Spy:
        async def request(self, method, url, *, headers, body, redirects):
            seen.append(dict(headers))
            raise HttpFailed("seen")

    peers = cluster.hosts["n2"].peers
    real, peers._client = peers._client, Spy()
    with pytest.raises(RetryLater):
        await peers.pass_on("n1", call, caller)
    peers._client = real
    (headers,) = seen
    url = cluster.hosts["n1"].url + "/api/v1/notes/"
    moment, who, digest, signature = headers[PASSED].split(" ")
    other = peers._author.sign("ask", b"x")
    for path, sent, given, status in (
        ("b", body, headers[PASSED], 401),
        ("a", b"{}", headers[PASSED], 400),
        ("a", body, f"{moment} {who} {digest} {other}", 401),
        ("a", body, f"{moment} {who[:-4]}AAAA {digest} {signature}", 401),
        ("a", body, "x", 401),
        ("a", body, headers[PASSED], 201),
    ):
        answer = await cluster.client.request("PUT", url + path, headers={PASSED: given}, body=sent)
        assert answer.status == status, (path, sent, given)
    answer = await cluster.client.request(
        "PUT", cluster.hosts["n2"].url + "/api/v1/notes/a", headers={PASSED: headers[PASSED]}, body=body
    )
    assert answer.status == 401
