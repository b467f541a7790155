"""Offers: commits that were validated somewhere. Each is applied or refused, once, and its outcome is what the push
prints.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from olympus.hermes import keys
from olympus.hermes.bus import Bus
from olympus.hermes.kv import Kv, Op, Put
from olympus.hermes.lease import Term
from olympus.kernel.clock import Clock
from olympus.kernel.events import Event
from olympus.kernel.ids import new_id
from olympus.records.catalog import CatalogRoot
from olympus.records.offer import Offer, Outcome
from olympus.records.plan import Plan

log = logging.getLogger("olympus.zeus")

_MAX_EVENT_ACTIONS: Final = 500


class Offers:
    """The newest one, and whether it has its outcome. For the leader alone: every write carries its guard."""

    def __init__(self, kv: Kv, bus: Bus, clock: Clock, term: Term) -> None:
        self._kv = kv
        self._bus = bus
        self._clock = clock
        self._term = term
        self._newest: Offer | None = None
        self._handled = ""

    async def load(self) -> None:
        """Which one had its outcome last."""
        found = await self._kv.get(keys.OUTCOME)
        self._handled = "" if found is None else Outcome.from_bytes(found.value).offer

    async def watch(self, changed: Callable[[], None]) -> None:
        """For ever."""
        async for found in self._kv.watch(keys.OFFER):
            for entry in found.entries:
                if entry.key == keys.OFFER:
                    self._newest = Offer.from_bytes(entry.value)
                    changed()

    def pending(self) -> Offer | None:
        """What has no outcome yet."""
        return None if self._newest is None or self._newest.id == self._handled else self._newest

    async def take(self, offer: Offer, made: Plan) -> CatalogRoot:
        """Its commit is the one that counts from now on, though nothing is written to nodes yet."""
        now = self._clock.now()
        root = offer.root.model_copy(update={"applied_at": now})
        data = {"revision": root.revision, "author": root.author, "summary": made.summary(), **_actions(made)}
        applied = self._event("olympus.zeus.applied", data)
        await self._bus.publish([applied], [self._term.guard, Put(keys.CATALOG, root.to_bytes())])
        log.info("applied", extra={"revision": root.revision, "summary": made.summary()})
        return root

    async def applied(self, offer: Offer, made: Plan) -> None:
        """Nodes were told."""
        outcome = self._outcome(offer, applied=True, summary=made.summary(), lines=made.warnings)
        await self._kv.transact(self._settled(outcome))
        self._handled = offer.id

    async def refuse(self, offer: Offer, reason: str) -> None:
        """Nothing of it is applied."""
        log.warning("refused", extra={"revision": offer.root.revision, "reason": reason})
        data = {"revision": offer.root.revision, "author": offer.root.author, "errors": [reason]}
        refused = self._event("olympus.zeus.refused", data)
        await self._bus.publish(
            [refused], self._settled(self._outcome(offer, applied=False, lines=(reason,)))
        )
        self._handled = offer.id

    def _outcome(
        self, offer: Offer, *, applied: bool, summary: str = "", lines: Sequence[str] = ()
    ) -> Outcome:
        return Outcome(
            offer=offer.id,
            revision=offer.root.revision,
            applied=applied,
            at=self._clock.now(),
            summary=summary,
            lines=tuple(lines),
        )

    def _settled(self, outcome: Outcome) -> list[Op]:
        return [self._term.guard, Put(keys.OUTCOME, outcome.to_bytes())]

    def _event(self, type_: str, data: Mapping[str, object]) -> Event:
        return Event(id=new_id(), type=type_, source="olympus/zeus", time=self._clock.now(), data=data)


def _actions(made: Plan) -> dict[str, object]:
    """The actions as an event carries them: without diffs, and not more than an event may hold."""
    listed = [action.model_dump(exclude={"diff"}) for action in made.actions[:_MAX_EVENT_ACTIONS]]
    more = len(made.actions) - len(listed)
    return {"actions": listed, **({"moreActions": more} if more else {})}
