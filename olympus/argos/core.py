"""Which of the lines that match are worth an event, and when a line's absence is: pure decisions on one watch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from olympus.argos.model import (
    CaughtUp,
    Due,
    MatchState,
    RateState,
    Seen,
    Tell,
    WakeAt,
    Watched,
    WatchEffect,
    WatchFact,
    WatchState,
)
from olympus.argos.plan import WatchPlan
from olympus.argos.remembered import Remembered, shelf_of
from olympus.kernel.clock import rfc3339
from olympus.kernel.decision import Decision
from olympus.spec.event_data import HeldBack, Matched

Made = Decision[WatchState, WatchEffect]

_FORM: Final = 1
"""Of what is stored; another form is not read."""


def decide(state: WatchState | None, fact: WatchFact, now: int) -> Made:
    """What follows from `fact` at `now`, in milliseconds since 1970. The first fact of a watch is Watched."""
    if isinstance(fact, Watched):
        return _watched(state, fact, now)
    if state is None:
        raise ValueError("a watch begins with Watched")
    match fact:
        case Seen():
            return _seen(state, fact, now)
        case CaughtUp():
            return _due(replace(state, reading=False), now)
        case Due():
            return _due(replace(state, wake=None), now)


def state_to_json(state: WatchState) -> dict[str, Any]:
    """What Watched takes as `known` after a restart."""
    return {
        "form": _FORM,
        "rate": None if state.rate is None else [state.rate.since, state.rate.told, state.rate.held],
        "matches": {
            plan.name: {
                "digest": plan.digest,
                "keys": kept.keys.to_json(),
                "due": kept.due,
                "overdue": kept.overdue,
            }
            for plan, kept in zip(state.plan.matches, state.matches, strict=True)
        },
    }


def _watched(state: WatchState | None, fact: Watched, now: int) -> Made:
    """What is known of matches that are as they were is kept; others begin anew."""
    if state is not None:
        both = zip(state.plan.matches, state.matches, strict=True)
        known = {plan.name: (plan.digest, kept) for plan, kept in both}
        rate = state.rate
    else:
        known, rate = _known(fact.known)
    matches = tuple(
        known[plan.name][1]
        if plan.name in known and known[plan.name][0] == plan.digest
        else MatchState(due=now + plan.absent if plan.absent else None)
        for plan in fact.plan.matches
    )
    rate = rate if fact.plan.rate else None
    if state is None:
        return _due(WatchState(fact.plan, matches, rate), now)
    return _due(replace(state, plan=fact.plan, matches=matches, rate=rate), now)


def _known(raw: Mapping[str, Any] | None) -> tuple[dict[str, tuple[str, MatchState]], RateState | None]:
    """Of what can't be read nothing is known: it counts anew."""
    if raw is None or raw.get("form") != _FORM:
        return {}, None
    try:
        rate = None if raw["rate"] is None else RateState(*map(int, raw["rate"]))
        return {
            name: (
                str(one["digest"]),
                MatchState(
                    shelf_of(one["keys"]),
                    None if one["due"] is None else int(one["due"]),
                    bool(one["overdue"]),
                ),
            )
            for name, one in raw["matches"].items()
        }, rate
    except (AttributeError, KeyError, TypeError, ValueError):
        return {}, None


def _seen(state: WatchState, fact: Seen, now: int) -> Made:
    plan = state.plan.matches[fact.match_index]
    kept = state.matches[fact.match_index]
    if plan.absent:
        # The moment that was asked for comes too early now: Due looks again.
        came = replace(kept, due=now + plan.absent, overdue=False)
        after = _with_match(state, fact.match_index, came)
        return _waking(after) if kept.due is None else Decision(after)
    if not plan.within and not plan.suppress:
        return _told(state, fact, 1, now)
    key = state.plan.key(fact.match_index, fact.line, fact.source, fact.groups)
    old = kept.keys.get(key) or Remembered(now)
    if old.quiet > now:
        changed = replace(old, touched=now, held=old.held + 1)
        return Decision(_with_key(state, fact.match_index, key, changed))
    lines = 1
    if plan.within:
        counting = old.with_line(now, plan.within, plan.count)
        if counting.counted < plan.count:
            return Decision(_with_key(state, fact.match_index, key, counting))
        lines = counting.counted
    told = _told(state, fact, lines + old.held, now)
    # What the rate held back nobody heard of: it must not be silent after that.
    heard = any(isinstance(effect, Tell) and isinstance(effect.data, Matched) for effect in told.effects)
    silent = Remembered(now, quiet=now + plan.suppress) if heard and plan.suppress else None
    return Decision(_with_key(told.state, fact.match_index, key, silent), told.effects)


def _told(state: WatchState, fact: Seen, lines: int, now: int) -> Made:
    """The event of a line that stands for `lines`, unless the watch told enough in this time."""
    plan = state.plan.matches[fact.match_index]
    effects: tuple[WatchEffect, ...] = ()
    if state.plan.rate is not None:
        count, within = state.plan.rate
        rate = state.rate
        if rate is None or now >= rate.since + within:
            effects = _held_back(state)
            rate = RateState(now)
        if rate.told >= count:
            waking = _waking(replace(state, rate=replace(rate, held=rate.held + lines)))
            return Decision(waking.state, (*effects, *waking.effects))
        state = replace(state, rate=replace(rate, told=rate.told + 1))
    matched = Matched(
        watch=state.plan.name,
        name=plan.name,
        severity=plan.severity,
        source=fact.source,
        offset=fact.offset,
        line=fact.line,
        groups=dict(fact.groups),
        fields=dict(fact.fields),
        count=lines,
    )
    return Decision(state, (*effects, Tell(matched)))


def _held_back(state: WatchState) -> tuple[WatchEffect, ...]:
    if state.rate is None or not state.rate.held:
        return ()
    since = rfc3339(datetime.fromtimestamp(state.rate.since / 1000, UTC))
    return (Tell(HeldBack(watch=state.plan.name, count=state.rate.held, since=since)),)


def _due(state: WatchState, now: int) -> Made:
    effects: list[WatchEffect] = []
    rate = state.rate
    if rate is not None and state.plan.rate is not None and now >= rate.since + state.plan.rate[1]:
        effects += _held_back(state)
        state = replace(state, rate=None)
    for index, kept in enumerate(state.matches):
        if state.reading or kept.due is None or now < kept.due:
            continue
        effects.append(Tell(_absent(state.plan, index)))
        state = _with_match(state, index, replace(kept, due=None, overdue=True))
    waking = _waking(state)
    return Decision(waking.state, (*effects, *waking.effects))


def _absent(plan: WatchPlan, index: int) -> Matched:
    match = plan.matches[index]
    return Matched(watch=plan.name, name=match.name, severity=match.severity, source="", line="", count=0)


def _waking(state: WatchState) -> Made:
    """With a WakeAt, where another moment than before is the next."""
    moments = [kept.due for kept in state.matches if kept.due is not None and not state.reading]
    if state.rate is not None and state.rate.held and state.plan.rate is not None:
        moments.append(state.rate.since + state.plan.rate[1])
    wake = min(moments, default=None)
    if wake == state.wake:
        return Decision(state)
    return Decision(replace(state, wake=wake), (WakeAt(wake),))


def _with_match(state: WatchState, index: int, kept: MatchState) -> WatchState:
    return replace(state, matches=(*state.matches[:index], kept, *state.matches[index + 1 :]))


def _with_key(state: WatchState, index: int, key: str, value: Remembered | None) -> WatchState:
    kept = state.matches[index]
    if value is None and kept.keys.get(key) is None:
        return state
    keys = kept.keys.put(key, value, state.plan.matches[index].within)
    return _with_match(state, index, replace(kept, keys=keys))
