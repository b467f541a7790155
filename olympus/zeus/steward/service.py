"""The steward at work: an actor with a key for each service of this node."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from olympus.actor import Actor, Decided
from olympus.hermes import keys
from olympus.hermes.bus import Bus
from olympus.hermes.kv import Delete, Kv
from olympus.host.http_aiohttp import HttpClient
from olympus.host.process import Identity, reap
from olympus.host.users import default_user, resolve_user
from olympus.kernel.clock import Clock
from olympus.kernel.errors import OlympusError, Refused
from olympus.kernel.events import Event
from olympus.kernel.ids import new_id
from olympus.records.blobs import load_blob
from olympus.records.desired import BlobRef, InstanceSpec, NodeDesired
from olympus.records.instance import Instance, instances_of
from olympus.records.kept import Kept
from olympus.records.news import News
from olympus.records.seals import Seals
from olympus.zeus.steward import checks, files
from olympus.zeus.steward.core import decide
from olympus.zeus.steward.elsewhere import healthy_elsewhere
from olympus.zeus.steward.model import (
    Checked,
    DependenciesChanged,
    Desired,
    Due,
    Exited,
    Fact,
    FilesChanged,
    Forget,
    Reload,
    Removed,
    Start,
    Started,
    StartFailed,
    StewardEffect,
    Stop,
    Supervised,
    Tell,
    WakeAt,
    Watch,
    WriteFiles,
)
from olympus.zeus.steward.ports import Ended, Unit
from olympus.zeus.steward.told import Told
from olympus.zeus.steward.unit_process import ProcessUnit
from olympus.zeus.steward.unit_systemd import SystemdUnit

log = logging.getLogger("olympus.zeus")

Made = Decided[str, Supervised, StewardEffect]
_CARE: Final = 5.0
_DEPENDENCIES: Final = 1.0


class Steward:
    """Of one node. `state` is the folder that outlives us."""

    def __init__(  # noqa: PLR0913 - a steward's surroundings
        self, kv: Kv, bus: Bus, clock: Clock, node: str, *, state: Path, client: HttpClient, seals: Seals
    ) -> None:
        self._kv = kv
        self._news = News(bus)
        self._clock = clock
        self._node = node
        self._client = client
        self._processes = ProcessUnit(state / "services")
        self._systemd = SystemdUnit(state / "services", self._blob)
        self._writing = asyncio.Lock()
        self._told = Told(
            kv, self._news, clock, node, seals=seals, kept=Kept(state / "steward.desired", node)
        )
        self._desired = NodeDesired(node=node, epoch=0, revision="")
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._going: dict[str, asyncio.Task[None]] = {}
        self._group: asyncio.TaskGroup | None = None
        self._causes: dict[str, str] = {}
        self._adopted = asyncio.Event()
        self._actor: Actor[str, Supervised, Fact, StewardEffect] = Actor(
            clock=clock, decide=decide, perform=self._perform, wake=lambda _: Due()
        )

    @property
    def ready(self) -> asyncio.Event:
        """Set when the services that survived our restart are adopted."""
        return self._adopted

    async def run(self) -> None:
        """Until cancelled; services go on then, and are found at the next start."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            group.create_task(self._actor.run())
            group.create_task(self._news.run())
            group.create_task(self._follow())
            group.create_task(self._care())
            group.create_task(self._follow_dependencies())

    async def _follow(self) -> None:
        async for taken in self._told.follow():
            # Until something better comes, what was taken before our restart holds.
            desired = taken if taken is not None or self._adopted.is_set() else self._told.kept
            if desired is not None:
                await self._take(desired)
            self._adopted.set()

    async def _take(self, desired: NodeDesired) -> None:
        self._desired = desired
        manage = desired.mode == "manage"
        known = await self._known() if not self._adopted.is_set() else {}
        wanted = {spec.service: spec for spec in desired.instances}
        for name, spec in wanted.items():
            fact = Desired(spec, manage, self._are_ready(spec.depends_on), node=self._node)
            if self._actor.state(name) is None:
                fact = await self._with_survivor(fact, known.get(name))
            self._actor.tell(name, fact)
        for name in self._actor.states().keys() - wanted.keys():
            self._actor.tell(name, Removed())
        if not self._adopted.is_set():
            await self._remove_leftovers(known, wanted)

    async def _known(self) -> dict[str, Instance]:
        found = await self._kv.scan(keys.instances(self._node))
        return instances_of(found.entries).get(self._node, {})

    async def _with_survivor(self, fact: Desired, known: Instance | None) -> Desired:
        try:
            identity = await self._unit(fact.spec).find(fact.spec)
        except OlympusError as error:
            log.info("not_found", extra={"service": fact.spec.service, "why": str(error)})
            identity = None
        if identity is None:
            return replace(fact, known=known)
        log.info("adopted", extra={"service": fact.spec.service, "pid": identity.pid})
        self._watch(fact.spec, identity)
        return replace(
            fact,
            adopted=identity,
            adopted_since=known.since if known else self._clock.now(),
            known=known,
            # A unit that ran before it was declared here is as it should be, if its files are.
            as_declared=known is None and self._is_as_declared(fact.spec),
        )

    def _is_as_declared(self, spec: InstanceSpec) -> bool:
        if spec.systemd is None or any(files.differs(file) for file in spec.files):
            return False
        return self._systemd.is_as_declared(spec)

    async def _remove_leftovers(self, known: Mapping[str, Instance], wanted: Mapping[str, object]) -> None:
        """Services that were withdrawn while we were away."""
        here = {*known, *self._processes.known(), *self._systemd.known()}
        await asyncio.gather(*(self._forget(name) for name in here - wanted.keys()))
        for name in known.keys() - wanted.keys():
            await self._kv.transact([Delete(keys.instance(self._node, name))])

    # --- performing --------------------------------------------------------------------------------------

    async def _perform(self, batch: Sequence[Made]) -> None:
        for made in batch:
            for effect in made.effects:
                self._do(made.key, effect)
            if _is_worth_telling(made):
                events = [self._event(made, effect) for effect in made.effects if isinstance(effect, Tell)]
                record = made.after.record.to_bytes() if made.after else None
                self._news.note(keys.instance(self._node, made.key), record, events)
                for event in events:
                    said = {"service": made.key, "why": event.data["reason"]}
                    log.info(event.type.rpartition(".")[2], extra=said)

    def _do(self, service: str, effect: StewardEffect) -> None:
        match effect:
            case WakeAt():
                self._actor.wake_at(service, effect.when)
            case Start():
                self._begin(service, self._start(effect.spec))
            case Stop():
                self._begin(service, self._stop(effect.spec, effect.identity))
            case Reload():
                self._spawn(self._reload(effect))
            case Watch():
                self._watch(effect.spec, effect.identity)
            case WriteFiles():
                self._spawn(self._heal(effect.spec))
            case Forget():
                self._go(service)

    def _event(self, made: Made, effect: Tell) -> Event:
        record = (made.after or made.before).record  # type: ignore[union-attr]
        data = {
            "service": made.key,
            "state": record.state,
            "reason": effect.reason,
            "restarts": record.restarts,
            "node": self._node,
        }
        event_id = new_id()
        # What comes of a failure names it as its cause.
        cause = self._causes.get(made.key) if effect.what != "service-failed" else None
        self._causes[made.key] = event_id
        source = f"olympus/zeus/{self._node}"
        return Event(
            event_id,
            f"olympus.zeus.{effect.what}",
            source,
            self._clock.now(),
            data,
            made.key,
            self._node,
            cause,
            depth=1 if cause else 0,
        )

    def _begin(self, service: str, work: Coroutine[None, None, None]) -> None:
        """Starting and stopping end whatever watched the process before."""
        old = self._tasks.pop(service, None)
        if old is not None:
            old.cancel()
        if self._group is not None:
            self._tasks[service] = self._group.create_task(work)

    def _spawn(self, work: Coroutine[None, None, object]) -> None:
        if self._group is not None:
            self._group.create_task(work)

    def _go(self, service: str) -> None:
        if self._group is not None:
            going = self._going[service] = self._group.create_task(self._forget(service))
            going.add_done_callback(lambda _: self._going.pop(service, None))

    async def _start(self, spec: InstanceSpec) -> None:
        if spec.service in self._going:
            # It was withdrawn and is wanted again: what was before has to be gone first.
            await self._going[spec.service]
        try:
            await self._write_files(spec)
            for unit in (self._processes, self._systemd):
                if unit is not self._unit(spec) and unit.knows(spec.service):
                    await unit.forget(spec.service)
            identity = await self._unit(spec).start(spec, self._desired.allow_users)
        except (OlympusError, OSError) as error:
            self._actor.tell(spec.service, StartFailed(str(error)))
            return
        self._actor.tell(spec.service, Started(identity))
        await self._accompany(spec, identity)

    async def _stop(self, spec: InstanceSpec, identity: Identity | None) -> None:
        ended = Ended(None)
        try:
            await self._unit(spec).stop(spec, identity)
            if identity is not None:
                ended = await self._unit(spec).ended(spec, identity)
        except (OlympusError, OSError) as error:
            log.warning("stop_failed", extra={"service": spec.service, "why": str(error)})
        self._actor.tell(spec.service, Exited(ended.code, identity, ended.why))

    async def _forget(self, service: str) -> None:
        for unit in (self._processes, self._systemd):
            try:
                await unit.forget(service)
            except (OlympusError, OSError) as error:
                log.warning("not_removed", extra={"service": service, "why": str(error)})

    def _watch(self, spec: InstanceSpec, identity: Identity) -> None:
        self._begin(spec.service, self._accompany(spec, identity))

    async def _accompany(self, spec: InstanceSpec, identity: Identity) -> None:
        """While it lives: its checks, as they are desired by now; then: how it ended."""
        state = self._actor.state(spec.service)
        wanted = spec if state is None else state.spec
        async with asyncio.TaskGroup() as group:
            looking = [group.create_task(self._check(wanted, i)) for i in range(len(wanted.checks))]
            ended = await self._end_of(spec, identity)
            for task in looking:
                task.cancel()
        self._actor.tell(spec.service, Exited(ended.code, identity, ended.why))

    async def _end_of(self, spec: InstanceSpec, identity: Identity) -> Ended:
        try:
            return await self._unit(spec).ended(spec, identity)
        except (OlympusError, OSError) as error:
            return Ended(None, str(error))

    async def _check(self, spec: InstanceSpec, index: int) -> None:
        check = spec.checks[index]
        scope = f"{self._processes.scope(spec.service)}/check/{index}"
        # A service that has just been started gets a moment, but is not kept waiting for a whole round.
        pause = min(0.2, check.every)
        while True:
            await asyncio.sleep(pause)
            try:
                user = resolve_user(spec.process.user if spec.process else None, self._desired.allow_users)
            except Refused:
                user = default_user()
            passing, said = await checks.perform(check, self._client, user=user, scope=scope)
            self._actor.tell(spec.service, Checked(index, passing, said))
            pause = check.every

    async def _reload(self, effect: Reload) -> None:
        try:
            await self._write_files(effect.spec)
            await self._unit(effect.spec).reload(effect.spec, effect.identity)
        except (OlympusError, OSError) as error:
            log.warning("reload_failed", extra={"service": effect.spec.service, "why": str(error)})

    async def _write_files(self, spec: InstanceSpec) -> list[str]:
        """The paths of those that were not as declared. Raises OlympusError, OSError."""
        written = []
        async with self._writing:
            for file in spec.files:
                if files.differs(file):
                    files.write(file, await self._blob(file.content))
                    written.append(file.path)
        return written

    async def _heal(self, spec: InstanceSpec) -> list[str]:
        try:
            written = await self._write_files(spec)
            return written if spec.systemd is None else [*written, *await self._systemd.install(spec)]
        except (OlympusError, OSError) as error:
            log.warning("files_not_written", extra={"service": spec.service, "why": str(error)})
            return []

    # --- what goes on by itself --------------------------------------------------------------------------

    async def _care(self) -> None:
        """Output that grows, orphans that ended, files that drifted."""
        while True:
            await asyncio.sleep(_CARE)
            reap()
            for name, state in self._actor.states().items():
                if state.spec.process is not None and self._processes.output(name).rotate():
                    log.info("output_rotated", extra={"service": name})
                if state.phase == "up" and state.manage and not state.spec.suspended:
                    drifted = await self._heal(state.spec)
                    if drifted:
                        self._actor.tell(name, FilesChanged(tuple(drifted)))

    async def _follow_dependencies(self) -> None:
        """Those that wait for others: here by what we know, elsewhere by what other stewards tell."""
        while True:
            await asyncio.sleep(_DEPENDENCIES)
            waiting = {
                name: state
                for name, state in self._actor.states().items()
                if not state.ready and state.spec.depends_on
            }
            if not waiting:
                continue
            asked = {one for state in waiting.values() for one in state.spec.depends_on}
            elsewhere = await healthy_elsewhere(self._kv, asked - self._actor.states().keys())
            for name, state in waiting.items():
                if all(self._is_healthy(one) or one in elsewhere for one in state.spec.depends_on):
                    self._actor.tell(name, DependenciesChanged(True))

    def _are_ready(self, services: Sequence[str]) -> bool:
        return all(self._is_healthy(one) for one in services)

    def _is_healthy(self, service: str) -> bool:
        state = self._actor.state(service)
        return state is not None and state.record.state == "running" and state.record.healthy is not False

    def _unit(self, spec: InstanceSpec) -> Unit:
        return self._systemd if spec.systemd is not None else self._processes

    async def _blob(self, ref: BlobRef) -> bytes:
        return await load_blob(self._kv, ref)


def _is_worth_telling(made: Made) -> bool:
    before = made.before.record if made.before else None
    after = made.after.record if made.after else None
    return before != after or any(isinstance(effect, Tell) for effect in made.effects)
