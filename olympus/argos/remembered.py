"""What is remembered of each key of a match: bounded, frozen, and cheap to change. Pure.

Keys lie in a fixed number of buckets, so that a change copies one bucket and not all keys. A bucket that is full
forgets the key that was touched longest ago.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

BUCKETS: Final = 64
KEYS: Final = 64
"""So many keys a bucket has: 4,096 in all, if they spread evenly."""

MARKS: Final = 256
"""So many marks all keys of a bucket have together."""

SLOTS: Final = 64
"""So many marks a key has. Where more lines are counted, those within a 64th of the time are one mark."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """marks: (moment, how many lines) of what counts. quiet: no event before then. held: lines since the last event."""

    touched: int
    marks: tuple[tuple[int, int], ...] = ()
    quiet: int = 0
    held: int = 0

    @property
    def counted(self) -> int:
        return sum(lines for _, lines in self.marks)

    def with_line(self, now: int, within: int, count: int) -> Remembered:
        """One more line at `now`; what is older than `within` counts no more."""
        marks = tuple(mark for mark in self.marks if mark[0] > now - within)
        grain = within // SLOTS + 1 if count > SLOTS else 0
        # A mark bears its first line's moment: it is forgotten too early by a 64th, never too late.
        if marks and now - marks[-1][0] < grain:
            marks = (*marks[:-1], (marks[-1][0], marks[-1][1] + 1))
        else:
            marks = (*marks, (now, 1))[-SLOTS:]
        return Remembered(now, marks, self.quiet, self.held)


@dataclass(frozen=True, slots=True)
class Shelf:
    """dropped: how many keys had to be forgotten although they could still have counted or been silent."""

    buckets: tuple[Mapping[str, Remembered], ...] = field(default=({},) * BUCKETS)
    dropped: int = 0

    def __len__(self) -> int:
        return sum(len(bucket) for bucket in self.buckets)

    def get(self, key: str) -> Remembered | None:
        return self.buckets[_place(key)].get(key)

    def put(self, key: str, value: Remembered | None, within: int) -> Shelf:
        """With `key` as `value`, None: without it. `within`: how long marks count."""
        place = _place(key)
        bucket = dict(self.buckets[place])
        dropped = self.dropped
        bucket.pop(key, None)
        if value is not None:
            bucket[key] = value
            if _too_much(bucket):
                for other, kept in list(bucket.items()):
                    if not _needed(kept, value.touched, within):
                        del bucket[other]
            # Who is put goes to the end: the first was touched longest ago.
            while _too_much(bucket):
                del bucket[next(iter(bucket))]
                dropped += 1
        return Shelf((*self.buckets[:place], bucket, *self.buckets[place + 1 :]), dropped)

    def to_json(self) -> list[Any]:
        """What `shelf_of` reads."""
        return [
            [key, kept.touched, [list(mark) for mark in kept.marks], kept.quiet, kept.held]
            for bucket in self.buckets
            for key, kept in bucket.items()
        ]


def shelf_of(raw: Sequence[Any]) -> Shelf:
    """Raises TypeError or ValueError where it is none."""
    buckets: list[dict[str, Remembered]] = [{} for _ in range(BUCKETS)]
    for key, touched, marks, quiet, held in raw:
        bucket = buckets[_place(str(key))]
        bucket[str(key)] = Remembered(
            int(touched), tuple((int(at), int(n)) for at, n in marks)[-SLOTS:], int(quiet), int(held)
        )
        while _too_much(bucket):
            del bucket[next(iter(bucket))]
    return Shelf(tuple(buckets))


def _place(key: str) -> int:
    return zlib.crc32(key.encode(errors="surrogatepass")) % BUCKETS


def _too_much(bucket: Mapping[str, Remembered]) -> bool:
    return len(bucket) > KEYS or sum(len(kept.marks) for kept in bucket.values()) > MARKS


def _needed(kept: Remembered, now: int, within: int) -> bool:
    return kept.quiet > now or (bool(kept.marks) and kept.marks[-1][0] > now - within)
