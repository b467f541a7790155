"""Large documents: a reference in the record, the content in Hermes's chunks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from olympus.hermes.chunks import Blob, get_blob, put_blobs
from olympus.hermes.kv import Kv
from olympus.records.desired import BlobRef, NodeDesired
from olympus.records.document import Document

_INLINE: Final = 64 * 1024


class Stored(Document):
    """What lies in chunks."""

    blob: BlobRef


async def save_blob(kv: Kv, content: bytes) -> BlobRef:
    """Put `content` into chunks; content that is there already costs no write."""
    (ref,) = await save_blobs(kv, [content])
    return ref


async def save_blobs(kv: Kv, contents: Sequence[bytes]) -> list[BlobRef]:
    """As `save_blob`, many at a time."""
    return [
        BlobRef(digest=blob.digest, size=blob.size, chunks=blob.chunks)
        for blob in await put_blobs(kv, contents)
    ]


async def load_blob(kv: Kv, ref: BlobRef) -> bytes:
    """The content. Raises NotFound where a chunk is gone."""
    return await get_blob(kv, Blob(digest=ref.digest, size=ref.size, chunks=ref.chunks))


async def desired_bytes(kv: Kv, desired: NodeDesired) -> bytes:
    """What is signed of `nodes/NODE/desired`: the document itself, or where it is large a reference to chunks."""
    raw = desired.to_bytes()
    if len(raw) <= _INLINE:
        return raw
    return Stored(blob=await save_blob(kv, raw)).to_bytes()


async def read_desired(kv: Kv, said: bytes) -> NodeDesired:
    """The document that `desired_bytes` made, or refers to."""
    if said.startswith(b'{"blob"'):
        said = await load_blob(kv, Stored.from_bytes(said).blob)
    return NodeDesired.from_bytes(said)
