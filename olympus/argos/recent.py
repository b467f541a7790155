"""The last lines of each stream, in memory and bounded: what is asked when something happened.

Whole pieces are kept as they came, with the time at which they were read; lines are cut out when somebody asks.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from olympus.argos.patterns import lines_of
from olympus.spec.regex import BytesPattern

PER_STREAM: Final = 256 * 1024
IN_ALL: Final = 8 * 1024 * 1024
MAX_LINES: Final = 1000
MAX_BYTES: Final = 200 * 1024
"""Of an answer: it has to fit into Hermes."""

_SHOWN: Final = 4096
_STREAMS: Final = 5_000
_EACH: Final = 160
"""Bytes that a piece takes beside its text."""


@dataclass(frozen=True, slots=True)
class Question:
    """Which lines: those that contain a text, match a pattern, of the last time or around a moment.

    last:   counted back from now. around: with `last` on both sides of it, a minute if there is none
    newest: the newest `limit` of them, in the order in which they came
    """

    contains: str | None = None
    pattern: str | None = None
    last: timedelta | None = None
    around: datetime | None = None
    limit: int = 100


@dataclass(frozen=True, slots=True)
class Line:
    time: datetime
    source: str
    line: str


@dataclass(slots=True)
class _Kept:
    pieces: deque[tuple[datetime, bytes]]
    size: int = 0


class Recent:
    """Of all watches of a node."""

    def __init__(self, per_stream: int = PER_STREAM, in_all: int = IN_ALL) -> None:
        self._per_stream = per_stream
        self._in_all = in_all
        self._streams: OrderedDict[str, _Kept] = OrderedDict()
        self._size = 0

    def add(self, stream: str, text: bytes, now: datetime) -> None:
        """Whole lines; of many, the last."""
        if len(text) > self._per_stream:
            text = text[text.find(b"\n", len(text) - self._per_stream) + 1 :]
        kept = self._streams.get(stream)
        if kept is None:
            kept = self._streams[stream] = _Kept(deque())
        self._streams.move_to_end(stream)
        last = kept.pieces[-1] if kept.pieces else None
        if last is not None and last[1] == text and last[0] == now:
            # Two watches read the same file.
            return
        kept.pieces.append((now, text))
        kept.size += len(text) + _EACH
        self._size += len(text) + _EACH
        while kept.size > self._per_stream and len(kept.pieces) > 1:
            self._drop(kept)
        while self._size > self._in_all or len(self._streams) > _STREAMS:
            oldest = next(iter(self._streams))
            self._drop(self._streams[oldest])
            if not self._streams[oldest].pieces:
                del self._streams[oldest]

    def _drop(self, kept: _Kept) -> None:
        _, text = kept.pieces.popleft()
        kept.size -= len(text) + _EACH
        self._size -= len(text) + _EACH

    def pieces(self, streams: Collection[str]) -> list[tuple[str, bytes]]:
        """(stream, whole lines) of those, each stream's oldest first."""
        return [
            (name, text) for name, kept in self._streams.items() if name in streams for _, text in kept.pieces
        ]

    def lines(self, asked: Question, now: datetime) -> list[Line]:
        """Oldest first, at most `limit`, and no more than an answer may hold. Raises ValueError for its pattern."""
        begin, end = _span(asked, now)
        wanted = _Wanted(asked)
        found: list[Line] = []
        size = 0
        for time, source, text in self._newest_first(begin, end):
            if not wanted.has(text):
                continue
            shown = text[:_SHOWN].decode(errors="replace")
            size += len(shown.encode()) + len(source) + 64
            if len(found) == min(asked.limit, MAX_LINES) or size > MAX_BYTES:
                break
            found.append(Line(time, source, shown))
        return found[::-1]

    def _newest_first(self, begin: datetime, end: datetime) -> Iterator[tuple[datetime, str, bytes]]:
        pieces = [
            (time, stream, text)
            for stream, kept in self._streams.items()
            for time, text in kept.pieces
            if begin <= time <= end
        ]
        for time, stream, text in sorted(pieces, key=lambda one: one[0], reverse=True):
            for start, stop in reversed(list(lines_of(text))):
                yield time, stream, text[start:stop].removesuffix(b"\r")


class _Wanted:
    def __init__(self, asked: Question) -> None:
        self._contains = None if asked.contains is None else asked.contains.encode()
        self._pattern = None if asked.pattern is None else BytesPattern(asked.pattern)

    def has(self, line: bytes) -> bool:
        if self._contains is not None and self._contains not in line:
            return False
        if self._pattern is None:
            return True
        return self._pattern.spans(line.decode(errors="replace").encode()) is not None


def _span(asked: Question, now: datetime) -> tuple[datetime, datetime]:
    if asked.around is not None:
        wide = asked.last or timedelta(minutes=1)
        return asked.around - wide, asked.around + wide
    if asked.last is None:
        return datetime.min.replace(tzinfo=now.tzinfo), now
    return now - asked.last, now
