"""A clock that a test moves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class VirtualClock:
    """Stands still until told otherwise; both of its times move together."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._start = start
        self._now = start

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return (self._now - self._start).total_seconds()

    def advance(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)
