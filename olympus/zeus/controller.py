"""The controller: the one Zeus that leads turns the catalog, the hosts and what operators ordered into what
each node should be.

Level-triggered: watches only say *that* something changed (a deduplicated set of services, or everything);
what is done follows from what is there now. Every write carries the guard of the lease.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Final

from olympus.hermes import keys
from olympus.hermes.bus import Bus
from olympus.hermes.kv import Delete, Kv, Op, Put, TooLarge
from olympus.hermes.lease import Lease, Term, lead
from olympus.hermes.registry import Member, Registry
from olympus.kernel.clock import Clock
from olympus.kernel.errors import Invalid, NotFound
from olympus.kernel.events import Event
from olympus.kernel.ids import new_id
from olympus.kernel.timers import Timers
from olympus.records.blobs import save_blob
from olympus.records.catalog import CatalogRoot, CatalogStore
from olympus.records.cluster import intents_of
from olympus.records.desired import InstanceSpec
from olympus.records.hosts import Hosts
from olympus.records.instance import Instance, instances_of
from olympus.records.intents import Intent
from olympus.records.offer import Offer, Outcome
from olympus.records.plan import Plan
from olympus.records.rollout import Rollout
from olympus.records.seals import Seals
from olympus.zeus.compile import compile_hosts, declaration
from olympus.zeus.contents import contents
from olympus.zeus.desired_states import DesiredStates, Looks, Told, batches, tell_one
from olympus.zeus.hosts import HostCount
from olympus.zeus.looks import looked_at
from olympus.zeus.model import Host, World
from olympus.zeus.placement import place
from olympus.zeus.plan import Declaration, plan, prune_refused
from olympus.zeus.rollout import Seen, step
from olympus.zeus.sweep import sweep_for_ever

log = logging.getLogger("olympus.zeus")

ROLE: Final = "zeus"
_MAX_EVENT_ACTIONS: Final = 500
_HOSTS: Final = ""
"""The timer that is no service's."""

_YIELD: Final = 50
_BETTER: Final = 60.0
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
            group.create_task(reign.watch_instances(group))
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
        self._root: CatalogRoot | None = None
        self._declared = Declaration()
        self._count = HostCount()
        self._intents: dict[tuple[str, str], Intent] = {}
        self._hosts: dict[str, Host] = {}
        self._desired = DesiredStates(seals)
        # Service → the nodes where it runs by desired states that could not be read.
        self._placed_there: dict[str, list[str]] = {}
        self._observed: dict[str, dict[str, Instance]] = {}
        self._rollouts: dict[str, Rollout] = {}
        self._placed: Mapping[str, tuple[str, ...]] = {}
        self._looked_at: dict[str, Looks] = {}
        self._offer: Offer | None = None
        self._handled = ""
        self._everything = True
        self._sound = True
        self._dirty: set[str] = set()
        self._timers: Timers[str] = Timers()
        self._stirred = asyncio.Event()
        self._watched = asyncio.Event()

    # ── what is there ──

    async def load(self, members: Sequence[Member]) -> None:
        """Everything as it lies in Hermes."""
        self._count.listed(members)
        found = await self._kv.get(keys.HOSTS)
        self._count.known = Hosts() if found is None else Hosts.from_bytes(found.value)
        found = await self._kv.get(keys.OUTCOME)
        self._handled = "" if found is None else Outcome.from_bytes(found.value).offer
        self._intents = intents_of((await self._kv.scan(keys.INTENTS)).entries)
        for entry in (await self._kv.scan(keys.ROLLOUTS)).entries:
            self._rollouts[entry.key.removeprefix(keys.ROLLOUTS)] = Rollout.from_bytes(entry.value)
        for entry in (await self._kv.scan(keys.NODES)).entries:
            name, _, what = entry.key.removeprefix(keys.NODES).partition("/")
            if what == "desired":
                await self._desired.load(name, entry.value)
        self._observed = instances_of((await self._kv.scan(keys.INSTANCES)).entries)
        for name in self._desired.unsigned:
            for service in self._observed.get(name, {}):
                self._placed_there.setdefault(service, []).append(name)
        self._root = await self._catalogs.root()

    async def _compiled(self, root: CatalogRoot | None) -> tuple[dict[str, Host], Declaration]:
        """Hosts and goals under `root`, with what operators ordered. Raises Invalid."""
        if root is None:
            return compile_hosts(None, self._count.known, self._intents), Declaration()
        catalog = await self._catalogs.load(root)
        hosts = compile_hosts(catalog, self._count.known, self._intents)
        made = await contents(
            catalog,
            await self._catalogs.files(root),
            hosts.values(),
            read=partial(self._catalogs.file, root),
            save=partial(save_blob, self._kv),
        )
        return hosts, declaration(catalog, root.revision, made, self._intents)

    def _world(self) -> World:
        return World(self._hosts, self._desired.told(), self._observed, self._rollouts)

    # ── what changes ──

    def _stir(self, *services: str, everything: bool = False) -> None:
        self._dirty.update(services)
        self._everything = self._everything or everything
        self._stirred.set()

    def members_changed(self, members: Sequence[Member]) -> None:
        """The registry lists others, or others live."""
        if self._count.listed(members):
            self._stir(everything=True)

    async def watch_offers(self) -> None:
        """Catalogs that were validated somewhere."""
        async for found in self._kv.watch(keys.OFFER):
            for entry in found.entries:
                if entry.key == keys.OFFER:
                    self._offer = Offer.from_bytes(entry.value)
                    self._stir()

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
            if self._desired.distrust():
                self._stir(everything=True)
            known = await self._seals.trust.changed(known)

    async def watch_instances(self, group: asyncio.TaskGroup) -> None:
        """What each host's steward says; a watch for each host that there is."""
        watching: dict[str, asyncio.Task[None]] = {}
        while True:
            for name in set(self._count.known.hosts) - set(watching):
                watching[name] = group.create_task(self._watch_node(name))
            for name in set(watching) - set(self._count.known.hosts):
                watching.pop(name).cancel()
                self._observed.pop(name, None)
            self._watched.clear()
            await self._watched.wait()

    async def _watch_node(self, node: str) -> None:
        while True:
            try:
                await self._follow_node(node)
            except TooLarge as exc:
                # A node writes there what it likes: it is not seen any more, and stops nobody.
                log.warning("instances_not_read", extra={"node": node, "reason": str(exc)})
                await asyncio.sleep(_BETTER)

    async def _follow_node(self, node: str) -> None:
        async for found in self._kv.watch(keys.instances(node)):
            after = instances_of(found.entries).get(node, {})
            before = self._observed.get(node, {})
            self._observed[node] = after
            changed = {name for name in {*before, *after} if before.get(name) != after.get(name)}
            if changed:
                self._stir(*changed)

    # ── what is done ──

    async def work(self) -> None:
        """Reconcile whatever has changed, for ever. What fails ends the reign: the next one reads anew."""
        while True:
            await self._once()
            await self._idle()

    async def _once(self) -> None:
        self._dirty.update(self._timers.due(self._clock.now()))
        if _HOSTS in self._dirty:
            self._dirty.discard(_HOSTS)
            self._everything = True
        # Taken now: what changes while we look is for the next time.
        everything, self._everything = self._everything, False
        if everything:
            await self._count_hosts()
            self._sound = await self._compile()
        offer = self._offer
        if offer is not None and offer.id != self._handled:
            await self._consider(offer)
        elif self._sound:
            await self._reconcile(everything=everything)
        else:
            self._dirty.clear()

    async def _compile(self) -> bool:
        """Whether the catalog can be used; where not, nothing may be concluded from what it lacks."""
        try:
            self._hosts, self._declared = await self._compiled(self._root)
        except (Invalid, NotFound) as exc:
            log.error("catalog_unusable", extra={"reason": str(exc)})  # noqa: TRY400 - the reason says it all
            return False
        return True

    async def _idle(self) -> None:
        while not (self._stirred.is_set() or self._dirty or self._everything):
            soonest = self._timers.next()
            delay = None if soonest is None else (soonest - self._clock.now()).total_seconds()
            if delay is not None and delay <= 0:
                return
            try:
                async with asyncio.timeout(None if delay is None else min(delay, 60.0)):
                    await self._stirred.wait()
            except TimeoutError:
                continue
        self._stirred.clear()
        if self._offer is None or self._offer.id == self._handled:
            await asyncio.sleep(_SETTLE)

    async def _count_hosts(self) -> None:
        known, events, again = self._count.count(self._clock.now())
        if again is not None:
            self._timers.set(_HOSTS, again)
        if known != self._count.known:
            ops: list[Op] = [self._term.guard, Put(keys.HOSTS, known.to_bytes())]
            if events:
                await self._bus.publish(events, ops)
            else:
                await self._kv.transact(ops)
            self._count.known = known
            self._watched.set()

    async def _consider(self, offer: Offer) -> None:
        """Apply the offer, or say why not."""
        try:
            hosts, after = await self._compiled(offer.root)
            world = self._world()
            made = plan(self._declared, after, World(hosts, world.desired, world.observed, world.rollouts))
        except (Invalid, NotFound) as exc:
            await self._refuse(offer, str(exc))
            return
        reason = None if offer.prune else prune_refused(self._declared.resources, after.resources)
        if reason is not None:
            await self._refuse(offer, reason)
            return
        if self._root is None or self._root.identity() != offer.root.identity():
            await self._move_root(offer, made)
        self._sound = True
        self._hosts, self._declared = hosts, after
        await self._reconcile(everything=True)
        await self._settle(offer, applied=True, summary=made.summary(), lines=made.warnings)

    async def _move_root(self, offer: Offer, made: Plan) -> None:
        now = self._clock.now()
        root = offer.root.model_copy(update={"applied_at": now})
        applied = self._event(
            "olympus.zeus.applied",
            now,
            {"revision": root.revision, "author": root.author, "summary": made.summary(), **_actions(made)},
        )
        await self._bus.publish([applied], [self._term.guard, Put(keys.CATALOG, root.to_bytes())])
        self._root = root
        log.info("applied", extra={"revision": root.revision, "summary": made.summary()})

    async def _refuse(self, offer: Offer, reason: str) -> None:
        log.warning("refused", extra={"revision": offer.root.revision, "reason": reason})
        data = {"revision": offer.root.revision, "author": offer.root.author, "errors": [reason]}
        refused = self._event("olympus.zeus.refused", self._clock.now(), data)
        await self._settle(offer, applied=False, lines=(reason,), events=(refused,))
        self._everything = True

    async def _settle(
        self,
        offer: Offer,
        *,
        applied: bool,
        summary: str = "",
        lines: Sequence[str] = (),
        events: Sequence[Event] = (),
    ) -> None:
        outcome = Outcome(
            offer=offer.id,
            revision=offer.root.revision,
            applied=applied,
            at=self._clock.now(),
            summary=summary,
            lines=tuple(lines),
        )
        ops: list[Op] = [self._term.guard, Put(keys.OUTCOME, outcome.to_bytes())]
        if events:
            await self._bus.publish(events, ops)
        else:
            await self._kv.transact(ops)
        self._handled = offer.id

    async def _reconcile(self, *, everything: bool) -> None:
        """Write what each node should be now: of every service, or of those that changed."""
        now = self._clock.now()
        world = self._world()
        if everything:
            before = world.placement()
            for service, nodes in self._placed_there.items():
                before[service] = tuple(sorted({*before.get(service, ()), *nodes}))
            self._placed_there.clear()
            self._placed = place(self._declared.goals.values(), list(self._hosts.values()), before)
            services = {*self._declared.goals, *before, *self._rollouts}
            self._look()
        else:
            services = set(self._dirty)
        self._dirty.clear()
        told = self._desired.told()
        told |= {node: {} for node in (self._desired.unsigned | self._looked_at.keys()) - told.keys()}
        ops: list[Op] = []
        events: list[Event] = []
        for number, service in enumerate(sorted(services)):
            ops += self._step(service, world, told, now, events)
            if number % _YIELD == _YIELD - 1:
                # Thousands of services must not keep everybody else in this process waiting.
                await asyncio.sleep(0)
        await self._tell(told, ops, events)

    def _look(self) -> None:
        """What each host checks and watches."""
        found = {}
        for name, host in self._hosts.items():
            try:
                found[name] = looked_at(self._declared.looks, host)
            except Invalid as exc:
                # As with services: what is looked at there is left alone until git or the host changes.
                log.warning("looks_not_resolved", extra={"node": name, "reason": str(exc)})
                found[name] = self._desired.looks(name)
        self._looked_at = found

    def _step(
        self,
        service: str,
        world: World,
        told: Told,
        now: datetime,
        events: list[Event],
    ) -> list[Op]:
        goal = self._declared.goals.get(service)
        before = self._rollouts.get(service)
        current = world.current(service)
        specs: Mapping[str, InstanceSpec] = {}
        rollout: Rollout | None = None
        if goal is not None:
            placed = [self._hosts[name] for name in self._placed.get(service, ()) if name in self._hosts]
            seen = Seen(current, world.seen(service), before)
            try:
                made = step(goal, placed, self._hosts, seen, now)
            except Invalid as exc:
                # Resolving depends on the host: what runs is left alone until git or the host changes.
                log.warning("service_not_resolved", extra={"service": service, "reason": str(exc)})
                return []
            specs, rollout = made.specs, made.rollout
            if made.wake is None:
                self._timers.cancel(service)
            else:
                self._timers.set(service, made.wake)
        for node in {*current, *specs}:
            tell_one(told.setdefault(node, {}), service, specs.get(node))
        if rollout == before:
            return []
        if rollout is None:
            self._rollouts.pop(service, None)
            return [Delete(keys.rollout(service))]
        if rollout.failed is not None and (before is None or before.failed is None):
            data = {"service": service, "state": "rolled-back", "reason": rollout.failed, "restarts": 0}
            events.append(
                self._event("olympus.zeus.service-failed", now, data, node=rollout.failed_on, subject=service)
            )
            self._dirty.add(service)
        self._rollouts[service] = rollout
        return [Put(keys.rollout(service), rollout.to_bytes())]

    async def _tell(self, told: Told, ops: Sequence[Op], events: Sequence[Event]) -> None:
        revision = "" if self._root is None else self._root.revision
        fresh = await self._desired.changes(
            told, self._looked_at, self._hosts, epoch=self._term.epoch, revision=revision
        )
        if events:
            await self._bus.publish(events, [self._term.guard])
        for batch in batches(ops, fresh):
            await self._kv.transact([self._term.guard, *batch])
        self._desired.written(fresh)

    def _event(
        self,
        type_: str,
        now: datetime,
        data: Mapping[str, object],
        *,
        node: str | None = None,
        subject: str | None = None,
    ) -> Event:
        return Event(
            id=new_id(),
            type=type_,
            source="olympus/zeus",
            time=now,
            data=data,
            node=node,
            subject=subject,
        )


def _actions(made: Plan) -> dict[str, object]:
    """The actions as an event carries them: without diffs, and not more than an event may hold."""
    listed = [action.model_dump(exclude={"diff"}) for action in made.actions[:_MAX_EVENT_ACTIONS]]
    more = len(made.actions) - len(listed)
    return {"actions": listed, **({"moreActions": more} if more else {})}
