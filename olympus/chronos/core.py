"""When a schedule fires, and why it does not: pure decisions on one schedule."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import datetime, timedelta

from olympus.chronos.model import (
    GRACE,
    MAX_CATCH_UP,
    PENDING,
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
from olympus.kernel.decision import Decision
from olympus.kernel.ids import derived_id

Made = Decision[ScheduleState | None, ChronosEffect]


def decide(state: ScheduleState | None, fact: Fact, now: datetime) -> Made:
    """What follows from `fact` for one schedule at `now`."""
    match fact:
        case Declared():
            return _declared(state, fact, now)
        case Withdrawn():
            return Decision(None, (WakeAt(None), Forget()))
    if state is None:
        return Decision(None)
    match fact:
        case Due():
            return _due(state, now)
        case Planned():
            return _plan(state)
        case RunStarted():
            if fact.cause not in state.pending:
                return Decision(state)
            pending = {event: at for event, at in state.pending.items() if event != fact.cause}
            return Decision(replace(state, pending=pending, running=state.running | {fact.run}))
        case RunFinished():
            return Decision(replace(state, running=state.running - {fact.run}))


def upcoming(timetable: Timetable, now: datetime, count: int) -> list[datetime]:
    """The next `count` slots after `now` that no exclusion forbids, without jitter."""
    slots: list[datetime] = []
    moment = now
    # An exclusion may forbid every slot there is: look at no more than that many.
    for _ in range(count + 10_000):
        slot = timetable.trigger.next_after(moment)
        if slot is None or len(slots) == count:
            break
        if not any(exclusion.forbids(slot) for exclusion in timetable.exclusions):
            slots.append(slot)
        moment = slot
    return slots


def jitter_of(timetable: Timetable, slot: datetime) -> timedelta:
    """The same on every leader and after every restart: derived from the name and the slot."""
    if not timetable.jitter:
        return timedelta(0)
    digest = hashlib.blake2b(f"{timetable.name}@{slot.timestamp()}".encode(), digest_size=4).digest()
    return timetable.jitter * (int.from_bytes(digest, "big") / 2**32)


def _declared(state: ScheduleState | None, fact: Declared, now: datetime) -> Made:
    if state is not None and state.timetable.digest == fact.timetable.digest:
        return _plan(replace(state, timetable=fact.timetable))
    if state is None and fact.handled is not None:
        return _plan(ScheduleState(fact.timetable, fact.handled, running=fact.running))
    # New, or at other times than before: what lay in the past under these times was never promised.
    running = state.running if state else fact.running
    fresh = ScheduleState(fact.timetable, handled=now, running=running)
    planned = _plan(fresh)
    return Decision(planned.state, (Remember(), *planned.effects))


def _plan(state: ScheduleState) -> Made:
    due = state.timetable.trigger.next_after(state.handled)
    wake = None if due is None else due + jitter_of(state.timetable, due)
    return Decision(replace(state, due=due), (WakeAt(wake),))


def _due(state: ScheduleState, now: datetime) -> Made:
    timetable, first = state.timetable, state.due
    if first is None or first + jitter_of(timetable, first) > now:
        return _plan(state)
    slots, complete = _slots_until(timetable, first, now)
    make_up, late, handled = _sort_out(timetable, slots, complete, now)
    effects: list[ChronosEffect] = []
    if late:
        known = "" if complete else f", and more than {MAX_CATCH_UP} slots passed"
        reason = f"missed: Chronos was not running then{known}"
        effects.append(Skip(timetable, late[0], late[-1] if complete else now, len(late), reason))
    current = state
    for slot in make_up:
        current, effect = _fire(current, slot, now)
        effects.append(effect)
    return Decision(replace(current, handled=handled, due=None), (*effects, PlanNext()))


def _sort_out(
    timetable: Timetable, slots: list[datetime], complete: bool, now: datetime
) -> tuple[list[datetime], list[datetime], datetime]:
    """Which of `slots` are dealt with as due and which as missed; and up to when all is dealt with then."""
    if timetable.missed == "all":
        # What is beyond the limit comes with the next decision: nothing is dropped.
        return slots, [], slots[-1]
    last = slots[-1] if complete else _latest(timetable, slots[-1], now)
    on_time = [slot for slot in slots if now - slot - timetable.jitter <= GRACE]
    if not complete and now - last - timetable.jitter <= GRACE:
        on_time = [last]
    if timetable.missed == "latest" and not on_time:
        on_time = [last]
    return on_time, [slot for slot in slots if slot not in on_time], last


def _slots_until(timetable: Timetable, first: datetime, now: datetime) -> tuple[list[datetime], bool]:
    """The slots from `first` whose time has come, and whether these are all."""
    slots = [first]
    while len(slots) < MAX_CATCH_UP:
        slot = timetable.trigger.next_after(slots[-1])
        if slot is None or slot + jitter_of(timetable, slot) > now:
            return slots, True
        slots.append(slot)
    return slots, False


def _latest(timetable: Timetable, known: datetime, now: datetime) -> datetime:
    """The last slot whose time has come, looked for backwards from now in growing steps."""
    for back in (timedelta(minutes=1), timedelta(hours=1), timedelta(days=1), timedelta(days=32)):
        slot = timetable.trigger.next_after(max(known, now - back))
        if slot is None or slot + jitter_of(timetable, slot) > now:
            continue
        while (after := timetable.trigger.next_after(slot)) and after + jitter_of(timetable, after) <= now:
            slot = after
        return slot
    return known


def _fire(state: ScheduleState, slot: datetime, now: datetime) -> tuple[ScheduleState, ChronosEffect]:
    timetable = state.timetable
    reason = _reason_to_skip(state, slot, now)
    if reason:
        return state, Skip(timetable, slot, slot, 1, reason)
    event = derived_id(int(now.timestamp() * 1000), f"{timetable.name}@{slot.isoformat()}")
    pending = {old: at for old, at in state.pending.items() if now - at < PENDING} | {event: now}
    return replace(state, pending=pending), Fire(timetable, slot, event, late=now - slot > GRACE)


def _reason_to_skip(state: ScheduleState, slot: datetime, now: datetime) -> str | None:
    timetable = state.timetable
    if timetable.paused:
        return "paused"
    for exclusion in timetable.exclusions:
        if exclusion.forbids(slot):
            return (
                f"outside of window '{exclusion.name}'" if exclusion.allow else f"window '{exclusion.name}'"
            )
    if timetable.overlap == "skip":
        if state.running:
            return f"overlap: run {min(state.running)} is not finished"
        if any(now - at < PENDING for at in state.pending.values()):
            return "overlap: the run of the slot before has not begun yet"
    return None
