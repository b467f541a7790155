"""`olympus.apollo.asset-changed`: once for each change that is applied, also over a restart, whoever tells it.

How far was told lies in Hermes and moves in the transaction of the events, so that of several hosts one tells it.
What is large is told in parts; a part that was told is never told again, also where another commit came in between.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from olympus.apollo.inventory.changes import AssetChange, as_diff, asset_changes
from olympus.hermes import keys
from olympus.hermes.bus import Bus
from olympus.hermes.kv import Cas, Kv, TransactionConflict
from olympus.kernel.clock import Clock
from olympus.kernel.errors import NotFound, RetryLater
from olympus.kernel.events import Event
from olympus.kernel.ids import new_id
from olympus.records.catalog import CatalogRoot, CatalogStore
from olympus.records.document import Document
from olympus.spec.event_data import ASSET_CHANGED

log = logging.getLogger("olympus.apollo")

_APPLIED: Final = "olympus.zeus.applied"
_BATCH: Final = 50
_MAX_FIELDS: Final = 30
_MAX_VALUE: Final = 200
_RETRY: Final = 1.0


class Told(Document):
    """`assets/told`. base: what is told as a whole; toward: what is being told, up to the name `done`."""

    base: CatalogRoot | None = None
    toward: CatalogRoot | None = None
    done: str = ""


class AssetNews:
    """Follows the applied catalog."""

    def __init__(self, kv: Kv, bus: Bus, clock: Clock, catalogs: CatalogStore) -> None:
        self._kv = kv
        self._bus = bus
        self._clock = clock
        self._catalogs = catalogs

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                async for _ in self._catalogs.watch():
                    await self.tell()
            except (RetryLater, NotFound) as error:
                # NotFound: a later commit replaced what was read.
                log.info("asset_news_wait", extra={"why": str(error)})
                await asyncio.sleep(_RETRY)

    async def tell(self) -> None:
        """All that is applied and not told yet."""
        while True:
            entry = await self._kv.get(keys.ASSETS_TOLD)
            told = Told.from_bytes(entry.value) if entry else Told()
            toward = told.toward or await self._catalogs.root()
            if toward is None or _same(toward, told.base):
                return
            try:
                await self._part(told, toward, entry.version if entry else 0)
            except TransactionConflict:
                log.debug("asset_news_told_elsewhere")

    async def _part(self, told: Told, toward: CatalogRoot, version: int) -> None:
        """The next few. Raises TransactionConflict where another host was quicker."""
        before = await self._catalogs.load(told.base) if told.base else None
        left = [
            change
            for change in asset_changes(before, await self._catalogs.load(toward))
            if change.name > told.done
        ]
        part = left[:_BATCH]
        after = (
            Told(base=told.base, toward=toward, done=part[-1].name)
            if len(left) > len(part)
            else Told(base=toward)
        )
        events = await self._events(part, toward)
        await self._bus.publish(events, [Cas(keys.ASSETS_TOLD, after.to_bytes(), version)])

    async def _events(self, part: Sequence[AssetChange], root: CatalogRoot) -> list[Event]:
        if not part:
            return []
        recent, _ = await self._bus.history(types=(_APPLIED,), limit=20)
        cause = next((one for one in recent if one.data.get("revision") == root.revision), None)
        return [
            Event(
                new_id(),
                ASSET_CHANGED,
                "olympus/apollo",
                self._clock.now(),
                {
                    "name": change.name,
                    "verb": change.verb,
                    "revision": root.revision,
                    "actor": root.author,
                    "diff": as_diff(change.fields),
                    "fields": [one.field for one in change.fields[:_MAX_FIELDS]],
                },
                subject=change.name,
                cause=cause.id if cause else None,
                depth=cause.depth + 1 if cause else 0,
            )
            for change in part
        ]


def _same(one: CatalogRoot, other: CatalogRoot | None) -> bool:
    return other is not None and one.identity() == other.identity()
