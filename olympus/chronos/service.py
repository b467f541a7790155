"""Chronos at work: one leader, one actor, a key for each schedule."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from olympus.actor import Actor, Decided
from olympus.chronos.core import decide, upcoming
from olympus.chronos.model import (
    ChronosEffect,
    Declared,
    Due,
    Fact,
    Fire,
    Forget,
    Planned,
    PlanNext,
    Remember,
    RunFinished,
    RunStarted,
    ScheduleState,
    Skip,
    Timetable,
    WakeAt,
    Withdrawn,
)
from olympus.chronos.timetable import timetables
from olympus.hermes import keys
from olympus.hermes.bus import Bus
from olympus.hermes.kv import Cas, DeleteCas, Kv, Op
from olympus.hermes.lease import Term
from olympus.kernel.cancellation import heed_cancellation
from olympus.kernel.clock import Clock, rfc3339
from olympus.kernel.errors import HermesUnreachable
from olympus.kernel.events import Event
from olympus.kernel.ids import new_id
from olympus.records.catalog import CatalogStore
from olympus.records.intents import Intent
from olympus.records.run import Run
from olympus.records.schedule import ScheduleRecord

log = logging.getLogger("olympus.chronos")

SOURCE: Final = "olympus/chronos"
# Each schedule takes one operation of a transaction; the events and the guard need a few.
PER_TRANSACTION: Final = 56
# Of what is due at once, so much is stored together: each batch waits until it is safe on the disk.
MAX_BATCH: Final = 1024
_RETRY: Final = 1.0

Made = Decided[str, ScheduleState, ChronosEffect]


class Chronos:
    """`lead` is run while this host holds the lease `chronos`; `follow` everywhere."""

    def __init__(self, kv: Kv, bus: Bus, clock: Clock, catalogs: CatalogStore) -> None:
        self._kv = kv
        self._bus = bus
        self._clock = clock
        self._catalogs = catalogs
        self._known: dict[str, Timetable] = {}

    def upcoming(self, name: str, count: int) -> list[datetime]:
        """The next slots of a schedule of the applied catalog; on every node, as far as `follow` runs there."""
        known = self._known.get(name)
        return upcoming(known, self._clock.now(), count) if known else []

    async def follow(self) -> None:
        """Know the timetables, without leading. Until cancelled."""

        def know(declared: dict[str, Timetable]) -> None:
            self._known = declared

        while True:
            try:
                await self._declared(know)
            except* HermesUnreachable as errors:
                log.info("timetables_wait", extra={"why": str(errors.exceptions[0])})
            heed_cancellation()
            await asyncio.sleep(_RETRY)

    async def _declared(self, take: Callable[[dict[str, Timetable]], None]) -> None:
        """`take` the timetables of the applied catalog, with what operators ordered, now and after each change."""
        stirred = asyncio.Event()

        async def watch(prefix: str) -> None:
            async for _ in self._kv.watch(prefix):
                stirred.set()

        async with asyncio.TaskGroup() as group:
            for prefix in (keys.CATALOG, keys.intent("schedule", "")):
                group.create_task(watch(prefix))
            while True:
                await stirred.wait()
                stirred.clear()
                root = await self._catalogs.root()
                if root is not None:
                    catalog = await self._catalogs.load(root)
                    entries = (await self._kv.scan(keys.intent("schedule", ""))).entries
                    suspended = {
                        e.key.rpartition("/")[2] for e in entries if Intent.from_bytes(e.value).suspended
                    }
                    take(timetables(catalog.at(root.revision), suspended))

    async def _live_runs(self) -> dict[str, str]:
        """The runs that schedules began and that are not finished, as {run id: schedule}."""
        found: dict[str, str] = {}
        for key in await self._kv.keys(keys.LIVE_RUNS):
            entry = await self._kv.get(keys.run(key.removeprefix(keys.LIVE_RUNS)))
            run = Run.from_bytes(entry.value) if entry else None
            if run is not None and run.cause.kind == "schedule":
                found[run.id] = run.cause.name
        return found

    async def lead(self, term: Term) -> None:
        """Until cancelled, or until another leader has written: then Conflict is raised."""
        leadership = _Leadership(self._kv, self._bus, self._clock, term)
        cursor = await self._bus.now()
        await leadership.load(await self._live_runs())
        async with asyncio.TaskGroup() as group:
            group.create_task(leadership.actor.run())
            group.create_task(leadership.follow_runs(cursor))
            group.create_task(self._declared(leadership.take_timetables))


class _Leadership:
    """What lasts as long as one term."""

    def __init__(self, kv: Kv, bus: Bus, clock: Clock, term: Term) -> None:
        self._kv = kv
        self._bus = bus
        self._clock = clock
        self._term = term
        self._versions: dict[str, int] = {}
        self._stored: dict[str, ScheduleRecord] = {}
        self._of_run: dict[str, str] = {}
        self._of_event: dict[str, str] = {}
        self.actor: Actor[str, ScheduleState, Fact, ChronosEffect] = Actor(
            clock=clock, decide=decide, perform=self._perform, wake=lambda _: Due(), max_batch=MAX_BATCH
        )

    async def load(self, live_runs: Mapping[str, str]) -> None:
        """Take over what the leader before has stored."""
        self._of_run = dict(live_runs)
        for entry in (await self._kv.scan(keys.SCHEDULES)).entries:
            name = entry.key.removeprefix(keys.SCHEDULES)
            self._stored[name] = ScheduleRecord.from_bytes(entry.value)
            self._versions[name] = entry.version

    def take_timetables(self, declared: Mapping[str, Timetable]) -> None:
        for name, timetable in declared.items():
            self.actor.tell(name, self._declaration(timetable))
        for name in (self.actor.states().keys() | self._stored.keys()) - declared.keys():
            self.actor.tell(name, Withdrawn())
        self._stored.clear()

    def _declaration(self, timetable: Timetable) -> Declared:
        stored = self._stored.get(timetable.name)
        if stored is None or stored.digest != timetable.digest:
            return Declared(timetable)
        running = frozenset(run for run, name in self._of_run.items() if name == timetable.name)
        return Declared(timetable, stored.handled, running)

    async def follow_runs(self, cursor: Any) -> None:
        async for batch in self._bus.subscribe(cursor):
            for event in batch.events:
                run = str(event.data.get("run"))
                if event.type == "olympus.hephaestus.run-started" and event.cause in self._of_event:
                    schedule = self._of_event.pop(event.cause)
                    self._of_run[run] = schedule
                    self.actor.tell(schedule, RunStarted(run, event.cause))
                elif event.type == "olympus.hephaestus.run-finished" and run in self._of_run:
                    self.actor.tell(self._of_run.pop(run), RunFinished(run))

    async def _perform(self, batch: Sequence[Made]) -> None:
        stored = [made for made in batch if self._is_stored(made)]
        parts = [stored[i : i + PER_TRANSACTION] for i in range(0, len(stored), PER_TRANSACTION)]
        await asyncio.gather(*(self._store(part) for part in parts))
        for made in batch:
            for effect in made.effects:
                if isinstance(effect, WakeAt):
                    self.actor.wake_at(made.key, effect.when)
                elif isinstance(effect, PlanNext):
                    self.actor.tell(made.key, Planned())

    async def _store(self, part: Sequence[Made]) -> None:
        """The slots of these schedules, and the events that tell of them, in one transaction."""
        events: list[Event] = []
        ops: list[Op] = [self._term.guard]
        now = self._clock.now()
        for made in part:
            # Known before anybody can hear of it, so that no run is missed.
            self._of_event.update({e.event: made.key for e in made.effects if isinstance(e, Fire)})
            events += [_event(effect, now) for effect in made.effects if isinstance(effect, Fire | Skip)]
            ops.append(self._write(made))
        written = await self._bus.publish(events, ops)
        for made in part:
            if made.after is None:
                self._versions.pop(made.key, None)
            else:
                self._versions[made.key] = written[keys.schedule(made.key)]
        for event in events:
            log.info(event.type.rpartition(".")[2], extra={k: event.data[k] for k in ("schedule", "slot")})

    def _is_stored(self, made: Made) -> bool:
        if made.after is None and made.key not in self._versions:
            return False
        return any(isinstance(effect, Fire | Skip | Remember | Forget) for effect in made.effects)

    def _write(self, made: Made) -> Op:
        key, version = keys.schedule(made.key), self._versions.get(made.key, 0)
        if made.after is None:
            return DeleteCas(key, version)
        record = ScheduleRecord(digest=made.after.timetable.digest, handled=made.after.handled)
        return Cas(key, record.to_bytes(), version)


def _event(effect: Fire | Skip, now: datetime) -> Event:
    timetable = effect.timetable
    data: dict[str, Any] = {"schedule": timetable.name, "slot": rfc3339(effect.slot)}
    if isinstance(effect, Fire):
        data |= {
            "pipeline": timetable.pipeline,
            "params": timetable.params,
            "overlap": timetable.overlap,
            "revision": timetable.revision,
            "reason": "made up for: its slot was missed" if effect.late else "due",
        }
        return Event(effect.event, "olympus.chronos.fired", SOURCE, now, data, subject=timetable.name)
    data |= {"until": rfc3339(effect.until), "count": effect.count, "reason": effect.reason}
    return Event(new_id(), "olympus.chronos.skipped", SOURCE, now, data, subject=timetable.name)
