"""The compiled catalog: its root at `catalog`, written by Zeus's controller alone; its content in chunks.

Resources and the files that specs refer to are both there: who leads, or runs pipelines, needs no git.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Final, Protocol, TypeVar

from pydantic import Field

from olympus.hermes import keys
from olympus.hermes.kv import Kv
from olympus.kernel.errors import NotFound
from olympus.records.blobs import load_blob, save_blob, save_blobs
from olympus.records.desired import BlobRef
from olympus.records.document import Document, Moment
from olympus.spec.catalog import Catalog

_REMEMBERED: Final = 3

T = TypeVar("T")

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


class FileList(Document):
    """Path in the commit → content, of each file that a spec refers to."""

    files: dict[str, BlobRef] = Field(default_factory=dict)


class CatalogRoot(Document):
    """resources: where the catalog is; files: where the FileList is, None where there are no files."""

    revision: str
    author: str = ""
    subject: str = ""
    committed_at: Moment
    applied_at: Moment | None = None
    resources: BlobRef
    files: BlobRef | None = None

    def identity(self) -> tuple[object, ...]:
        """Equal for two roots of the same commit with the same content."""
        return (self.revision, self.resources.digest, self.files.digest if self.files else "")


class CatalogStore:
    """Reads and writes catalogs. One per process: gods that ask for the same catalog share one object."""

    def __init__(self, kv: Kv) -> None:
        self._kv = kv
        self._parsed: dict[str, Catalog] = {}
        self._listed: dict[str, FileList] = {}

    async def save(self, catalog: Catalog, files: Mapping[str, bytes], commit: CommitInfo) -> CatalogRoot:
        """Put all of it into chunks; what is there already costs no write. Nothing is applied by this."""
        names = sorted(files)
        stored = await save_blobs(self._kv, [catalog.at("").to_bytes(), *(files[name] for name in names)])
        listed = FileList(files=dict(zip(names, stored[1:], strict=True)))
        return CatalogRoot(
            revision=commit.revision,
            author=commit.author,
            subject=commit.subject,
            committed_at=commit.at,
            resources=stored[0],
            files=await save_blob(self._kv, listed.to_bytes()) if names else None,
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
        _remember(self._parsed, key, found)
        return found

    async def files(self, root: CatalogRoot) -> Mapping[str, BlobRef]:
        """Path in the commit → content, of each file that a spec refers to."""
        if root.files is None:
            return {}
        key = root.files.digest
        found = self._listed.pop(key, None)
        if found is None:
            found = FileList.from_bytes(await load_blob(self._kv, root.files))
        _remember(self._listed, key, found)
        return found.files

    async def file(self, root: CatalogRoot, path: str) -> bytes:
        """A file of the commit that a spec refers to. Raises NotFound."""
        files = await self.files(root)
        if path not in files:
            raise NotFound(f"{path} is not among the files of revision {root.revision[:7]}")
        return await load_blob(self._kv, files[path])

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


def _remember(known: dict[str, T], key: str, value: T) -> None:
    """The last ones used stay: a plan or an offer reads two."""
    known[key] = value
    while len(known) > _REMEMBERED:
        known.pop(next(iter(known)))
