"""The only place that reads a clock."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Wall time for records and a monotonic one for waiting."""

    def now(self) -> datetime:
        """The wall time: aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds since an arbitrary start that never go back."""
        ...


class SystemClock:
    """This machine's clocks."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


def rfc3339(moment: datetime) -> str:
    """`2026-11-24T09:30:00.000000Z`: always UTC, always six digits, so that texts sort as times do."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.isoformat(timespec="microseconds")[:-6] + "Z"


def parse_rfc3339(text: str) -> datetime:
    """The moment that `text` names (RFC 3339), in UTC.

    Raises ValueError where it is no date-time, or has no offset.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no UTC offset: write 2026-11-24T09:30:00Z")
    return moment.astimezone(UTC)
