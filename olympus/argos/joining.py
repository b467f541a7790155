"""Lines that belong together become one record. Pure: time is passed in.

What a record still may get more lines of is kept back; how far is read is then where it begins, so that after a
restart it is put together again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from olympus.argos.patterns import canonical, lines_of
from olympus.argos.ports import Chunk
from olympus.argos.reading import LINE
from olympus.spec.kinds.logwatch import Multiline
from olympus.spec.regex import BytesPattern

PAUSE: Final = 1.0
"""Seconds after which nothing more is expected of a record."""


@dataclass(frozen=True, slots=True)
class Record:
    """offset and fields are those of its first line; text is without the last line's end."""

    stream: str
    part: str
    offset: int
    text: bytes
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class _Pending:
    stream: str
    offset: int
    text: bytearray
    touched: float
    fields: Mapping[str, Any]


class Joiner:
    """Of one watch: what is pending of each part of each stream. `cut`: records that were longer than may be."""

    def __init__(self, multiline: Multiline) -> None:
        self._starts = multiline.start is not None
        self._ends = multiline.end is not None
        self._mark = BytesPattern(multiline.start or multiline.end or multiline.continuation or "")
        self._pending: dict[tuple[str, str], _Pending] = {}
        self.cut = 0

    def add(self, chunk: Chunk, now: float) -> Iterator[Record]:
        """Records that are whole with this chunk's lines. now: seconds that only grow."""
        key = (chunk.stream, chunk.part)
        for start, end in lines_of(chunk.text):
            line = chunk.text[start:end]
            pending = self._pending.get(key)
            if pending is not None and (self._begins(line) or len(pending.text) + len(line) >= LINE):
                self.cut += not self._begins(line)
                yield self._whole(key)
                pending = None
            if pending is None:
                fields = chunk.about(start) if chunk.about is not None else {}
                pending = _Pending(chunk.stream, chunk.offset + start, bytearray(), now, fields)
                self._pending[key] = pending
            else:
                pending.text += b"\n"
            pending.text += line
            pending.touched = now
            if self._ends and self._matches(line):
                yield self._whole(key)
        if chunk.ends and key in self._pending:
            yield self._whole(key)

    def due(self, now: float) -> Iterator[Record]:
        """Records of which nothing more has come for PAUSE."""
        for key in [key for key, one in self._pending.items() if now - one.touched >= PAUSE]:
            yield self._whole(key)

    def next_due(self) -> float | None:
        """When `due` has something, in seconds as `add` was told them."""
        return min((one.touched for one in self._pending.values()), default=None)

    def begins_at(self, stream: str, part: str) -> int | None:
        """Where what is pending of the part begins."""
        pending = self._pending.get((stream, part))
        return None if pending is None else pending.offset

    def _whole(self, key: tuple[str, str]) -> Record:
        pending = self._pending.pop(key)
        return Record(pending.stream, key[1], pending.offset, bytes(pending.text), pending.fields)

    def _begins(self, line: bytes) -> bool:
        """Whether the line is not of the record before it."""
        if self._ends:
            return False
        return self._matches(line) is self._starts

    def _matches(self, line: bytes) -> bool:
        return self._mark.spans(canonical(line)) is not None
