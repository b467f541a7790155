"""Events for all: each publisher appends segments and moves its head; subscribers watch the heads.

Blocking queries coalesce, so a key cannot be a queue: this is a log. A segment holds what was published while
the transaction before it was under way (group commit), so that throughput does not depend on round trips.

At least once, in order per publisher; the id of an event tells duplicates. What an event led to is stored in
one transaction with the cursor (`cursor_op`), so that a restart neither loses nor repeats it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from datetime import datetime
from pathlib import Path

import orjson

from olympus.hermes import keys
from olympus.hermes.appender import Appender
from olympus.hermes.following import Batch, Cursor, Follower, Heard, end_of, hear_all
from olympus.hermes.heads import Heads
from olympus.hermes.history import History, Wanted
from olympus.hermes.kv import Kv, Op, Put
from olympus.hermes.retention import RETENTION, Retainer, Retention
from olympus.hermes.segment_reader import SegmentReader
from olympus.hermes.spool import Spool
from olympus.kernel.clock import Clock
from olympus.kernel.events import Event

__all__ = ["Batch", "Bus", "Cursor", "Heard", "Retention"]


class Bus:
    """One per process. `publisher` is the node's name: no two processes may share it."""

    def __init__(  # noqa: PLR0913 - what boot wires
        self,
        kv: Kv,
        publisher: str,
        *,
        clock: Clock,
        spool: Path | None = None,
        retention: Retention = RETENTION,
        heard: Heard = hear_all,
    ) -> None:
        self._kv = kv
        self._heard = heard
        self._segments = SegmentReader(kv)
        self._heads = Heads(kv, publisher, self._segments)
        waiting = Spool(spool / f"{publisher}.jsonl") if spool else None
        self._appender = Appender(kv, publisher, clock, waiting, self._heads)
        self._retainer = Retainer(publisher, retention, clock, self._appender, self._segments)
        self._history = History(self._heads, self._segments, heard)

    async def run(self) -> None:
        """Until cancelled: writes what is published, watches the heads, removes what is old."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._appender.run())
            group.create_task(self._heads.watch())
            group.create_task(self._retainer.run())

    async def publish(
        self, events: Sequence[Event], ops: Sequence[Op] = (), *, durable: bool = True
    ) -> dict[str, int]:
        """Publish `events`, in order, and do `ops` in the same transaction; the versions of what `ops` set.

        durable: return when it also survives a power cut. Without `ops`, events wait in the spool while
        Hermes is away. Raises TransactionConflict (a guard of `ops` failed: nothing was done, no event is
        out), HermesUnreachable (with `ops`: it may be done or not), Refused (over the size of a transaction).
        """
        versions = await self._appender.publish(events, ops)
        if durable:
            await self._kv.flush()
        return versions

    async def now(self) -> Cursor:
        """The end of the log."""
        return end_of(await self._heads.read())

    async def stored_cursor(self, consumer: str) -> Cursor | None:
        """What `cursor_op` stored for `consumer`."""
        entry = await self._kv.get(keys.cursor(consumer))
        return dict(orjson.loads(entry.value)) if entry else None

    def cursor_op(self, consumer: str, cursor: Cursor) -> Op:
        """Put it in the transaction of what the events led to."""
        return Put(keys.cursor(consumer), orjson.dumps(dict(cursor)))

    def subscribe(self, cursor: Cursor | None = None) -> AsyncGenerator[Batch, None]:
        """Events after `cursor`, for ever; None: after now."""
        return Follower(self._heads, self._segments, self._heard).follow(cursor)

    async def retain(self) -> int:
        """Remove our oldest segments that are over age or size; how many, up to a transaction's worth."""
        return await self._retainer.retain()

    async def find(self, event_id: str) -> Event | None:
        """The event with that id, if it is still kept."""
        return await self._history.find(event_id)

    async def history(  # noqa: PLR0913 - each is a filter of the contract's
        self,
        *,
        types: Sequence[str] = (),
        since: datetime | None = None,
        until: datetime | None = None,
        node: str | None = None,
        newest_first: bool = True,
        limit: int = 100,
        after: str | None = None,
    ) -> tuple[list[Event], str | None]:
        """A page of what is kept, by time and id, and what to pass as `after` for the next page.

        types: exact, or a prefix with `*` at its end. Raises Refused where `after` is not of this method's.
        """
        wanted = Wanted(types, since, until, node)
        return await self._history.page(wanted, newest_first=newest_first, limit=limit, after=after)
