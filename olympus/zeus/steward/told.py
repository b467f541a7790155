"""What this node is told to be: signed by a controller that it trusts, for it, no older than what it took."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Final

from olympus.hermes import keys
from olympus.hermes.kv import Delete, Kv, Put
from olympus.kernel.clock import Clock
from olympus.kernel.errors import HermesUnreachable, Invalid, NotFound, Refused
from olympus.kernel.events import Event
from olympus.kernel.ids import new_id
from olympus.records.desired import NodeDesired, Refusal
from olympus.records.kept import Kept
from olympus.records.news import News
from olympus.records.seals import Seals

log = logging.getLogger("olympus.zeus")

_RETRY: Final = 1.0
"""Seconds until Hermes is asked again."""


class Told:
    """What is refused is told, and the refusal lies in Hermes until something better was taken."""

    def __init__(  # noqa: PLR0913 - what a steward hands on
        self, kv: Kv, news: News, clock: Clock, node: str, *, seals: Seals, kept: Kept
    ) -> None:
        self._kv = kv
        self._news = news
        self._clock = clock
        self._node = node
        self._seals = seals
        self._kept = kept
        # Whether a refusal lies in Hermes; None: not known yet.
        self._refuses: bool | None = None

    @property
    def kept(self) -> NodeDesired | None:
        """What was taken last, also before a restart."""
        return self._kept.desired

    async def follow(self) -> AsyncIterator[NodeDesired | None]:
        """Each that is taken; None: there is none, or it is refused."""
        key = keys.desired(self._node)
        async for snapshot in self._kv.watch(key):
            entry = next((one for one in snapshot.entries if one.key == key), None)
            yield None if entry is None else await self._believed(entry.value)

    async def _believed(self, value: bytes) -> NodeDesired | None:
        while True:
            try:
                desired = await self._seals.opened(value)
                self._kept.keep(desired)
                if self._refuses is None:
                    self._refuses = await self._kv.get(keys.refusal(self._node)) is not None
                break
            except HermesUnreachable:
                await asyncio.sleep(_RETRY)
            except (Refused, Invalid, NotFound) as why:
                await self._refuse(str(why))
                return None
        if self._refuses:
            await self._news.publish([], [Delete(keys.refusal(self._node))])
            self._refuses = False
        return desired

    async def _refuse(self, reason: str) -> None:
        log.warning("desired_state_refused", extra={"why": reason})
        now = self._clock.now()
        event = Event(
            id=new_id(),
            type="olympus.zeus.desired-refused",
            source=f"olympus/zeus/{self._node}",
            time=now,
            data={"node": self._node, "reason": reason},
            subject=self._node,
            node=self._node,
        )
        refusal = Put(keys.refusal(self._node), Refusal(reason=reason, at=now).to_bytes())
        await self._news.publish([event], [refusal])
        self._refuses = True
