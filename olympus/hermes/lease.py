"""Who leads: a session holds a lock, and an epoch that only grows tells leaders apart.

A lock alone is no fence: its holder may sleep past its session's end and then write. So each write of a
leader carries `term.guard` (check-session on the lock), and what leaves Hermes (orders to nodes) carries
`term.epoch`. The epoch is a key of its own, never deleted: a plain write resets Consul's LockIndex.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import Final

from olympus.hermes import keys
from olympus.hermes.kv import Cas, CheckSession, Kv, Lock, Op, TransactionConflict, Unlock
from olympus.kernel.cancellation import heed_cancellation
from olympus.kernel.errors import Conflict, HermesUnreachable, NotFound

log = logging.getLogger("olympus.hermes")

# A dead leader's unsent writes are fenced by the guard, so that the delay may be short.
_LOCK_DELAY: Final = 1.0
_RETRY: Final = 1.0


@dataclass(slots=True)
class Term:
    """One reign. `lost` is set when it is over, whether or not its holder knows it already."""

    epoch: int
    guard: CheckSession
    lost: asyncio.Event = field(default_factory=asyncio.Event)


class Lease:
    """Of one role, for one candidate. ttl: seconds after which a leader that is silent may be replaced."""

    def __init__(self, kv: Kv, role: str, holder: str, *, ttl: float = 10.0) -> None:
        self._kv = kv
        self.role = role
        self._holder = holder
        self._ttl = ttl

    async def acquire(self) -> tuple[Term, str]:
        """Waits until this candidate leads; the term, and the session that has to be kept alive."""
        session = await self._kv.create_session(self._ttl, lock_delay=_LOCK_DELAY)
        key = keys.lease(self.role)
        try:
            while True:
                await self._kv.renew_session(session)
                epoch = await self._take(session)
                if epoch is not None:
                    return Term(epoch, CheckSession(key, session)), session
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._ttl / 3):
                        await self._until_free(key)
        except BaseException:
            await self._give_back(session)
            raise

    async def _take(self, session: str) -> int | None:
        key = keys.epoch(self.role)
        entry = await self._kv.get(key)
        epoch = int(entry.value) + 1 if entry else 1
        take: list[Op] = [
            Lock(keys.lease(self.role), self._holder.encode(), session),
            Cas(key, str(epoch).encode(), entry.version if entry else 0),
        ]
        try:
            await self._kv.transact(take)
        except TransactionConflict:
            return None
        return epoch

    async def _until_free(self, key: str) -> None:
        async with aclosing(self._kv.watch(key)) as snapshots:
            async for snapshot in snapshots:
                if not any(entry.session for entry in snapshot.entries if entry.key == key):
                    # A lock that was lost, not given back, may be refused for the lock delay.
                    await asyncio.sleep(0.05)
                    return

    async def keep(self, term: Term, session: str) -> None:
        """Renews the session until it has ended; sets `term.lost` then, or after a silence of `ttl`."""
        try:
            while True:
                async with asyncio.timeout(self._ttl):
                    await self._renew(session)
        except (NotFound, TimeoutError):
            return
        finally:
            term.lost.set()

    async def _renew(self, session: str) -> None:
        await asyncio.sleep(self._ttl / 3)
        while True:
            try:
                await self._kv.renew_session(session)
            except HermesUnreachable:
                await asyncio.sleep(min(_RETRY, self._ttl / 10))
            else:
                return

    async def release(self, session: str) -> None:
        """Give the lease back at once, so that a standby need not wait."""
        await self._give_back(session)

    async def _give_back(self, session: str) -> None:
        key = keys.lease(self.role)
        with suppress(HermesUnreachable):
            # Unlocking first: a session destroyed with its lock makes the next one wait for the lock delay.
            with suppress(TransactionConflict):
                await self._kv.transact([Unlock(key, b"", session)])
            await self._kv.destroy_session(session)


async def lead(lease: Lease, work: Callable[[Term], Awaitable[None]]) -> None:
    """For ever: wait until this candidate leads, then run `work` until the term is lost or `work` gives up.

    `work` gives up by raising Conflict (another one has written) or HermesUnreachable; then it is begun anew.
    """
    while True:
        try:
            term, session = await lease.acquire()
        except (HermesUnreachable, NotFound):
            await asyncio.sleep(_RETRY)
            continue
        log.info("leads", extra={"role": lease.role, "epoch": term.epoch})
        try:
            await _reign(lease, term, session, work)
        finally:
            await asyncio.shield(lease.release(session))
        heed_cancellation()
        log.info("leads_no_more", extra={"role": lease.role, "epoch": term.epoch})


async def _reign(lease: Lease, term: Term, session: str, work: Callable[[Term], Awaitable[None]]) -> None:
    async def until_lost() -> None:
        await term.lost.wait()
        raise _LostError

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(lease.keep(term, session))
            group.create_task(until_lost())
            await work(term)
            term.lost.set()
    except* (_LostError, Conflict, HermesUnreachable) as ended:
        reasons = {str(error) for error in _leaves(ended) if not isinstance(error, _LostError)}
        if reasons:
            log.info("begins_anew", extra={"role": lease.role, "why": "; ".join(sorted(reasons))})
            await asyncio.sleep(0.1)


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    out: list[BaseException] = []
    for error in group.exceptions:
        out += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return out


class _LostError(Exception):
    """The term is over."""
