"""What is too large for one value: compressed, cut into pieces that are named by their content.

A piece never changes, so that writing it again is harmless; whoever names pieces moves its own small root key
last, and readers never see half of a thing.
"""

from __future__ import annotations

import asyncio
import hashlib
import zlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from olympus.hermes import keys
from olympus.hermes.kv import MAX_OPS, Delete, Kv, Put
from olympus.kernel.errors import NotFound

CHUNK: Final = 256 * 1024
# How many bytes are asked for at once.
_AT_ONCE: Final = 8
# Of so few it is asked one by one whether they are there.
_FEW: Final = 16


@dataclass(frozen=True, slots=True)
class Blob:
    """`digest` is the SHA-256 of the content, `size` its bytes, `chunks` the names of its pieces."""

    digest: str
    size: int
    chunks: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {"digest": self.digest, "size": self.size, "chunks": list(self.chunks)}

    @staticmethod
    def from_json(raw: dict[str, Any]) -> Blob:
        return Blob(raw["digest"], raw["size"], tuple(raw["chunks"]))


async def put_blob(kv: Kv, data: bytes, *, prefix: str = keys.CHUNKS) -> Blob:
    """Store `data`; pieces that are there already are not written again."""
    (blob,) = await put_blobs(kv, [data], prefix=prefix)
    return blob


async def put_blobs(kv: Kv, contents: Sequence[bytes], *, prefix: str = keys.CHUNKS) -> list[Blob]:
    """As `put_blob`, many of them: small pieces go in together."""
    pieces: dict[str, bytes] = {}
    blobs: list[Blob] = []
    for data in contents:
        packed = zlib.compress(data, 6)
        cut = [packed[i : i + CHUNK] for i in range(0, len(packed), CHUNK)]
        names = [hashlib.sha256(piece).hexdigest() for piece in cut]
        pieces |= zip(names, cut, strict=True)
        blobs.append(Blob(hashlib.sha256(data).hexdigest(), len(data), tuple(names)))
    missing = await _missing(kv, list(pieces), prefix)
    for group in _groups({name: pieces[name] for name in missing}):
        await kv.transact([Put(prefix + name, piece) for name, piece in group])
    return blobs


async def _missing(kv: Kv, names: list[str], prefix: str) -> list[str]:
    if len(names) > _FEW:
        there = {key.removeprefix(prefix) for key in await kv.keys(prefix)}
        return [name for name in names if name not in there]
    return [name for name in names if await kv.get(prefix + name) is None]


def _groups(pieces: dict[str, bytes]) -> Iterator[list[tuple[str, bytes]]]:
    """As many together as a transaction takes."""
    group: list[tuple[str, bytes]] = []
    size = 0
    for name, piece in pieces.items():
        if group and (len(group) == MAX_OPS or size + len(piece) > CHUNK):
            yield group
            group, size = [], 0
        group.append((name, piece))
        size += len(piece)
    if group:
        yield group


async def get_blob(kv: Kv, blob: Blob, *, prefix: str = keys.CHUNKS) -> bytes:
    """The content. Raises NotFound where a piece is gone, or is not what its name says."""
    pieces: list[bytes] = []
    for i in range(0, len(blob.chunks), _AT_ONCE):
        part = blob.chunks[i : i + _AT_ONCE]
        for name, entry in zip(
            part, await asyncio.gather(*(kv.get(prefix + name) for name in part)), strict=True
        ):
            if entry is None:
                raise NotFound(f"chunk {name} is not in Hermes any more")
            pieces.append(entry.value)
    data = _unpacked(b"".join(pieces), blob.size)
    if hashlib.sha256(data).hexdigest() != blob.digest:
        raise NotFound(f"content {blob.digest} was damaged in Hermes")
    return data


def _unpacked(packed: bytes, size: int) -> bytes:
    """No more than `size` bytes, whatever a few of them could grow to. Raises NotFound where it is no such content."""
    try:
        return zlib.decompressobj().decompress(packed, size + 1)
    except zlib.error as error:
        raise NotFound(f"it was damaged in Hermes: {error}") from error


async def sweep(kv: Kv, live: Collection[str]) -> int:
    """Remove the pieces that are not in `live`; how many. For the one that writes all roots, when idle."""
    gone = [key for key in await kv.keys(keys.CHUNKS) if key.removeprefix(keys.CHUNKS) not in live]
    for i in range(0, len(gone), 64):
        await kv.transact([Delete(key) for key in gone[i : i + 64]])
    return len(gone)
