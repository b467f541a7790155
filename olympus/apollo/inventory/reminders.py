"""Before an asset expires, people are told: 30 days, a week and a day before, and when it has expired. Each once.

What was told lies in Hermes and moves in the transaction of its event: neither a restart nor a second host repeats it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from typing import Final

from olympus.hermes import keys
from olympus.hermes.bus import Bus
from olympus.hermes.kv import Cas, Kv, TransactionConflict
from olympus.kernel.clock import Clock
from olympus.kernel.errors import NotFound, RetryLater
from olympus.kernel.events import Event
from olympus.kernel.ids import new_id
from olympus.records.catalog import CatalogStore
from olympus.records.document import Document
from olympus.spec.catalog import Catalog, Resource
from olympus.spec.event_data import ASSET_EXPIRED, ASSET_EXPIRING

log = logging.getLogger("olympus.apollo")

_BEFORE: Final = (1, 7, 30)
"""Days. Whoever comes late is told the nearest alone."""

_OVER: Final = 0
_EXPIRES: Final = "expires"
_BATCH: Final = 50
_LOOK: Final = 600.0
_RETRY: Final = 1.0


class Reminded(Document):
    """`assets/reminded/NAME[/FIELD]`: for which date, and how near it was."""

    expires: str
    level: int


@dataclass(frozen=True, slots=True)
class Due:
    """field: `expires`, or one that its type names; level: days before, 0: it has expired."""

    asset: Resource
    field: str
    ends: date
    level: int
    days_left: int

    @property
    def key(self) -> str:
        return _key(self.asset.name, self.field)

    @property
    def reminded(self) -> Reminded:
        return Reminded(expires=self.ends.isoformat(), level=self.level)


def due(catalog: Catalog, reminded: Mapping[str, Reminded], today: date) -> list[Due]:
    """What is to be told today and was not yet. Another date begins anew. Pure."""
    found = []
    for asset in catalog.all("Asset"):
        for field, ends in _dates(catalog, asset):
            left = (ends - today).days
            level = _OVER if left < 0 else next((days for days in _BEFORE if left <= days), None)
            before = reminded.get(_key(asset.name, field))
            if before is not None and before.expires != ends.isoformat():
                before = None
            if level is not None and (before is None or before.level > level):
                found.append(Due(asset, field, ends, level, left))
    return found


def _dates(catalog: Catalog, asset: Resource) -> Iterator[tuple[str, date]]:
    if asset.spec.expires is not None:
        yield _EXPIRES, date.fromisoformat(asset.spec.expires)
    type_ = catalog.get("AssetType", asset.spec.type)
    for field in type_.spec.reminders if type_ is not None else ():
        with suppress(ValueError):
            # What is no date is nobody's reminder; the type's schema may demand one.
            yield field, date.fromisoformat(str(asset.spec.fields.get(field)))


def _key(name: str, field: str) -> str:
    return name if field == _EXPIRES else f"{name}/{field}"


class Reminders:
    """Looks when the catalog changes, and now and then for the day."""

    def __init__(self, kv: Kv, bus: Bus, clock: Clock, catalogs: CatalogStore) -> None:
        self._kv = kv
        self._bus = bus
        self._clock = clock
        self._catalogs = catalogs

    async def run(self) -> None:
        """Until cancelled."""
        changed = asyncio.Event()

        async def watch() -> None:
            async for _ in self._catalogs.watch():
                changed.set()

        async def look() -> None:
            while True:
                try:
                    await self.tell()
                except (RetryLater, NotFound, TransactionConflict) as error:
                    # TransactionConflict: another host told it.
                    log.info("reminders_wait", extra={"why": str(error)})
                    await asyncio.sleep(_RETRY)
                    continue
                changed.clear()
                try:
                    async with asyncio.timeout(_LOOK):
                        await changed.wait()
                except TimeoutError:
                    continue

        async with asyncio.TaskGroup() as group:
            group.create_task(watch())
            group.create_task(look())

    async def tell(self) -> None:
        """All that is due. Raises TransactionConflict where another host tells it just now."""
        root = await self._catalogs.root()
        if root is None:
            return
        catalog = await self._catalogs.load(root)
        entries = (await self._kv.scan(keys.ASSETS_REMINDED)).entries
        version = {one.key.removeprefix(keys.ASSETS_REMINDED): one.version for one in entries}
        told = {one.key.removeprefix(keys.ASSETS_REMINDED): Reminded.from_bytes(one.value) for one in entries}
        found = due(catalog, told, self._clock.now().date())
        for start in range(0, len(found), _BATCH):
            part = found[start : start + _BATCH]
            ops = [
                Cas(
                    keys.ASSETS_REMINDED + one.key,
                    one.reminded.to_bytes(),
                    version.get(one.key, 0),
                )
                for one in part
            ]
            await self._bus.publish([self._event(one) for one in part], ops)

    def _event(self, one: Due) -> Event:
        spec = one.asset.spec
        data = {
            "name": one.asset.name,
            "type": spec.type,
            "owner": spec.owner,
            "field": one.field,
            "expires": one.ends.isoformat(),
            "daysLeft": one.days_left,
        }
        kind = ASSET_EXPIRED if one.level == _OVER else ASSET_EXPIRING
        return Event(new_id(), kind, "olympus/apollo", self._clock.now(), data, one.asset.name)
