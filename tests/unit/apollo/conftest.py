"""The app around a real Hermes, asked through Quart's own client; the other gods are what a test gives."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, ClassVar

import pytest

from olympus.apollo.http_quart import App
from olympus.apollo.notes.service import Knowledge
from olympus.apollo.peers import Peers
from olympus.apollo.ports import StartedRun, Surroundings
from olympus.apollo.tokens import Tokens
from olympus.hermes import keys
from olympus.hermes.bus import Bus
from olympus.hermes.kv import Put
from olympus.hermes.kv_embedded import EmbeddedKv
from olympus.hermes.registry_embedded import EmbeddedRegistry
from olympus.host.http_aiohttp import HttpClient
from olympus.kernel.clock import SystemClock
from olympus.kernel.errors import NotFound, Refused, RetryLater
from olympus.kernel.ids import new_id
from olympus.records.blobs import save_blob
from olympus.records.catalog import CatalogRoot, CatalogStore
from olympus.records.cluster import read_cluster
from olympus.records.plan import Plan
from olympus.records.proposal import Sources
from olympus.spec.catalog import Catalog, resource_of
from olympus.testing.trust import author_of, trust_of

ORIGIN = "http://127.0.0.1:4280"


@dataclass
class Starts:
    """Remembers what was started; the same key starts one run."""

    started: list[tuple[str, dict, Any]] = field(default_factory=list)
    by_key: dict[str, str] = field(default_factory=dict)

    async def start(self, pipeline, params, cause, *, idempotency_key=None, event=None):
        if idempotency_key in self.by_key:
            return StartedRun(self.by_key[idempotency_key], created=False)
        if pipeline == "nope":
            raise NotFound("there is no pipeline 'nope'")
        run = new_id()
        self.started.append((pipeline, dict(params), cause))
        if idempotency_key:
            self.by_key[idempotency_key] = run
        return StartedRun(run, created=True)

    async def cancel(self, run, by):
        raise NotFound(f"there is no run {run}")

    retry = cancel

    async def approve(self, run, step, *, role, by, approved):
        raise NotFound(f"there is no run {run}")


class Zeus:
    def __init__(self, kv) -> None:
        self._kv = kv
        self.known = []

    async def plan(self, ref=None, *, live=False):
        return Plan(from_=None, to=ref or "main")

    async def sync(self, *, prune=False):
        return None

    async def rollback(self, ref, *, by):
        raise NotFound(f"there is no {ref}")

    async def sources(self, kind):
        return Sources("r1", Catalog(()), {})

    async def propose(self, proposal):
        raise Refused("not here")

    async def versions(self, kind, name):
        return [one for one in self.known if (one.after or one.before)["metadata"]["name"] == name]

    async def cluster(self):
        return await read_cluster(self._kv, SystemClock().now())


class Hindsight:
    async def explain(self, event, rule):
        return []

    async def replay(self, ref, since, *, seconds):
        return {"from": "main", "to": ref or "main", "rules": []}


class Logs:
    def steps(self, run):
        return []

    def service(self, name, tail):
        return None

    def service_from(self, name, offset):
        return b"", 0


class Git:
    def pushes(self, call):
        return "receive-pack" in call.query + call.path

    def serve(self, call, body):
        raise NotFound(f"there is no repository {call.repository}.git")


class Secrets:
    values: ClassVar = {"HOOK": "the key", "OTHER": "another key", "EMPTY": ""}

    def read(self, name, source):
        if source["env"] not in self.values:
            raise Refused(f"no {source['env']}")
        return self.values[source["env"]]


@dataclass
class Here:
    """The app, the stores behind it, and a token for each role."""

    client: Any
    app: App
    bus: Bus
    kv: EmbeddedKv
    runs: Starts
    tokens: dict[str, str]
    ids: dict[str, str]
    around: Surroundings

    async def ask(self, method, path, *, role=None, token=None, headers=None, **more):
        given = {"Host": "127.0.0.1:4280", **(headers or {})}
        token = token or (self.tokens[role] if role else None)
        if token:
            given["Authorization"] = f"Bearer {token}"
        return await self.client.open(path, method=method, headers=given, **more)

    def paths(self):
        """Every route that ends, with a path of its."""
        for route in self.app.routes:
            if not route.path.endswith("/stream"):
                yield route, route.path.replace("{name}", "x").replace("{id}", "x")

    async def declare(self, *documents):
        """(kind, name, spec), or (kind, name, spec, labels)."""
        resources = [
            resource_of({"kind": kind, "metadata": {"name": name, "labels": dict(*labels)}, "spec": spec})
            for kind, name, spec, *labels in documents
        ]
        blob = await save_blob(self.kv, Catalog(resources).to_bytes())
        root = CatalogRoot(revision="r1", committed_at=SystemClock().now(), resources=blob)
        await self.kv.transact([Put(keys.CATALOG, root.to_bytes())])


async def unmatched(node, watch, limit):
    """n2 is away."""
    if node == "n2":
        raise RetryLater("node n2 did not answer")
    shapes = [{"line": f"{watch} a", "count": 1}, {"line": f"{watch} b", "count": 5}]
    return shapes[:limit]


@asynccontextmanager
async def apollo(folder):
    clock = SystemClock()
    kv = EmbeddedKv.open(folder / "h.db", clock)
    bus = Bus(kv, "n1", clock=clock)
    task = asyncio.ensure_future(bus.run())
    tokens = Tokens(kv, clock)
    runs = Starts()
    author = author_of(folder)
    http = HttpClient()
    registry = EmbeddedRegistry()
    peers = Peers(registry, await trust_of(kv, author), author, http, clock)
    notes = Knowledge(folder, clock)
    around = Surroundings(
        kv=kv, bus=bus, clock=clock, node="n1", catalogs=CatalogStore(kv), runs=runs, zeus=Zeus(kv),
        logs=Logs(), hindsight=Hindsight(),
        peers=peers, unmatched=unmatched,
        git=Git(), secrets=Secrets(), notes=notes, notes_home="n1", upcoming=lambda name, count: [], ready=list,
        origins=frozenset({ORIGIN}),
        version="1",
    )  # fmt: skip
    app = App(around, tokens)
    made, ids = {}, {}
    for role in ("viewer", "operator", "admin"):
        shown, made[role] = await tokens.create(role, role)
        ids[role] = shown["id"]
    shown, made["revoked"] = await tokens.create("admin", "revoked")
    await tokens.revoke(shown["id"])
    _, made["expired"] = await tokens.create("admin", "expired", timedelta(seconds=-1))
    try:
        yield Here(app.build().test_client(), app, bus, kv, runs, made, ids, around)
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await notes.close()
        await http.close()
        await kv.close()


@pytest.fixture
async def here(tmp_path):
    async with apollo(tmp_path) as found:
        yield found
