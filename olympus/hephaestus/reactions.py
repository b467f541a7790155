"""Runs that nobody asks for by hand: events that pipelines name, firings of Chronos; and what is overdue."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from olympus.hephaestus import triggers
from olympus.hephaestus.draft import RUN_FINISHED
from olympus.hephaestus.expects import Expectation, Expected, due_at, succeeded
from olympus.hephaestus.starts import SOURCE, Asked, Means
from olympus.hephaestus.triggers import Pending, Trigger, Wanted
from olympus.hermes import keys
from olympus.hermes.kv import Delete, Op, Put, TransactionConflict
from olympus.kernel.clock import rfc3339
from olympus.kernel.errors import Invalid, NotFound, Refused
from olympus.kernel.events import Event
from olympus.kernel.ids import derived_id, new_id
from olympus.kernel.timers import Timers
from olympus.records.run import Cause
from olympus.spec.duration import format_duration

log = logging.getLogger("olympus.hephaestus")

OVERDUE: Final = "olympus.hephaestus.overdue"
_MAX_SLEEP: Final = 60.0


class Reactions:
    """One per term; `guard` stands in every write."""

    def __init__(self, means: Means, guard: Op) -> None:
        self._kv = means.kv
        self._bus = means.bus
        self._clock = means.clock
        self._specs = means.specs
        self._starts = means.starts
        self._guard = guard
        self._version = -1
        self._index: dict[str, list[Trigger]] = {}
        self._expected: dict[str, Expected] = {}
        self._pending: dict[str, Pending] = {}
        self._known: dict[str, Expectation] = {}
        self._timers: Timers[tuple[str, str]] = Timers()
        self._stirred = asyncio.Event()

    async def load(self) -> None:
        """What the leader before left."""
        for entry in (await self._kv.scan(keys.TRIGGERS)).entries:
            key = entry.key.removeprefix(keys.TRIGGERS)
            self._pending[key] = Pending.from_bytes(entry.value)
            self._timers.set(("debounce", key), self._pending[key].due)
        for entry in (await self._kv.scan(keys.EXPECTS)).entries:
            self._known[entry.key.removeprefix(keys.EXPECTS)] = Expectation.from_bytes(entry.value)

    async def run(self) -> None:
        """Until cancelled: what is due, and what the catalog says anew."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow_specs())
            group.create_task(self._keep_time())

    async def on_event(self, event: Event) -> None:
        """Returns when what it starts is stored; telling it twice starts nothing twice."""
        self._refresh()
        wanted = triggers.fired(event)
        if wanted is not None:
            await self._start(_asked(event, wanted))
        for trigger in self._index.get(event.type, ()):
            if triggers.matches(trigger, event):
                await self._triggered(trigger, event)
        if event.type == RUN_FINISHED:
            cause = event.data.get("cause") or {}
            if cause.get("kind") == "schedule" and event.data.get("state") == "succeeded":
                await self._schedule_succeeded(str(cause.get("name")), event.time)

    # --- triggers ----------------------------------------------------------------------------------------

    async def _triggered(self, trigger: Trigger, event: Event) -> None:
        try:
            params = triggers.params_for(trigger, event)
        except Invalid as exc:
            await self._start_refused(
                _asked(event, _wanted(trigger.pipeline, {}, event), trigger.key), str(exc)
            )
            return
        if trigger.debounce is None:
            await self._start(_asked(event, _wanted(trigger.pipeline, params, event), trigger.key))
            return
        before = self._pending.get(trigger.key)
        pending = triggers.debounced(trigger, before, event, params, self._clock.now())
        await self._bus.publish(
            [], [self._guard, Put(keys.trigger(trigger.key), pending.to_bytes())], durable=False
        )
        self._pending[trigger.key] = pending
        self._wake(("debounce", trigger.key), pending.due)

    async def _quiet(self, key: str) -> None:
        pending = self._pending.get(key)
        if pending is None:
            return
        event = Event.from_json(pending.event)
        asked = _asked(event, _wanted(pending.pipeline, pending.params, event), key)
        await self._start(asked, [Delete(keys.trigger(key))])
        self._pending.pop(key, None)

    async def _start(self, asked: Asked, also: Sequence[Op] = ()) -> None:
        try:
            prepared = self._starts.prepare(asked)
        except (Invalid, NotFound, Refused) as exc:
            await self._start_refused(asked, str(exc), also)
            return
        await self._commit([prepared.event], [*also, *prepared.ops], also)

    async def _start_refused(self, asked: Asked, reason: str, also: Sequence[Op] = ()) -> None:
        refused = self._starts.refused(asked, reason)
        log.warning("start_refused", extra={"pipeline": asked.pipeline, "run": refused.run.id, "why": reason})
        await self._commit([refused.event], [*also, *refused.ops], also)

    async def _commit(self, events: list[Event], ops: list[Op], anyway: Sequence[Op]) -> None:
        try:
            await self._bus.publish(events, [self._guard, *ops], durable=False)
        except TransactionConflict as conflict:
            if 0 in conflict.failed:
                raise
            # The run exists: this event was told before.
            await self._bus.publish([], [self._guard, *anyway], durable=False)

    # --- expectations ------------------------------------------------------------------------------------

    async def _schedule_succeeded(self, schedule: str, at: datetime) -> None:
        expected = self._expected.get(schedule)
        known = self._known.get(schedule)
        if expected is None or (known is not None and known.since > at):
            return
        await self._remember(expected, succeeded(at))

    async def _overdue(self, schedule: str) -> None:
        expected, known = self._expected.get(schedule), self._known.get(schedule)
        now = self._clock.now()
        if expected is None or known is None:
            return
        due = due_at(expected, known)
        if due is None or due > now:
            return
        data = {
            "schedule": schedule,
            "pipeline": expected.pipeline,
            "within": format_duration(expected.within),
            "since": rfc3339(known.since),
        }
        event = Event(new_id(), OVERDUE, SOURCE, now, data, schedule)
        await self._remember(expected, known.model_copy(update={"told": True}), [event])

    async def _remember(
        self, expected: Expected, expectation: Expectation, events: Sequence[Event] = ()
    ) -> None:
        name = expected.schedule
        op = Put(keys.expect(name), expectation.to_bytes())
        await self._bus.publish(list(events), [self._guard, op], durable=False)
        self._known[name] = expectation
        self._wake(("expect", name), due_at(expected, expectation))

    # --- time and catalog --------------------------------------------------------------------------------

    def _refresh(self) -> None:
        version = self._specs.version()
        if version == self._version:
            return
        self._version = version
        found: list[Trigger] = []
        for pipeline in self._specs.pipelines():
            found += triggers.triggers_of(pipeline.name, pipeline.spec.get("on") or ())
        for service, name in self._specs.remedies().items():
            remedy = self._specs.pipeline(name)
            if remedy is not None:
                found.append(triggers.remedy_of(service, name, remedy.spec.get("params")))
        self._index = triggers.index(found)
        self._expected = {
            one.name: Expected(one.name, one.pipeline, one.within, one.paused)
            for one in self._specs.schedules()
            if one.within is not None
        }

    async def _follow_specs(self) -> None:
        version = -1
        while True:
            version = await self._specs.changed(version)
            self._refresh()
            for name, expected in self._expected.items():
                if name not in self._known:
                    await self._remember(expected, Expectation(since=self._clock.now()))
                self._wake(("expect", name), due_at(expected, self._known[name]))
            for name in self._known.keys() - self._expected.keys():
                await self._bus.publish([], [self._guard, Delete(keys.expect(name))], durable=False)
                del self._known[name]

    def _wake(self, key: tuple[str, str], when: datetime | None) -> None:
        if when is None:
            self._timers.cancel(key)
        else:
            self._timers.set(key, when)
        self._stirred.set()

    async def _keep_time(self) -> None:
        while True:
            self._stirred.clear()
            for kind, name in self._timers.due(self._clock.now()):
                await (self._quiet(name) if kind == "debounce" else self._overdue(name))
            soonest = self._timers.next()
            delay = None if soonest is None else (soonest - self._clock.now()).total_seconds()
            try:
                async with asyncio.timeout(None if delay is None else max(0.0, min(delay, _MAX_SLEEP))):
                    await self._stirred.wait()
            except TimeoutError:
                continue


def _wanted(pipeline: str, params: Mapping[str, Any], event: Event) -> Wanted:
    return Wanted(pipeline, params, "event", event.type)


def _asked(event: Event, wanted: Wanted, key: str = "") -> Asked:
    """With an id that follows from the event and what it triggers: told twice, it starts one run."""
    return Asked(
        pipeline=wanted.pipeline,
        params=wanted.params,
        cause=Cause(event=event.id, kind=wanted.kind, name=wanted.name),
        run=derived_id(int(event.time.timestamp() * 1000), f"{event.id}/{key or wanted.pipeline}"),
        event=event,
        claim=wanted.claim,
    )
