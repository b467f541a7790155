"""Athena at work: one leader, one engine, one loop. Each round takes in what has come, stores what that makes of
incidents with the cursor of the events, and only then does what was decided."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final

from olympus.athena import declared
from olympus.athena.engine import Doing, Engine
from olympus.athena.model import Acked, Commented, Fact, RunEnded, Tell, World
from olympus.athena.performing import Hands, Performer
from olympus.athena.rules import Rule
from olympus.athena.storing import Store, Stored
from olympus.hermes.bus import Batch, Bus, Cursor
from olympus.hermes.kv import Kv
from olympus.hermes.lease import Term
from olympus.kernel.clock import Clock
from olympus.kernel.events import Event
from olympus.kernel.ids import new_id
from olympus.records.catalog import CatalogStore
from olympus.spec.event_data import INCIDENT_ACKNOWLEDGED, INCIDENT_COMMENTED

log = logging.getLogger("olympus.athena")

ROLE: Final = "athena"
SOURCE: Final = "olympus/athena"
RUN_FINISHED: Final = "olympus.hephaestus.run-finished"

LAZY: Final = 0.5
"""Seconds within which a cursor is stored whose events came to nothing."""

_ROUND: Final = 1000
"""Events that one round takes in."""

_AHEAD: Final = 8
_BACKLOG_WITHIN: Final = 10.0
_LOOK_AGAIN: Final = timedelta(milliseconds=50)
_MAX_SLEEP: Final = 60.0


class Athena:
    """`lead` is run while this host holds the lease `athena` (see `hermes.lease.lead`)."""

    def __init__(self, kv: Kv, bus: Bus, clock: Clock, catalogs: CatalogStore, hands: Hands) -> None:
        self._kv = kv
        self._bus = bus
        self._clock = clock
        self._catalogs = catalogs
        self._hands = hands

    async def lead(self, term: Term) -> None:
        """Until cancelled, or until another leader has written: then Conflict is raised."""
        store = Store(self._kv, self._bus, term.guard)
        cursor = await store.cursor()
        stored = await store.load()
        backlog = _Backlog(await self._bus.now(), cursor, self._clock)
        log.info("loaded", extra={"incidents": len(stored.incidents), "known": len(stored.known)})
        async with asyncio.TaskGroup() as group:
            leadership = _Leadership(store, stored, backlog, self._clock)
            leadership.performer = Performer(self._hands, group, leadership.tell)
            group.create_task(declared.follow(self._kv, self._catalogs, leadership.take))
            group.create_task(leadership.follow(self._bus, cursor))
            group.create_task(leadership.run())


class _Backlog:
    """What came between two leaders. It is waited for, though not for ever: a publisher may be gone for good."""

    def __init__(self, end: Cursor, cursor: Cursor, clock: Clock) -> None:
        self._left = {name: number for name, number in end.items() if cursor.get(name, 0) < number}
        self._clock = clock
        self._until = clock.monotonic() + _BACKLOG_WITHIN

    def seen(self, cursor: Cursor) -> None:
        self._left = {name: number for name, number in self._left.items() if cursor.get(name, 0) < number}

    def taken_in(self) -> bool:
        return not self._left or self._clock.monotonic() >= self._until


class _Leadership:
    """What lasts as long as one term."""

    performer: Performer

    def __init__(self, store: Store, stored: Stored, backlog: _Backlog, clock: Clock) -> None:
        self._store = store
        self._backlog = backlog
        self._clock = clock
        self._known = set(stored.known)
        self._stored: Stored | None = stored
        self._engine = Engine(self._known.__contains__)
        self._engine.load(stored.incidents, stored.rules, stored.keys)
        self._declared: tuple[Mapping[str, Rule], World] | None = None
        self._facts: list[tuple[str, Fact]] = []
        self._batches: asyncio.Queue[Batch] = asyncio.Queue(_AHEAD)
        self._cursor: Cursor | None = None
        self._saved = clock.monotonic()
        self._stirred = asyncio.Event()
        self._begun = asyncio.Event()

    # ── what happens ──

    def take(self, rules: Mapping[str, Rule], world: World) -> None:
        """What is declared now."""
        self._declared = (rules, world)
        self._begun.set()
        self._stirred.set()

    def tell(self, incident: str, fact: Fact) -> None:
        """What came of an effect; returns at once."""
        self._facts.append((incident, fact))
        self._stirred.set()

    async def follow(self, bus: Bus, cursor: Cursor) -> None:
        async for batch in bus.subscribe(cursor):
            await self._batches.put(batch)
            self._stirred.set()

    # ── the loop ──

    async def run(self) -> None:
        """Until cancelled, or until another leader has written."""
        await self._begun.wait()
        while True:
            now = self._clock.now()
            if self._declared is not None:
                (rules, world), self._declared = self._declared, None
                self._engine.take_world(world)
                self._engine.take_rules(rules, now)
            if self._stored is not None:
                self._resume(self._stored)
                self._stored = None
            facts, self._facts = self._facts, []
            for incident, fact in facts:
                self._engine.on_fact(incident, fact, now)
            await self._take_batches()
            if self._backlog.taken_in():
                # What stayed away is only known when all that came was looked at.
                self._engine.wake(self._clock.now())
            await self._store_and_do()
            await self._idle()

    def _resume(self, stored: Stored) -> None:
        now = self._clock.now()
        for record in stored.windows:
            rule = self._engine.rules.get(record.rule)
            if rule is not None:
                self._engine.load_window(rule, record.key, record.window, now)
        self._engine.resume(now)

    async def _take_batches(self) -> None:
        taken = 0
        while taken < _ROUND and not self._batches.empty():
            batch = self._batches.get_nowait()
            for event in batch.events:
                await self._take_in(event)
            taken += len(batch.events)
            self._cursor = batch.cursor
            self._backlog.seen(batch.cursor)

    async def _take_in(self, event: Event) -> None:
        try:
            if event.type in (INCIDENT_ACKNOWLEDGED, INCIDENT_COMMENTED):
                await self._said(event.data)
            self._engine.on_event(event, self._clock.now())
            if event.type == RUN_FINISHED:
                self._run_finished(event.data)
        except (KeyError, TypeError, ValueError) as error:
            # A node tells what it likes, and stops nobody by it.
            log.warning("event_not_read", extra={"event": event.id, "of": event.node, "why": repr(error)})

    def _run_finished(self, data: Mapping[str, Any]) -> None:
        run = str(data["run"])
        incident = self._engine.incident_of_run(run)
        if incident is not None:
            ended = RunEnded(run, str(data["state"]), str(data.get("reason") or ""))
            self._engine.on_fact(incident, ended, self._clock.now())

    async def _said(self, data: Mapping[str, Any]) -> None:
        by = str(data["by"])
        fact: Acked | Commented = Commented(by, str(data["text"])) if "text" in data else Acked(by)
        incident_id, now = str(data["incident"]), self._clock.now()
        if incident_id in self._engine.live:
            self._engine.on_fact(incident_id, fact, now)
            return
        # It is over, perhaps just now: what is read has to be what was decided last.
        await self._store_and_do(with_cursor=False)
        incident = await self._store.incident(incident_id)
        if incident is not None:
            self._engine.on_closed(incident, fact, now)

    # ── what is done ──

    async def _store_and_do(self, *, with_cursor: bool = True) -> None:
        changes, doings = self._engine.take_changes(), self._engine.take_effects()
        cursor = self._cursor if with_cursor else None
        lazily = self._clock.monotonic() - self._saved >= LAZY
        if changes or (cursor is not None and lazily):
            told: dict[str, list[Event]] = {}
            for doing in doings:
                if isinstance(doing.effect, Tell):
                    told.setdefault(doing.incident.id, []).append(self._event(doing, doing.effect))
            await self._store.save(changes, self._engine.live, told, cursor)
            self._saved = self._clock.monotonic()
            self._known |= changes.incidents.keys()
            if with_cursor:
                self._cursor = None
        for doing in doings:
            self.performer.do(doing)

    def _event(self, doing: Doing, effect: Tell) -> Event:
        incident = doing.incident
        log.info(effect.type, extra={"incident": incident.id, "rule": incident.rule, "key": incident.key})
        return Event(
            id=new_id(),
            type=f"olympus.athena.{effect.type}",
            source=SOURCE,
            time=self._clock.now(),
            data=effect.data,
            subject=incident.id,
            node=incident.node,
            cause=incident.event.get("id"),
            depth=incident.depth + 1,
        )

    async def _idle(self) -> None:
        """Until something happened, or is due."""
        self._stirred.clear()
        if self._facts or self._declared is not None or not self._batches.empty():
            return
        due = self._engine.next_wake() if self._backlog.taken_in() else self._clock.now() + _LOOK_AGAIN
        delay = _MAX_SLEEP if due is None else (due - self._clock.now()).total_seconds()
        if self._cursor is not None:
            delay = min(delay, LAZY)
        if delay > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(min(delay, _MAX_SLEEP)):
                    await self._stirred.wait()
