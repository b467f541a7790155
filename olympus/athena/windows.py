"""The window of one rule and one key: what has come of what a rule correlates, and when that is enough.

Pure. Events are put in their place by their time, then by their id: in whatever order they arrive within the slack,
as often is told. A window completes at the earliest moment that it can; what came up to there is used up, and the
next completion needs events of its own. So completions never overlap, and an event that comes late can add one
but never take one back: what is enough is told at once, without waiting for the slack. Only absence waits for it.

What is kept is bounded: once the slack has passed, of what came just what can still count.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, TypeAlias

from olympus.athena.scan import Mark, Order, Shape, scan_of
from olympus.kernel.decision import Decision
from olympus.spec.kinds.rule import MAX_NEED

MAX_MARKS: Final = MAX_NEED + MAX_NEED // 4
"""So many events are remembered per key."""

MAX_KEYS: Final = 10_000
"""So many windows a rule may have: the service drops those that were touched longest ago (`oldest`)."""

KEPT_BODIES: Final = 10
"""The newest events are kept whole, for those that want to see what made it."""

_ROOMY: Final = 32


@dataclass(frozen=True, slots=True)
class Window:
    """marks: in order, without what can count no more. ends: of completions that a late event may still come before.

    dropped: how many events had to be forgotten although they could still have counted. told (of absent): that it
    is missing was said already.
    """

    newest: int
    touched: int
    marks: tuple[Mark, ...] = ()
    ends: tuple[Order, ...] = ()
    closed: Order | None = None
    room: int = _ROOMY
    dropped: int = 0
    told: bool = False


# ── facts ──


@dataclass(frozen=True, slots=True)
class Came:
    """An event that takes part has arrived."""

    mark: Mark


@dataclass(frozen=True, slots=True)
class Watched:
    """The rule is in force: what must not stay away is waited for from now. Once, for rules without `by`."""


@dataclass(frozen=True, slots=True)
class Due:
    """The moment of a WakeAt has come, and every event of before it was told."""


WindowFact: TypeAlias = Came | Watched | Due

# ── effects ──


@dataclass(frozen=True, slots=True)
class Complete:
    """It is enough: `marks` made it, in order; the last of them is what triggers. None of absent, if none ever came."""

    at: int
    marks: tuple[Mark, ...]


@dataclass(frozen=True, slots=True)
class LeaveOut:
    """The event takes no part after all."""

    reason: Literal["late", "duplicate"]
    because: str


@dataclass(frozen=True, slots=True)
class WakeAt:
    """Tell Due then, and not before."""

    when: datetime


WindowEffect: TypeAlias = Complete | LeaveOut | WakeAt
Made: TypeAlias = Decision[Window | None, WindowEffect]


def decide(window: Window | None, fact: WindowFact, shape: Shape, now: datetime) -> Made:
    """What follows from `fact` for one window at `now`. No state: nothing of it needs to be remembered."""
    moment = micros(now)
    match fact:
        case Watched():
            if window is not None or shape.form != "absent":
                return Decision(window)
            return Decision(Window(moment, moment), (WakeAt(_moment(_deadline(moment, shape))),))
        case Came(mark) if shape.form == "absent":
            return _seen(window, mark, shape, moment)
        case Came(mark):
            return _came(window, mark, shape, moment)
        case Due():
            return _due(window, shape, moment)


def _due(window: Window | None, shape: Shape, now: int) -> Made:
    if window is None:
        return Decision(None)
    absent = shape.form == "absent"
    if absent and window.told:
        return Decision(window)
    # The clock of who tells of an event counts where it matters what came; ours where it matters that nothing did.
    ends = _deadline(window.newest if absent else window.touched, shape)
    if now < ends:
        return Decision(window, (WakeAt(_moment(ends)),))
    if not absent:
        return Decision(None)
    # What comes of a key begins its window anew; without keys nothing would.
    state = None if shape.keyed else replace(window, told=True, touched=now)
    # At its deadline, whenever that is looked at: so it is the same event, whoever finds it.
    return Decision(state, (Complete(ends, window.marks),))


def _seen(window: Window | None, mark: Mark, shape: Shape, now: int) -> Made:
    """It came, so it is waited for anew."""
    if window is not None and window.marks and mark.order <= window.marks[-1].order:
        return Decision(window, (_left_out(window.marks, mark, shape),))
    newest = max(mark.at, window.newest) if window is not None else mark.at
    waits = () if window is not None and not window.told else (WakeAt(_moment(_deadline(newest, shape))),)
    return Decision(Window(newest, max(now, mark.at), (mark,)), waits)


def _came(window: Window | None, mark: Mark, shape: Shape, now: int) -> Made:
    touched = max(now, mark.at)
    if window is None:
        fresh = Window(mark.at, touched)
        made = _placed(fresh, mark, shape)
        return Decision(made.state, (*made.effects, WakeAt(_moment(_deadline(touched, shape)))))
    if _is_late(window, mark, shape):
        return Decision(window, (LeaveOut("late", _LATE),))
    newest = max(window.newest, mark.at)
    return _placed(replace(window, newest=newest, touched=max(window.touched, touched)), mark, shape)


_LATE: Final = "it came after its window was decided, later than the slack allows"


def _left_out(marks: Sequence[Mark], mark: Mark, shape: Shape) -> LeaveOut:
    if any(one.order == mark.order for one in marks):
        return LeaveOut("duplicate", "it was seen already")
    return LeaveOut("late", _LATE if shape.form != "absent" else "a later one was seen already")


def _is_late(window: Window, mark: Mark, shape: Shape) -> bool:
    if mark.at < window.newest - shape.within - shape.slack:
        return True
    if window.closed is not None and mark.order <= window.closed:
        return True
    settled = window.newest - shape.slack
    return any(mark.order <= end for end in window.ends if end[0] < settled)


def _placed(window: Window, mark: Mark, shape: Shape) -> Made:
    marks = window.marks
    last = marks[-1].order if marks else None
    if last is None or mark.order > last:
        window = replace(window, marks=_without_old_bodies((*marks, mark)))
        # In order, as nearly always: what was decided before it stands.
        found = _completions(_after(window.marks, window.ends[-1] if window.ends else None), shape)
        ends = (*window.ends, *(one.marks[-1].order for one in found))
        told = found
    else:
        index = bisect_left(marks, mark.order, key=lambda one: one.order)
        if marks[index].order == mark.order:
            return Decision(window, (_left_out(marks, mark, shape),))
        window = replace(window, marks=_without_old_bodies((*marks[:index], mark, *marks[index:])))
        found = _completions(window.marks, shape)
        ends = tuple(one.marks[-1].order for one in found)
        more = len(ends) - len(window.ends)
        told = sorted(found, key=lambda one: mark in one.marks)[-more:] if more > 0 else []
    window = replace(window, ends=ends)
    if len(window.marks) > window.room:
        window = _settled(window, shape)
    return Decision(window, tuple(told))


def _settled(window: Window, shape: Shape) -> Window:
    """Without what can count no more, nor more than fits."""
    until = window.newest - shape.slack
    border = bisect_left(window.marks, (until, ""), key=lambda one: one.order)
    scan = scan_of(shape)
    closed, ends = window.closed, list(window.ends)
    for mark in window.marks[:border]:
        done = scan(mark)
        if done is not None:
            closed = mark.order
    ends = [end for end in ends if closed is None or end > closed]
    marks = [*scan.alive(until - shape.within), *window.marks[border:]]
    dropped = window.dropped
    if len(marks) > MAX_MARKS:
        # What a completion has used up goes first, then the oldest; some at a time, since this takes time.
        keep = MAX_MARKS - MAX_MARKS // 10
        while ends and len(marks) > keep:
            closed = ends.pop(0)
            marks = _after(marks, closed)
        surplus = max(0, len(marks) - keep)
        if surplus:
            dropped, closed = dropped + surplus, marks[surplus - 1].order
            marks = marks[surplus:]
    room = min(MAX_MARKS, max(_ROOMY, 2 * len(marks)))
    return replace(window, marks=tuple(marks), ends=tuple(ends), closed=closed, room=room, dropped=dropped)


def _after(marks: Sequence[Mark], order: Order | None) -> list[Mark]:
    if order is None:
        return list(marks)
    index = bisect_left(marks, order, key=lambda one: one.order)
    return [mark for mark in marks[index : index + 1] if mark.order > order] + list(marks[index + 1 :])


def _without_old_bodies(marks: tuple[Mark, ...]) -> tuple[Mark, ...]:
    if len(marks) <= KEPT_BODIES or marks[-KEPT_BODIES - 1].body is None:
        return marks
    index = len(marks) - KEPT_BODIES - 1
    return (*marks[:index], replace(marks[index], body=None), *marks[index + 1 :])


def _completions(marks: Sequence[Mark], shape: Shape) -> list[Complete]:
    # A mark may be several of `all`; elsewhere each is one, and most windows have too few.
    if len(marks) < shape.need and shape.form != "all":
        return []
    scan = scan_of(shape)
    found = ((mark, scan(mark)) for mark in marks)
    return [Complete(mark.at, made) for mark, made in found if made is not None]


def progress(window: Window, shape: Shape, now: int) -> list[Mark]:
    """What has come since the last completion and would be part of one that ended at `now`."""
    if shape.form == "absent":
        return list(window.marks)
    scan = scan_of(shape)
    for mark in _after(window.marks, window.ends[-1] if window.ends else None):
        scan(mark)
    return scan.standing(now - shape.within)


# ── bounds, and how it is stored ──


def oldest(windows: Mapping[str, Window], limit: int = MAX_KEYS) -> list[str]:
    """The keys to drop when there are more than `limit`: a tenth at a time, since finding them takes time."""
    if len(windows) <= limit:
        return []
    by_age = sorted(windows, key=lambda key: (windows[key].touched, key))
    return by_age[: len(windows) - limit + limit // 10]


def micros(moment: datetime) -> int:
    """Microseconds since 1970, exactly."""
    return (moment - _EPOCH) // _MICROSECOND


def _moment(at: int) -> datetime:
    return _EPOCH + timedelta(microseconds=at)


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def _deadline(since: int, shape: Shape) -> int:
    return since + shape.within + shape.slack


def needed(per_second: float, within: timedelta) -> int:
    """How many events within the time are so many per second."""
    return max(1, math.ceil(per_second * within.total_seconds() - 1e-9))


def window_to_json(window: Window, shape: Shape) -> dict[str, Any]:
    """What `window_from_json` reads; small: keys of windows are many."""
    out: dict[str, Any] = {
        "shape": shape.digest,
        "newest": window.newest,
        "touched": window.touched,
        "marks": [
            [mark.at, mark.id, list(mark.values), *((mark.body,) if mark.body is not None else ())]
            for mark in window.marks
        ],
    }
    if window.ends:
        out["ends"] = [list(end) for end in window.ends]
    if window.closed is not None:
        out["closed"] = list(window.closed)
    if window.room != _ROOMY:
        out["room"] = window.room
    if window.dropped:
        out["dropped"] = window.dropped
    if window.told:
        out["told"] = True
    return out


def window_from_json(raw: Mapping[str, Any], shape: Shape) -> Window | None:
    """None where its rule was changed since. Raises KeyError, TypeError, ValueError where it is no window."""
    if raw["shape"] != shape.digest:
        return None
    return Window(
        newest=int(raw["newest"]),
        touched=int(raw["touched"]),
        marks=tuple(
            Mark(int(at), str(name), tuple(values), body[0] if body else None)
            for at, name, values, *body in raw["marks"]
        ),
        ends=tuple((int(at), str(name)) for at, name in raw.get("ends", ())),
        closed=_order(raw.get("closed")),
        room=int(raw.get("room", _ROOMY)),
        dropped=int(raw.get("dropped", 0)),
        told=bool(raw.get("told", False)),
    )


def _order(raw: Sequence[Any] | None) -> Order | None:
    return None if raw is None else (int(raw[0]), str(raw[1]))
