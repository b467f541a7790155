"""Removes chunks that nothing refers to any more: catalogs of earlier commits, files that changed.

A chunk goes only when two looks, an hour apart, both found it unused: who writes chunks names them soon after.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Final

import orjson

from olympus.hermes import keys
from olympus.hermes.chunks import sweep
from olympus.hermes.kv import Kv
from olympus.kernel.errors import NotFound
from olympus.records.blobs import read_desired
from olympus.records.catalog import CatalogRoot, CatalogStore
from olympus.records.offer import Offer
from olympus.records.seals import split

EVERY: Final = 3600.0
_ROOTS: Final = (keys.CATALOG, keys.OFFER, keys.ROLLOUTS, keys.NODES, keys.PIPELINES, keys.ASSETS_TOLD)
"""Whoever keeps a reference to chunks elsewhere adds that prefix here."""


async def sweep_for_ever(kv: Kv, every: float = EVERY) -> None:
    """Until cancelled. For the leader alone."""
    doomed: set[str] = set()
    while True:
        await asyncio.sleep(every)
        try:
            doomed = await sweep_once(kv, doomed)
        except NotFound:
            # A document was replaced while it was read: look again next time.
            doomed = set()


async def sweep_once(kv: Kv, doomed: set[str]) -> set[str]:
    """Remove what was `doomed` and is still unused; what is unused now."""
    stored = {key.removeprefix(keys.CHUNKS) for key in await kv.keys(keys.CHUNKS)}
    unused = stored - await used(kv)
    if unused & doomed:
        await sweep(kv, stored - (unused & doomed))
    return unused - doomed


async def used(kv: Kv) -> set[str]:
    """The names of all chunks that a document in Hermes refers to, also by way of another blob."""
    names: set[str] = set()
    for root in _ROOTS:
        for entry in (await kv.scan(root)).entries:
            said = split(entry.value)[1]
            names.update(_named(_json(said)))
            if entry.key.endswith("/desired"):
                names.update(_named((await read_desired(kv, said)).to_json()))
            elif entry.key == keys.CATALOG:
                names.update(await _files(kv, CatalogRoot.from_bytes(said)))
            elif entry.key == keys.OFFER:
                names.update(await _files(kv, Offer.from_bytes(said).root))
    return names


async def _files(kv: Kv, root: CatalogRoot) -> Iterable[str]:
    files = await CatalogStore(kv).files(root)
    return (name for blob in files.values() for name in blob.chunks)


def _json(value: bytes) -> Any:
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return None


def _named(value: Any) -> Iterable[str]:
    if isinstance(value, dict):
        for key, one in value.items():
            if key == "chunks" and isinstance(one, list):
                yield from (name for name in one if isinstance(name, str))
            else:
                yield from _named(one)
    elif isinstance(value, list):
        for one in value:
            yield from _named(one)
