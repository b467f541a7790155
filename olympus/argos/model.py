"""What Argos knows of one watch, what happens to it, and what is to be done about it. All frozen.

Moments are whole milliseconds since 1970: they are compared for every line, and stored in many.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from olympus.argos.plan import WatchPlan
from olympus.argos.remembered import Shelf
from olympus.spec.event_data import HeldBack, Matched


@dataclass(frozen=True, slots=True)
class MatchState:
    """keys: what is remembered by key. due: when it is overdue (of absent). overdue: told, and it has not come yet."""

    keys: Shelf = field(default_factory=Shelf)
    due: int | None = None
    overdue: bool = False


@dataclass(frozen=True, slots=True)
class RateState:
    """since: when the time began in which `told` events were told and `held` lines were not."""

    since: int
    told: int = 0
    held: int = 0


@dataclass(frozen=True, slots=True)
class WatchState:
    """matches: in the order of the plan. reading: what came while nobody looked is not read to its end yet."""

    plan: WatchPlan
    matches: tuple[MatchState, ...]
    rate: RateState | None = None
    reading: bool = True
    wake: int | None = None


@dataclass(frozen=True, slots=True)
class Watched:
    """The watch is as `plan` says from now on; `known` is what was stored of it before a restart (`state_to_json`)."""

    plan: WatchPlan
    known: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """All that was there at the start was read: what has not come by now is absent."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A line matched. fields: what its source knows of it."""

    match_index: int
    line: str
    source: str
    offset: int | None = None
    groups: Mapping[str, Any] = field(default_factory=dict)
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Due:
    """The moment of a WakeAt has come."""


WatchFact: TypeAlias = Watched | CaughtUp | Seen | Due


@dataclass(frozen=True, slots=True)
class Tell:
    """Emit `olympus.argos.match` or `olympus.argos.held-back`."""

    data: Matched | HeldBack


@dataclass(frozen=True, slots=True)
class WakeAt:
    """Tell `Due` then, instead of any moment before; None: never. In milliseconds since 1970."""

    when: int | None


WatchEffect: TypeAlias = Tell | WakeAt
