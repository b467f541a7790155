"""What Chronos knows of a schedule, what happens to it, and what is to be done about it. All frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal, Protocol, TypeAlias

Missed: TypeAlias = Literal["skip", "latest", "all"]
Overlap: TypeAlias = Literal["skip", "allow", "queue", "replace"]

GRACE: Final = timedelta(seconds=60)
"""A slot this late still fires as if on time: a takeover or a restart must not lose it."""

MAX_CATCH_UP: Final = 1_000
"""So many slots are looked at in one decision."""

PENDING: Final = timedelta(seconds=60)
"""For so long a firing counts as running although nobody has told of its run yet."""


class Trigger(Protocol):
    """When the slots are. Pure: asks no clock."""

    def next_after(self, moment: datetime) -> datetime | None:
        """The first slot after `moment`, in UTC; None when there is none any more."""
        ...


@dataclass(frozen=True, slots=True)
class Every:
    """Slots at whole multiples of `period` since 1970, so that a restart doesn't shift them."""

    period: timedelta

    def next_after(self, moment: datetime) -> datetime | None:
        epoch = datetime(1970, 1, 1, tzinfo=moment.tzinfo)
        return epoch + ((moment - epoch) // self.period + 1) * self.period


@dataclass(frozen=True, slots=True)
class At:
    """One slot."""

    moment: datetime

    def next_after(self, moment: datetime) -> datetime | None:
        return self.moment if self.moment > moment else None


@dataclass(frozen=True, slots=True)
class Exclusion:
    """A window that begins at each of `starts` and lasts `duration`. `allow` turns it around."""

    name: str
    starts: Trigger
    duration: timedelta
    allow: bool = False

    def forbids(self, slot: datetime) -> bool:
        start = self.starts.next_after(slot - self.duration)
        return (start is not None and start <= slot) is not self.allow


@dataclass(frozen=True, slots=True)
class Timetable:
    """A Schedule spec, parsed. `digest` changes with everything that says when."""

    name: str
    trigger: Trigger
    pipeline: str
    params: Mapping[str, Any]
    digest: str
    revision: str = ""
    jitter: timedelta = timedelta(0)
    missed: Missed = "skip"
    overlap: Overlap = "skip"
    exclusions: tuple[Exclusion, ...] = ()
    paused: bool = False


@dataclass(frozen=True, slots=True)
class ScheduleState:
    """`handled` is the last slot that was fired or skipped: what came before is never looked at again.

    `due` is the next slot that will be dealt with, worked out ahead so that firing is quick; `pending` maps a
    fired event whose run is not known yet to its moment; `running` are the runs that it started.
    """

    timetable: Timetable
    handled: datetime
    due: datetime | None = None
    pending: Mapping[str, datetime] = field(default_factory=dict)
    running: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Declared:
    """The catalog names this timetable; `handled` is what Hermes has stored of it under the same digest."""

    timetable: Timetable
    handled: datetime | None = None
    running: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """The catalog names it no more."""


@dataclass(frozen=True, slots=True)
class Due:
    """Its deadline has come."""


@dataclass(frozen=True, slots=True)
class Planned:
    """The firing was stored: work out the next slot now, when nobody waits for it."""


@dataclass(frozen=True, slots=True)
class RunStarted:
    run: str
    cause: str


@dataclass(frozen=True, slots=True)
class RunFinished:
    run: str


Fact: TypeAlias = Declared | Withdrawn | Due | Planned | RunStarted | RunFinished


@dataclass(frozen=True, slots=True)
class Fire:
    """Emit `fired` for `slot`; `late` where it makes up for a missed one."""

    timetable: Timetable
    slot: datetime
    event: str
    late: bool = False


@dataclass(frozen=True, slots=True)
class Skip:
    """Emit `skipped` for the slots from `slot` to `until`, `count` in all."""

    timetable: Timetable
    slot: datetime
    until: datetime
    count: int
    reason: str


@dataclass(frozen=True, slots=True)
class WakeAt:
    """Tell `Due` then; None: never."""

    when: datetime | None


@dataclass(frozen=True, slots=True)
class Remember:
    """Store `handled` although nothing fired: the baseline of a schedule that is new or was changed."""


@dataclass(frozen=True, slots=True)
class Forget:
    """Remove what is stored of it."""


@dataclass(frozen=True, slots=True)
class PlanNext:
    """Tell `Planned` when the other effects are done."""


ChronosEffect: TypeAlias = Fire | Skip | WakeAt | Remember | Forget | PlanNext
