"""The controller: the one Zeus that leads turns the catalog, the hosts and what operators ordered into what
each node should be.

Level-triggered: watches only say *that* something changed (a deduplicated set of services, or everything);
what is done follows from what is there now. Every write carries the guard of the lease.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Sequence
from functools import partial
from typing import Final

from olympus.hermes import keys
from olympus.hermes.bus import Bus
from olympus.hermes.kv import Kv, Op, Put
from olympus.hermes.lease import Lease, Term, lead
from olympus.hermes.registry import Member, Registry
from olympus.kernel.clock import Clock
from olympus.kernel.errors import Invalid, NotFound
from olympus.records.blobs import save_blob
from olympus.records.catalog import CatalogRoot, CatalogStore
from olympus.records.cluster import intents_of
from olympus.records.hosts import Hosts
from olympus.records.intents import Intent
from olympus.records.offer import Offer
from olympus.records.seals import Seals
from olympus.zeus.compile import compile_hosts, declaration
from olympus.zeus.contents import contents
from olympus.zeus.hosts import HostCount
from olympus.zeus.model import World
from olympus.zeus.observed import Observed
from olympus.zeus.offers import Offers
from olympus.zeus.plan import plan, prune_refused
from olympus.zeus.reconcile import Aim, Reconciler
from olympus.zeus.sweep import sweep_for_ever

log = logging.getLogger("olympus.zeus")

ROLE: Final = "zeus"
_HOSTS: Final = ""
"""The timer that is no service's."""

_SETTLE: Final = 0.02
"""Seconds in which further changes join those that have come: one reconciliation for a burst."""


class Controller:
    """Runs for ever; leads when the lease says so."""

    def __init__(  # noqa: PLR0913 - what boot wires
        self, kv: Kv, bus: Bus, registry: Registry, catalogs: CatalogStore, clock: Clock, *, seals: Seals
    ) -> None:
        self._kv = kv
        self._bus = bus
        self._registry = registry
        self._catalogs = catalogs
        self._clock = clock
        self._seals = seals

    async def run(self, lease: Lease) -> None:
        """Until cancelled."""
        await lead(lease, self._lead)

    async def _lead(self, term: Term) -> None:
        log.info("zeus_leads", extra={"epoch": term.epoch})
        reign = Reign(self._kv, self._bus, self._catalogs, self._clock, term, seals=self._seals)
        await reign.load(await self._registry.members())
        async with asyncio.TaskGroup() as group:
            group.create_task(reign.watch_offers())
            group.create_task(reign.watch_intents())
            group.create_task(self._watch_members(reign))
            group.create_task(reign.watch_instances())
            group.create_task(reign.watch_trust())
            group.create_task(reign.work())
            group.create_task(sweep_for_ever(self._kv))

    async def _watch_members(self, reign: Reign) -> None:
        async for members in self._registry.watch():
            reign.members_changed(members)


class Reign:
    """One term of leadership. What it wrote it knows: nobody else may write it while the guard holds."""

    def __init__(  # noqa: PLR0913 - what a controller hands on
        self, kv: Kv, bus: Bus, catalogs: CatalogStore, clock: Clock, term: Term, *, seals: Seals
    ) -> None:
        self._kv = kv
        self._seals = seals
        self._bus = bus
        self._catalogs = catalogs
        self._clock = clock
        self._term = term
        self._count = HostCount()
        self._observed = Observed(kv)
        self._offers = Offers(kv, bus, clock, term)
        self._reconciler = Reconciler(kv, bus, term, seals)
        self._root: CatalogRoot | None = None
        self._aim = Aim()
        self._intents: dict[tuple[str, str], Intent] = {}
        self._everything = True
        self._sound = True
        self._dirty: set[str] = set()
        self._stirred = asyncio.Event()

    # ── what is there ──

    async def load(self, members: Sequence[Member]) -> None:
        """Everything as it lies in Hermes."""
        self._count.listed(members)
        found = await self._kv.get(keys.HOSTS)
        self._know(Hosts() if found is None else Hosts.from_bytes(found.value))
        await self._offers.load()
        self._intents = intents_of((await self._kv.scan(keys.INTENTS)).entries)
        await self._observed.load()
        await self._reconciler.load(self._observed.instances)
        self._root = await self._catalogs.root()

    def _know(self, hosts: Hosts) -> None:
        self._count.known = hosts
        self._observed.watch_those(hosts.hosts)

    async def _aimed(self, root: CatalogRoot | None) -> Aim:
        """Hosts and goals under `root`, with what operators ordered. Raises Invalid."""
        if root is None:
            return Aim(hosts=compile_hosts(None, self._count.known, self._intents))
        catalog = await self._catalogs.load(root)
        hosts = compile_hosts(catalog, self._count.known, self._intents)
        made = await contents(
            catalog,
            await self._catalogs.files(root),
            hosts.values(),
            read=partial(self._catalogs.file, root),
            save=partial(save_blob, self._kv),
        )
        return Aim(root.revision, hosts, declaration(catalog, root.revision, made, self._intents))

    # ── what changes ──

    def _stir(self, services: Collection[str] = (), *, everything: bool = False) -> None:
        self._dirty.update(services)
        self._everything = self._everything or everything
        self._stirred.set()

    def members_changed(self, members: Sequence[Member]) -> None:
        """The registry lists others, or others live."""
        if self._count.listed(members):
            self._stir(everything=True)

    async def watch_offers(self) -> None:
        """Catalogs that were validated somewhere."""
        await self._offers.watch(self._stir)

    async def watch_instances(self) -> None:
        """What each host's steward says."""
        await self._observed.watch(self._stir)

    async def watch_intents(self) -> None:
        """What operators order outside git."""
        async for found in self._kv.watch(keys.INTENTS):
            intents = intents_of(found.entries)
            if intents != self._intents:
                self._intents = intents
                self._stir(everything=True)

    async def watch_trust(self) -> None:
        """A controller that is trusted no more, or has another key: what it signed is signed by us."""
        known = self._seals.trust.signers()
        while True:
            if self._reconciler.desired.distrust():
                self._stir(everything=True)
            known = await self._seals.trust.changed(known)

    # ── what is done ──

    async def work(self) -> None:
        """Reconcile whatever has changed, for ever. What fails ends the reign: the next one reads anew."""
        while True:
            await self._once()
            await self._idle()

    async def _once(self) -> None:
        self._dirty.update(self._reconciler.timers.due(self._clock.now()))
        if _HOSTS in self._dirty:
            self._dirty.discard(_HOSTS)
            self._everything = True
        # Taken now: what changes while we look is for the next time.
        everything, self._everything = self._everything, False
        if everything:
            await self._count_hosts()
            self._sound = await self._compile()
        offer = self._offers.pending()
        if offer is not None:
            await self._consider(offer)
        elif self._sound:
            await self._reconcile(everything=everything)
        else:
            self._dirty.clear()

    async def _compile(self) -> bool:
        """Whether the catalog can be used; where not, nothing may be concluded from what it lacks."""
        try:
            self._aim = await self._aimed(self._root)
        except (Invalid, NotFound) as exc:
            log.error("catalog_unusable", extra={"reason": str(exc)})  # noqa: TRY400 - the reason says it all
            return False
        return True

    async def _idle(self) -> None:
        while not (self._stirred.is_set() or self._dirty or self._everything):
            soonest = self._reconciler.timers.next()
            delay = None if soonest is None else (soonest - self._clock.now()).total_seconds()
            if delay is not None and delay <= 0:
                return
            try:
                async with asyncio.timeout(None if delay is None else min(delay, 60.0)):
                    await self._stirred.wait()
            except TimeoutError:
                continue
        self._stirred.clear()
        if self._offers.pending() is None:
            await asyncio.sleep(_SETTLE)

    async def _count_hosts(self) -> None:
        known, events, again = self._count.count(self._clock.now())
        if again is not None:
            self._reconciler.timers.set(_HOSTS, again)
        if known != self._count.known:
            ops: list[Op] = [self._term.guard, Put(keys.HOSTS, known.to_bytes())]
            if events:
                await self._bus.publish(events, ops)
            else:
                await self._kv.transact(ops)
            self._know(known)

    async def _consider(self, offer: Offer) -> None:
        """Apply the offer, or say why not."""
        before = self._aim.declared
        try:
            aim = await self._aimed(offer.root)
            made = plan(before, aim.declared, self._world(aim))
        except (Invalid, NotFound) as exc:
            await self._refuse(offer, str(exc))
            return
        reason = None if offer.prune else prune_refused(before.resources, aim.declared.resources)
        if reason is not None:
            await self._refuse(offer, reason)
            return
        if self._root is None or self._root.identity() != offer.root.identity():
            self._root = await self._offers.take(offer, made)
        self._sound = True
        self._aim = aim
        await self._reconcile(everything=True)
        await self._offers.applied(offer, made)

    async def _refuse(self, offer: Offer, reason: str) -> None:
        await self._offers.refuse(offer, reason)
        self._everything = True

    def _world(self, aim: Aim) -> World:
        return self._reconciler.world(aim.hosts, self._observed.instances)

    async def _reconcile(self, *, everything: bool) -> None:
        """Write what each node should be now: of every service, or of those that changed."""
        now, world = self._clock.now(), self._world(self._aim)
        services, self._dirty = self._dirty, set()
        if everything:
            again = await self._reconciler.everything(self._aim, world, now)
        else:
            again = await self._reconciler.services(services, self._aim, world, now)
        self._dirty |= again
