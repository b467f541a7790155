"""Chunks that nothing refers to go, all others stay."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from olympus.hermes import keys
from olympus.hermes.kv import Put
from olympus.hermes.kv_embedded import EmbeddedKv
from olympus.kernel.clock import SystemClock
from olympus.records.blobs import load_blob, save_blob
from olympus.records.catalog import CatalogRoot, FileList
from olympus.records.desired import FileSpec, InstanceSpec, NodeDesired, ProcessRun
from olympus.records.offer import Offer
from olympus.records.seals import unsealed
from olympus.testing.trust import seals_of
from olympus.zeus.sweep import sweep_once


@pytest.fixture
async def kv(tmp_path: Path) -> AsyncIterator[EmbeddedKv]:
    store = EmbeddedKv.open(tmp_path / "hermes.db", SystemClock())
    yield store
    await store.close()


async def test_only_what_two_looks_found_unused_goes(kv: EmbeddedKv):
    catalog, file, old = [await save_blob(kv, name) for name in (b"catalog", b"file", b"old")]
    files = await save_blob(kv, FileList(files={"f": file}).to_bytes())
    root = CatalogRoot(revision="r", committed_at=datetime.now(UTC), resources=catalog, files=files)
    await kv.transact([Put(keys.CATALOG, root.to_bytes())])
    doomed = await sweep_once(kv, set())
    assert doomed == set(old.chunks)
    assert await load_blob(kv, old) == b"old"
    assert await sweep_once(kv, doomed) == set()
    assert len(await kv.keys(keys.CHUNKS)) == 3
    assert await load_blob(kv, catalog) == b"catalog"
    assert await load_blob(kv, file) == b"file"


async def test_the_files_of_an_offer_stay(kv: EmbeddedKv):
    catalog, file = [await save_blob(kv, name) for name in (b"catalog", b"file")]
    files = await save_blob(kv, FileList(files={"f": file}).to_bytes())
    root = CatalogRoot(revision="r", committed_at=datetime.now(UTC), resources=catalog, files=files)
    await kv.transact([Put(keys.OFFER, Offer(id="1", root=root, at=datetime.now(UTC)).to_bytes())])
    await sweep_once(kv, await sweep_once(kv, set()))
    assert await load_blob(kv, file) == b"file"
    assert len(await kv.keys(keys.CHUNKS)) == 3


async def test_what_was_used_again_in_between_stays(kv: EmbeddedKv, tmp_path: Path):
    blob = await save_blob(kv, b"content")
    doomed = await sweep_once(kv, set())
    spec = InstanceSpec(service="s", files=(FileSpec(path="/x", content=blob),))
    node = NodeDesired(node="n", epoch=1, revision="r", instances=(spec,))
    await kv.transact([Put(keys.desired("n"), await (await seals_of(kv, tmp_path)).sealed(node))])
    assert await sweep_once(kv, doomed) == set()
    assert await load_blob(kv, blob) == b"content"


async def test_a_large_desired_state_keeps_its_own_chunks_and_its_files(kv: EmbeddedKv, tmp_path: Path):
    blob = await save_blob(kv, b"content")
    specs = tuple(
        InstanceSpec(
            service=f"s{number}",
            process=ProcessRun(command=("run", str(number) * 50)),
            files=(FileSpec(path="/x", content=blob),),
        ).sealed()
        for number in range(300)
    )
    node = NodeDesired(node="n", epoch=1, revision="r", instances=specs)
    value = await (await seals_of(kv, tmp_path)).sealed(node)
    assert len(value) < 1000
    await kv.transact([Put(keys.desired("n"), value)])
    await sweep_once(kv, await sweep_once(kv, set()))
    assert await unsealed(kv, value) == node
    assert await load_blob(kv, blob) == b"content"
