"""Keyed deadlines: a heap that is told the time and never reads it."""

from __future__ import annotations

import heapq
from collections.abc import Hashable
from datetime import datetime
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


class Timers(Generic[Key]):
    """One deadline per key; setting it again moves it. Not thread-safe."""

    def __init__(self) -> None:
        self._heap: list[tuple[datetime, int, Key]] = []
        self._current: dict[Key, tuple[datetime, int]] = {}
        self._count = 0

    def __len__(self) -> int:
        return len(self._current)

    def set(self, key: Key, when: datetime) -> None:
        """Due at `when`, instead of any earlier deadline of this key."""
        self._count += 1
        self._current[key] = (when, self._count)
        heapq.heappush(self._heap, (when, self._count, key))

    def cancel(self, key: Key) -> None:
        """No deadline for `key` any more; none was there is fine too."""
        self._current.pop(key, None)

    def next(self) -> datetime | None:
        """The nearest deadline."""
        self._drop_stale()
        return self._heap[0][0] if self._heap else None

    def due(self, now: datetime) -> list[Key]:
        """The keys whose deadline has come, nearest first; each is told once."""
        out: list[Key] = []
        while True:
            self._drop_stale()
            if not self._heap or self._heap[0][0] > now:
                return out
            _, _, key = heapq.heappop(self._heap)
            del self._current[key]
            out.append(key)

    def _drop_stale(self) -> None:
        # A moved or cancelled deadline stays in the heap until it comes up.
        while self._heap:
            when, count, key = self._heap[0]
            if self._current.get(key) == (when, count):
                return
            heapq.heappop(self._heap)
