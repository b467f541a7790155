"""The compiled catalog: its root at `catalog`, written by Zeus's controller alone; its content in chunks.

Resources and the files that specs refer to are both there: who leads, or runs pipelines, needs no git.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Final, Protocol

from pydantic import Field

from olympus.hermes import keys
from olympus.hermes.kv import Kv
from olympus.kernel.errors import NotFound
from olympus.records.blobs import load_blob, save_blob
from olympus.records.desired import BlobRef
from olympus.records.document import Document, Moment
from olympus.spec.catalog import Catalog

_REMEMBERED: Final = 3


log = logging.getLogger("olympus.zeus")


class CommitInfo(Protocol):
    """What the history says of a revision."""

    @property
    def revision(self) -> str: ...
    @property
    def author(self) -> str: ...
    @property
    def subject(self) -> str: ...
    @property
    def at(self) -> datetime: ...


class CatalogRoot(Document):
    """resources: the catalog without its files; files: path in the commit → content."""

    revision: str
    author: str = ""
    subject: str = ""
    committed_at: Moment
    applied_at: Moment | None = None
    resources: BlobRef
    files: dict[str, BlobRef] = Field(default_factory=dict)

    def identity(self) -> tuple[object, ...]:
        """Equal for two roots of the same commit with the same content."""
        return (
            self.revision,
            self.resources.digest,
            tuple(sorted((p, b.digest) for p, b in self.files.items())),
        )


class CatalogStore:
    """Reads and writes catalogs. One per process: gods that ask for the same catalog share one object."""

    def __init__(self, kv: Kv) -> None:
        self._kv = kv
        self._parsed: dict[str, Catalog] = {}

    async def save(self, catalog: Catalog, files: Mapping[str, bytes], commit: CommitInfo) -> CatalogRoot:
        """Put all of it into chunks; what is there already costs no write. Nothing is applied by this."""
        return CatalogRoot(
            revision=commit.revision,
            author=commit.author,
            subject=commit.subject,
            committed_at=commit.at,
            resources=await save_blob(self._kv, catalog.at("").to_bytes()),
            files={path: await save_blob(self._kv, content) for path, content in sorted(files.items())},
        )

    async def root(self) -> CatalogRoot | None:
        """That of what is applied; None before the first commit."""
        found = await self._kv.get(keys.CATALOG)
        return None if found is None else CatalogRoot.from_bytes(found.value)

    async def load(self, root: CatalogRoot) -> Catalog:
        """The catalog under `root`."""
        key = root.resources.digest
        found = self._parsed.pop(key, None)
        if found is None:
            found = Catalog.from_bytes(await load_blob(self._kv, root.resources))
        if found.revision != root.revision:
            found = found.at(root.revision)
        # The last ones used stay: a plan or an offer reads two.
        self._parsed[key] = found
        while len(self._parsed) > _REMEMBERED:
            self._parsed.pop(next(iter(self._parsed)))
        return found

    async def file(self, root: CatalogRoot, path: str) -> bytes:
        """A file of the commit that a spec refers to. Raises NotFound."""
        if path not in root.files:
            raise NotFound(f"{path} is not among the files of revision {root.revision[:7]}")
        return await load_blob(self._kv, root.files[path])

    async def watch(self) -> AsyncIterator[Catalog]:
        """The applied catalog, now (once there is one) and after each change."""
        async for found in self._kv.watch(keys.CATALOG):
            for entry in found.entries:
                if entry.key != keys.CATALOG:
                    continue
                try:
                    catalog = await self.load(CatalogRoot.from_bytes(entry.value))
                except NotFound as exc:
                    # A later commit has replaced it already, or what comes next mends it.
                    log.warning("catalog_not_read", extra={"reason": str(exc)})
                    continue
                yield catalog
