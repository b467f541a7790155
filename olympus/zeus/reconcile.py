"""What each node should be now, written: services step by step through their roll-outs, checks and watches at once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from olympus.hermes import keys
from olympus.hermes.bus import Bus
from olympus.hermes.kv import Delete, Kv, Op, Put
from olympus.hermes.lease import Term
from olympus.kernel.errors import Invalid
from olympus.kernel.events import Event
from olympus.kernel.ids import new_id
from olympus.kernel.timers import Timers
from olympus.records.desired import InstanceSpec
from olympus.records.instance import Instance
from olympus.records.rollout import Rollout
from olympus.records.seals import Seals
from olympus.zeus.desired_states import DesiredStates, Looks, Told, batches, tell_one
from olympus.zeus.looks import looked_at
from olympus.zeus.model import Host, World
from olympus.zeus.placement import place
from olympus.zeus.plan import Declaration
from olympus.zeus.rollout import Seen, step

log = logging.getLogger("olympus.zeus")

_YIELD: Final = 50


@dataclass(frozen=True, slots=True)
class Aim:
    """What is declared at `revision`, and the hosts for it."""

    revision: str = ""
    hosts: Mapping[str, Host] = field(default_factory=dict)
    declared: Declaration = field(default_factory=Declaration)


@dataclass(slots=True)
class _Round:
    """What one reconciliation writes. again: services that need another one."""

    now: datetime
    told: Told
    ops: list[Op] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    again: set[str] = field(default_factory=set)


class Reconciler:
    """For the leader alone: what it wrote it knows, and every write carries its guard.

    desired: what each node was told
    timers:  service → when it has to be looked at again, though nothing changes
    """

    def __init__(self, kv: Kv, bus: Bus, term: Term, seals: Seals) -> None:
        self._kv = kv
        self._bus = bus
        self._term = term
        self.desired = DesiredStates(seals)
        self.timers: Timers[str] = Timers()
        self._rollouts: dict[str, Rollout] = {}
        # Service → the nodes where it runs by desired states that could not be read.
        self._placed_there: dict[str, list[str]] = {}
        self._placed: Mapping[str, tuple[str, ...]] = {}
        self._looked_at: dict[str, Looks] = {}

    async def load(self, observed: Mapping[str, Mapping[str, Instance]]) -> None:
        """Everything as it lies in Hermes."""
        for entry in (await self._kv.scan(keys.ROLLOUTS)).entries:
            self._rollouts[entry.key.removeprefix(keys.ROLLOUTS)] = Rollout.from_bytes(entry.value)
        for entry in (await self._kv.scan(keys.NODES)).entries:
            name, _, what = entry.key.removeprefix(keys.NODES).partition("/")
            if what == "desired":
                await self.desired.load(name, entry.value)
        for name in self.desired.unsigned:
            for service in observed.get(name, {}):
                self._placed_there.setdefault(service, []).append(name)

    def world(self, hosts: Mapping[str, Host], observed: Mapping[str, Mapping[str, Instance]]) -> World:
        """What plans look at."""
        return World(hosts, self.desired.told(), observed, self._rollouts)

    async def everything(self, aim: Aim, world: World, now: datetime) -> set[str]:
        """All services are placed anew. The services that need another reconciliation at once."""
        before = world.placement()
        for service, nodes in self._placed_there.items():
            before[service] = tuple(sorted({*before.get(service, ()), *nodes}))
        self._placed_there.clear()
        self._placed = place(aim.declared.goals.values(), list(aim.hosts.values()), before)
        self._look(aim)
        return await self.services({*aim.declared.goals, *before, *self._rollouts}, aim, world, now)

    async def services(self, names: Collection[str], aim: Aim, world: World, now: datetime) -> set[str]:
        """These services, where they are. The services that need another reconciliation at once."""
        told = self.desired.told()
        told |= {node: {} for node in (self.desired.unsigned | self._looked_at.keys()) - told.keys()}
        made = _Round(now, told)
        for number, service in enumerate(sorted(names)):
            self._step(service, aim, world, made)
            if number % _YIELD == _YIELD - 1:
                # Thousands of services must not keep everybody else in this process waiting.
                await asyncio.sleep(0)
        await self._write(aim, made)
        return made.again

    def _look(self, aim: Aim) -> None:
        """What each host checks and watches."""
        found = {}
        for name, host in aim.hosts.items():
            try:
                found[name] = looked_at(aim.declared.looks, host)
            except Invalid as exc:
                # As with services: what is looked at there is left alone until git or the host changes.
                log.warning("looks_not_resolved", extra={"node": name, "reason": str(exc)})
                found[name] = self.desired.looks(name)
        self._looked_at = found

    def _step(self, service: str, aim: Aim, world: World, made: _Round) -> None:
        goal = aim.declared.goals.get(service)
        before = self._rollouts.get(service)
        current = world.current(service)
        specs: Mapping[str, InstanceSpec] = {}
        rollout: Rollout | None = None
        if goal is not None:
            placed = [aim.hosts[name] for name in self._placed.get(service, ()) if name in aim.hosts]
            seen = Seen(current, world.seen(service), before)
            try:
                stepped = step(goal, placed, aim.hosts, seen, made.now)
            except Invalid as exc:
                # Resolving depends on the host: what runs is left alone until git or the host changes.
                log.warning("service_not_resolved", extra={"service": service, "reason": str(exc)})
                return
            specs, rollout = stepped.specs, stepped.rollout
            if stepped.wake is None:
                self.timers.cancel(service)
            else:
                self.timers.set(service, stepped.wake)
        for node in {*current, *specs}:
            tell_one(made.told.setdefault(node, {}), service, specs.get(node))
        if rollout != before:
            self._roll(service, before, rollout, made)

    def _roll(self, service: str, before: Rollout | None, after: Rollout | None, made: _Round) -> None:
        if after is None:
            self._rollouts.pop(service, None)
            made.ops.append(Delete(keys.rollout(service)))
            return
        if after.failed is not None and (before is None or before.failed is None):
            made.events.append(_rolled_back(service, after, made.now))
            made.again.add(service)
        self._rollouts[service] = after
        made.ops.append(Put(keys.rollout(service), after.to_bytes()))

    async def _write(self, aim: Aim, made: _Round) -> None:
        fresh = await self.desired.changes(
            made.told, self._looked_at, aim.hosts, epoch=self._term.epoch, revision=aim.revision
        )
        if made.events:
            await self._bus.publish(made.events, [self._term.guard])
        for batch in batches(made.ops, fresh):
            await self._kv.transact([self._term.guard, *batch])
        self.desired.written(fresh)


def _rolled_back(service: str, rollout: Rollout, now: datetime) -> Event:
    data = {"service": service, "state": "rolled-back", "reason": rollout.failed, "restarts": 0}
    return Event(
        id=new_id(),
        type="olympus.zeus.service-failed",
        source="olympus/zeus",
        time=now,
        data=data,
        node=rollout.failed_on,
        subject=service,
    )
