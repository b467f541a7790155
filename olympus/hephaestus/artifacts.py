"""What steps save for later steps: kept on the node that saved it, and carried by Hermes where another may want it.

The coordinator says in the order what is to be carried (`Order.share`) and, to who loads it, which content it is
(`Load.sha256`), both signed. A node writes below `artifacts/NODE/` alone; under RUN/SHA256 lies a small document
that names the pieces. So what a node changes afterwards, or puts there for another, is refused where it is loaded.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import shutil
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, TypeVar

from olympus.hephaestus.orders import Artifact, Load
from olympus.hermes import keys
from olympus.hermes.chunks import Blob, get_blob, put_blob
from olympus.hermes.kv import MAX_OPS, Delete, Kv, Put
from olympus.kernel.errors import HermesUnreachable, Invalid, NotFound
from olympus.records.desired import BlobRef

log = logging.getLogger("olympus.hephaestus")

T = TypeVar("T")

MAX_KEPT: Final = 2 * 1024**3
MAX_CARRIED: Final = 16 * 1024**2
"""Bytes of an artifact that Hermes carries to another node."""

_RETRY: Final = 1.0


class Artifacts:
    """Of one node. `folder` is where what it saved is kept, run by run."""

    def __init__(self, folder: Path, kv: Kv, node: str, *, max_carried: int = MAX_CARRIED) -> None:
        self._folder = folder
        self._kv = kv
        self._node = node
        self._max_carried = max_carried
        self._carried: set[str] = set()

    async def save(self, run: str, name: str, source: Path, *, share: bool) -> Artifact:
        """Keep the file `source`, and have it carried where others may want it. Raises Invalid."""
        artifact = await asyncio.to_thread(self._keep, run, name, source)
        if share:
            await _patiently(lambda: self._carry(run, artifact))
        return artifact

    async def load(self, run: str, wanted: Load, target: Path) -> None:
        """Put what `wanted` names at `target`. Raises Invalid where it cannot be had, or is not what was saved."""
        if wanted.node == self._node:
            source = self._folder / run / wanted.name
            if not source.is_file():
                raise Invalid(f"artifact '{wanted.name}' is not on this node any more")
            await asyncio.to_thread(shutil.copyfile, source, target, follow_symlinks=False)
            return
        content = await _patiently(lambda: self._fetch(run, wanted))
        await asyncio.to_thread(target.write_bytes, content)

    async def forget(self, run: str) -> None:
        """Remove what Hermes carries for this node of a run; of before a restart, the coordinator does it."""
        if run in self._carried:
            found = list(await self._kv.keys(keys.artifacts(self._node, run)))
            for i in range(0, len(found), MAX_OPS):
                await self._kv.transact([Delete(key) for key in found[i : i + MAX_OPS]])
            self._carried.discard(run)

    def _keep(self, run: str, name: str, source: Path) -> Artifact:
        try:
            descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise Invalid(f"artifact '{name}': {source.name}: {error.strerror}") from error
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise Invalid(f"artifact '{name}': {source.name} is no regular file")
        target = self._folder / run / name
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        part = target.with_name(target.name + ".part")
        digest, size = hashlib.sha256(), 0
        with os.fdopen(descriptor, "rb") as content, part.open("wb") as kept:
            while piece := content.read(1 << 20):
                size += len(piece)
                if size > MAX_KEPT:
                    raise Invalid(f"artifact '{name}' is over {MAX_KEPT} bytes")
                digest.update(piece)
                kept.write(piece)
            kept.flush()
            os.fsync(kept.fileno())
        part.rename(target)
        return Artifact(name=name, size=size, sha256=digest.hexdigest())

    async def _carry(self, run: str, artifact: Artifact) -> None:
        place = keys.artifacts(self._node, run)
        self._carried.add(run)
        blob = Blob(artifact.sha256, artifact.size, ())
        if artifact.size <= self._max_carried:
            content = await asyncio.to_thread((self._folder / run / artifact.name).read_bytes)
            blob = await put_blob(self._kv, content, prefix=place)
        else:
            log.warning("artifact_not_carried", extra={"artifact": artifact.name, "bytes": artifact.size})
        named = BlobRef(digest=blob.digest, size=blob.size, chunks=blob.chunks)
        await self._kv.transact([Put(place + artifact.sha256, named.to_bytes())])

    async def _fetch(self, run: str, wanted: Load) -> bytes:
        what = f"artifact '{wanted.name}', which node '{wanted.node}' saved,"
        place = keys.artifacts(wanted.node, run)
        entry = await self._kv.get(place + wanted.sha256)
        if entry is None:
            raise Invalid(
                f"{what} is not in Hermes: it is removed a day after its run, or was never put there"
            )
        named = BlobRef.from_bytes(entry.value)
        if named.size > self._max_carried:
            raise Invalid(
                f"{what} has {named.size} bytes: no more than {self._max_carried} are carried to another node"
            )
        if named.digest != wanted.sha256:
            raise Invalid(f"{what} is not what it saved")
        try:
            return await get_blob(self._kv, Blob(named.digest, named.size, named.chunks), prefix=place)
        except NotFound as error:
            raise Invalid(f"{what} is damaged: {error}") from error


async def _patiently(work: Callable[[], Awaitable[T]]) -> T:
    """A step that has been done must not fail because Hermes is away for a while."""
    while True:
        try:
            return await work()
        except HermesUnreachable as error:
            log.info("artifact_waits", extra={"why": str(error)})
            await asyncio.sleep(_RETRY)
