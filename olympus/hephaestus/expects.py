"""What should have succeeded by now: `expect: {succeededWithin}` of Schedules. Pure.

One `overdue` for each breach: it is said again only after a success in between.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from olympus.records.document import Document, Moment


class Expectation(Document):
    """`expects/SCHEDULE`. since: the last success, or when it was first expected; told: overdue was said."""

    since: Moment
    succeeded: bool = False
    told: bool = False


@dataclass(frozen=True, slots=True)
class Expected:
    """What a Schedule declares."""

    schedule: str
    pipeline: str
    within: timedelta
    paused: bool = False


def due_at(expected: Expected, known: Expectation) -> datetime | None:
    """When it becomes overdue; None where that was said, or the schedule is paused."""
    return None if known.told or expected.paused else known.since + expected.within


def succeeded(now: datetime) -> Expectation:
    return Expectation(since=now, succeeded=True)
