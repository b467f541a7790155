"""What Hephaestus knows of the catalog and of the nodes, from Hermes."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from olympus.hephaestus.specs_catalog import CatalogSpecs
from olympus.hermes import keys
from olympus.hermes.kv import Put
from olympus.hermes.kv_embedded import EmbeddedKv
from olympus.hermes.registry import Member
from olympus.hermes.registry_embedded import EmbeddedRegistry
from olympus.kernel.clock import SystemClock
from olympus.records.blobs import save_blob
from olympus.records.catalog import CatalogRoot, CatalogStore, FileList
from olympus.records.intents import ordered
from olympus.spec.catalog import Catalog, resource_of


def resource(kind, name, spec, labels=None):
    return resource_of({"kind": kind, "metadata": {"name": name, "labels": labels or {}}, "spec": spec})


RESOURCES = [
    resource("Pipeline", "build", {"workspace": {"files": ["a.sh"]}, "steps": [{"name": "a", "run": ["a"]}]}),
    resource("Node", "web-1", {"allow": {"users": ["www"]}, "maintenance": True}, {"role": "web"}),
    resource("Node", "gone", {}),
    resource(
        "Secret", "chat", {"from": {"env": "CHAT"}, "pipelines": ["build"], "nodes": {"selector": "role=web"}}
    ),
    resource(
        "Schedule", "nightly", {"every": "1h", "pipeline": "build", "expect": {"succeededWithin": "26h"}}
    ),
]


async def apply(kv, resources, revision):
    blob = await save_blob(kv, Catalog(resources).to_bytes())
    files = {"a.sh": await save_blob(kv, b"echo a"), "other": await save_blob(kv, b"x")}
    root = CatalogRoot(
        revision=revision,
        committed_at=datetime(2026, 1, 1, tzinfo=UTC),
        resources=blob,
        files=await save_blob(kv, FileList(files=files).to_bytes()),
    )
    await kv.transact([Put(keys.CATALOG, root.to_bytes())])


@asynccontextmanager
async def specs_here(tmp_path):
    kv = EmbeddedKv.open(tmp_path / "hermes.db", SystemClock())
    registry = EmbeddedRegistry()
    specs = CatalogSpecs(kv, CatalogStore(kv), registry)
    await apply(kv, RESOURCES, "rev1")
    await registry.register(Member("web-1", "10.0.0.1", meta={"role": "db"}))
    await registry.register(Member("stray", "10.0.0.2"))
    task = asyncio.create_task(specs.run())
    try:
        await asyncio.wait_for(specs.ready(), 10)
        yield kv, registry, specs
    finally:
        task.cancel()
        await asyncio.wait([task])
        await kv.close()


async def test_pipelines_come_with_their_files_and_revision(tmp_path):
    async with specs_here(tmp_path) as (_, _, specs):
        build = specs.pipeline("build")
        assert (build.revision, set(build.files)) == ("rev1", {"a.sh"})
        assert specs.pipeline("other") is None


async def test_labels_come_from_git_alone(tmp_path):
    async with specs_here(tmp_path) as (_, _, specs):
        nodes = {node.name: node for node in specs.nodes()}
        assert nodes["web-1"].labels == {"role": "web"}
        assert (nodes["web-1"].alive, nodes["web-1"].maintenance, nodes["web-1"].allow_users) == (
            True,
            True,
            ("www",),
        )
        assert (nodes["gone"].alive, nodes["stray"].alive, nodes["stray"].labels) == (False, True, {})


async def test_secrets_and_expectations_are_known(tmp_path):
    async with specs_here(tmp_path) as (kv, _, specs):
        secret = specs.secret("chat")
        assert (secret.source, secret.pipelines, secret.selector) == ({"env": "CHAT"}, ("build",), "role=web")
        nightly = specs.schedules()[0]
        assert (nightly.within, nightly.paused) == (timedelta(hours=26), False)
        version = specs.version()
        intent = ordered(None, "suspend", "i1", datetime(2026, 1, 1, tzinfo=UTC), "ann")
        await kv.transact([Put(keys.intent("schedule", "nightly"), intent.to_bytes())])
        await asyncio.wait_for(specs.changed(version), 10)
        assert specs.schedules()[0].paused


async def test_current_sees_what_was_just_applied(tmp_path):
    async with specs_here(tmp_path) as (kv, _, specs):
        new = resource("Pipeline", "new", {"steps": [{"name": "a", "run": ["a"]}]})
        await apply(kv, [*RESOURCES, new], "rev2")
        await specs.current()
        assert specs.pipeline("new").revision == "rev2"


async def test_a_node_that_dies_is_seen(tmp_path):
    async with specs_here(tmp_path) as (_, registry, specs):
        version = specs.version()
        await registry.register(Member("web-1", "10.0.0.1", alive=False))
        await asyncio.wait_for(specs.changed(version), 10)
        assert not {node.name: node.alive for node in specs.nodes()}["web-1"]
