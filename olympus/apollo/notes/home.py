"""Where the notes are: on one controller, the first that asked; the others pass on what they are asked."""

from __future__ import annotations

from olympus.hermes import keys
from olympus.hermes.kv import Cas, Kv, TransactionConflict


async def claim_home(kv: Kv, node: str) -> str:
    """The node that has the notes: `node`, where nobody has claimed them yet."""
    while True:
        entry = await kv.get(keys.NOTES_HOME)
        if entry is not None:
            return entry.value.decode()
        try:
            await kv.transact([Cas(keys.NOTES_HOME, node.encode(), 0)])
        except TransactionConflict:
            continue
