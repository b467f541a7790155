"""The appending side: whoever publishes here, one transaction after the other moves our head."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from olympus.hermes import keys
from olympus.hermes.grouping import OWN_OPS, Request, joined, parts, take
from olympus.hermes.heads import Heads, Writing
from olympus.hermes.kv import Cas, Delete, Kv, Op, Put, TransactionConflict
from olympus.hermes.segments import (
    MAX_INLINE,
    Head,
    Segment,
    as_decoded,
    head_bytes,
    packed,
    read_head,
    segment_bytes,
)
from olympus.hermes.spool import Spool
from olympus.kernel.clock import Clock
from olympus.kernel.errors import HermesUnreachable, OlympusError
from olympus.kernel.events import Event

log = logging.getLogger("olympus.hermes")

_RETRY: Final = 0.5


class Appender:
    """The one writer of `publisher`'s head and segments."""

    def __init__(self, kv: Kv, publisher: str, clock: Clock, spool: Spool | None, heads: Heads) -> None:
        self._kv = kv
        self._publisher = publisher
        self._clock = clock
        self._spool = spool
        self._heads = heads
        self._requests: list[Request] = []
        self._asked = asyncio.Event()
        # Our head and its version as we last wrote it; None: read it.
        self._own: tuple[Head, int] | None = None
        # Who moves our head holds it: a publisher, the writer or retention.
        self._moving = asyncio.Lock()

    async def publish(self, events: Sequence[Event], ops: Sequence[Op]) -> dict[str, int]:
        """See `Bus.publish`."""
        versions: dict[str, int] = {}
        for part, encoded, its_ops in parts(events, ops):
            request = Request(part, encoded, its_ops, asyncio.get_running_loop().create_future())
            if self._requests or self._spool or self._moving.locked():
                self._requests.append(request)
                self._asked.set()
            else:
                async with self._moving:
                    await self._write_at_once(request)
            versions = await request.done or versions
        return versions

    async def _write_at_once(self, request: Request) -> None:
        """Nothing is under way: it need not wait for the writer's turn."""
        try:
            versions = await self._append(request.events, request.encoded, request.ops)
        except HermesUnreachable:
            self._requests.insert(0, request)
            self._asked.set()
        else:
            request.succeed(versions)

    async def run(self) -> None:
        """Until cancelled: writes what came while a transaction was under way, and what is spooled."""
        if self._spool:
            self._asked.set()
        while True:
            await self._asked.wait()
            self._asked.clear()
            while self._requests or self._spool:
                try:
                    async with self._moving:
                        await self._hand_over_spool()
                        if self._requests:
                            await self._write(take(self._requests))
                except HermesUnreachable as error:
                    self._set_aside(error)
                    await asyncio.sleep(_RETRY)
                except OlympusError as error:
                    # What is spooled goes first: it is not lost, and nothing overtakes it.
                    log.warning("spool_refused", extra={"why": str(error)})
                    self._set_aside(HermesUnreachable(f"Hermes refuses events that were spooled: {error}"))
                    await asyncio.sleep(_RETRY)

    async def _write(self, taken: list[Request]) -> None:
        try:
            versions = await self._append(
                [event for request in taken for event in request.events],
                joined([request.encoded for request in taken]),
                [op for request in taken for op in request.ops],
            )
        except TransactionConflict as conflict:
            if len(taken) == 1:
                taken[0].fail(conflict)
                return
            # One of them must not drag the others down: each by itself.
            for index, request in enumerate(taken):
                try:
                    await self._write([request])
                except HermesUnreachable:
                    self._requests[1:1] = taken[index + 1 :]
                    raise
        except HermesUnreachable:
            self._requests[:0] = taken
            raise
        except BaseException as error:
            for request in taken:
                request.fail(error)
            if not isinstance(error, OlympusError):
                raise
        else:
            for request in taken:
                request.succeed(versions)

    async def _append(self, events: Sequence[Event], encoded: bytes, ops: Sequence[Op]) -> dict[str, int]:
        """One transaction: the segment, the head, and `ops`. Without events: `ops` alone."""
        if encoded == b"[]":
            return await self._kv.transact(ops) if ops else {}
        while True:
            try:
                return await self._append_once(events, encoded, ops)
            except TransactionConflict as conflict:
                # The answer to an earlier transaction was lost: the head is not where we left it.
                if 0 not in conflict.failed:
                    raise TransactionConflict([i - OWN_OPS for i in conflict.failed], ops) from conflict

    async def _append_once(
        self, events: Sequence[Event], encoded: bytes, ops: Sequence[Op]
    ) -> dict[str, int]:
        key = keys.head(self._publisher)
        head, version = await self.own_head()
        now = self._clock.now()
        raw = segment_bytes(now, head.bytes, encoded)
        stored = packed(raw)
        after = Head(head.first, head.next + 1, head.bytes + len(stored))
        value = head_bytes(after, raw)
        segment = Segment(now, head.bytes, as_decoded(events, encoded))
        own: list[Op] = [Cas(key, value, version), Put(keys.segment(self._publisher, head.next), stored)]
        writing = Writing(value, after, segment, whole=len(raw) <= MAX_INLINE)
        self._own = None
        self._heads.begin(writing)
        try:
            versions = await self._kv.transact([*own, *ops])
        except BaseException:
            await self._heads.abandon()
            raise
        self._own = (after, versions[key])
        self._heads.done(writing, versions[key])
        return versions

    async def own_head(self) -> tuple[Head, int]:
        """With its version; 0 where we never published."""
        if self._own is None:
            entry = await self._kv.get(keys.head(self._publisher))
            self._own = (read_head(entry.value), entry.version) if entry else (Head(), 0)
        return self._own

    async def cut(self, first: int) -> None:
        """Remove our segments before `first`, a transaction's worth at most."""
        async with self._moving:
            head, version = await self.own_head()
            self._own = None
            gone = [Delete(keys.segment(self._publisher, number)) for number in range(head.first, first)]
            moved = Cas(keys.head(self._publisher), head_bytes(replace(head, first=first)), version)
            await self._kv.transact([moved, *gone])

    def _set_aside(self, error: HermesUnreachable) -> None:
        """Hermes is away: what has no operations goes to the spool, the rest is told so."""
        waiting, self._requests = self._requests, []
        for request in waiting:
            if request.ops or self._spool is None:
                request.fail(error)
                continue
            try:
                self._spool.append(request.events)
            except HermesUnreachable as full:
                request.fail(full)
            else:
                request.succeed({})

    async def _hand_over_spool(self) -> None:
        if not self._spool:
            return
        events = self._spool.read()
        for part, encoded, _ in parts(events, ()):
            await self._append(part, encoded, ())
        await self._kv.flush()
        self._spool.clear()
        log.info("spool_handed_over", extra={"events": len(events)})
