"""Catalogs in Hermes: the root is small, whatever it leads to."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from olympus.hermes import chunks, keys
from olympus.hermes.kv import MAX_BODY, MAX_OPS, Op, Put
from olympus.hermes.kv_embedded import EmbeddedKv
from olympus.kernel.clock import SystemClock
from olympus.kernel.errors import NotFound
from olympus.records.catalog import CatalogStore
from olympus.records.offer import Offer
from olympus.spec.catalog import Catalog, Resource, resource_of

MANY = 5_000


@dataclass(frozen=True)
class Commit:
    revision: str = "3f2c1ab"
    author: str = "ann"
    subject: str = "many files"
    at: datetime = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
async def kv(tmp_path: Path) -> AsyncIterator[EmbeddedKv]:
    store = EmbeddedKv.open(tmp_path / "hermes.db", SystemClock())
    yield store
    await store.close()


def service(paths: Sequence[str]) -> Resource:
    files = [{"path": f"/etc/{path}", "source": path} for path in paths]
    spec = {"run": {"process": {"command": ["a"]}}, "files": files}
    return resource_of({"kind": "Service", "metadata": {"name": "web"}, "spec": spec})


async def test_five_thousand_files_fit_below_a_small_root(kv: EmbeddedKv):
    files = {
        f"team-{n % 50}/some/longer/path/file-{n}.conf": f"content {n}".encode() * 5 for n in range(MANY)
    }
    store = CatalogStore(kv)
    root = await store.save(Catalog([service(sorted(files))]), files, Commit())
    offer = Offer(id="1", root=root, at=Commit.at)
    assert len(offer.to_bytes()) < 4_000
    await kv.transact([Put(keys.OFFER, offer.to_bytes()), Put(keys.CATALOG, root.to_bytes())])

    other = CatalogStore(kv)
    found = await other.root()
    assert found == root
    assert (await other.files(found)).keys() == files.keys()
    for path in list(files)[:: MANY // 20]:
        assert await other.file(found, path) == files[path]
    assert (await other.load(found)).get("Service", "web") == service(sorted(files))


async def test_roots_are_alike_where_their_files_are(kv: EmbeddedKv):
    store, catalog = CatalogStore(kv), Catalog([service(["a"])])
    first = await store.save(catalog, {"a": b"1"}, Commit())
    assert (await store.save(catalog, {"a": b"1"}, Commit())).identity() == first.identity()
    assert (await store.save(catalog, {"a": b"2"}, Commit())).identity() != first.identity()
    assert (await store.save(catalog, {"b": b"1"}, Commit())).identity() != first.identity()


async def test_a_catalog_without_files_has_none(kv: EmbeddedKv):
    store = CatalogStore(kv)
    root = await store.save(Catalog(()), {}, Commit())
    assert root.files is None
    assert await store.files(root) == {}
    with pytest.raises(NotFound, match="a is not among the files of revision 3f2c1ab"):
        await store.file(root, "a")


class Watched:
    """A store, and what was written into it together."""

    def __init__(self, kv: EmbeddedKv) -> None:
        self._kv = kv
        self.written: list[list[Op]] = []
        self.get, self.keys = kv.get, kv.keys

    async def transact(self, ops: Sequence[Op]) -> Mapping[str, int]:
        self.written.append(list(ops))
        return await self._kv.transact(ops)


async def test_many_pieces_are_written_together_within_what_a_transaction_takes(kv: EmbeddedKv):
    watched: Any = Watched(kv)
    contents = [os.urandom(n * 100) for n in range(1, 200)] + [os.urandom(600_000), b"", b""]
    blobs = await chunks.put_blobs(watched, contents)
    assert [await chunks.get_blob(kv, blob) for blob in blobs] == contents
    assert all(len(ops) <= MAX_OPS for ops in watched.written)
    assert all(sum(len(op.value) for op in ops) <= MAX_BODY for ops in watched.written)
    assert len(watched.written) < len(contents) / 2
    watched.written.clear()
    assert await chunks.put_blobs(watched, contents) == blobs
    assert watched.written == []
