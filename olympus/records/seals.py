"""`nodes/NODE/desired` as it lies in Hermes: the controller's signature, a newline, and the bytes that it signed.

These bytes are the document, or where it is large a reference to chunks, which are named by their content: so the
signature holds for all of it. Node, epoch and sequence are in the document, so that nothing older, and nothing
that was meant for another node, counts.
"""

from __future__ import annotations

from collections.abc import Mapping

from olympus.hermes.kv import Kv
from olympus.hermes.trust import Author, Trust
from olympus.kernel.errors import Refused
from olympus.records.blobs import desired_bytes, read_desired
from olympus.records.desired import NodeDesired


class Seals:
    """`author`: None where this host is no controller, and opens only."""

    def __init__(self, kv: Kv, trust: Trust, author: Author | None = None) -> None:
        self._kv = kv
        self._author = author
        self.trust = trust

    async def sealed(self, desired: NodeDesired) -> bytes:
        """The value of its key. Raises Refused on a host that is no controller."""
        if self._author is None:
            raise Refused("this host is no controller: it can sign nothing")
        said = await desired_bytes(self._kv, desired)
        return self._author.sign("desired", said).encode() + b"\n" + said

    async def opened(self, value: bytes) -> NodeDesired:
        """What a controller signed. Raises Refused with the reason where none did; Invalid, NotFound."""
        signature, said = split(value)
        reason = await self.trust.objection("desired", said, signature)
        if reason is not None:
            raise Refused(reason)
        return await read_desired(self._kv, said)

    def key_of(self, value: bytes) -> tuple[str, str]:
        """Of a value that was opened: its controller, and that one's key."""
        name = split(value)[0].partition(":")[0]
        return name, self.trust.signers().get(name, "")

    def stale(self, keys: Mapping[str, tuple[str, str]]) -> set[str]:
        """Those nodes of `key_of`s whose controller, or its key, is not trusted any more."""
        signers = self.trust.signers()
        return {node for node, (name, key) in keys.items() if signers.get(name) != key}


async def unsealed(kv: Kv, value: bytes) -> NodeDesired:
    """The document, whoever signed it: for those who merely show it. Raises Invalid, NotFound."""
    return await read_desired(kv, split(value)[1])


def split(value: bytes) -> tuple[str, bytes]:
    """Signature and what was signed; no signature where there is none."""
    if value.startswith(b"{"):
        return "", value
    signature, _, said = value.partition(b"\n")
    return signature.decode(errors="replace"), said
