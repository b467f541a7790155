"""Entries of systemd's journal, as `journalctl -o json` writes them, into lines with places. Pure.

All lines of one watch are numbered in one row, by bytes, in the order of the journal: what is read again from a
cursor that was kept gets the numbers that it had.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from olympus.argos.ports import Chunk
from olympus.argos.reading import LINE

FIELDS: Final = ("MESSAGE", "_SYSTEMD_UNIT", "_SYSTEMD_USER_UNIT", "UNIT", "_PID", "_TRANSPORT")
LONGEST: Final = 16 << 20
"""Bytes of one entry's JSON: of what is longer, nothing is read. Bytes that are no UTF-8 take four each."""

_NAME: Final = 200


@dataclass(frozen=True, slots=True)
class Entry:
    """time: when journald took it, in microseconds since 1970. text: lines, each with its end; empty: no message."""

    cursor: str
    time: int
    stream: str
    text: bytes
    cut: int = 0


def entry_of(raw: bytes) -> Entry | None:
    """None for what is no entry."""
    try:
        found: Mapping[str, Any] = orjson.loads(raw)
        cursor, time = str(found["__CURSOR"]), int(found["__REALTIME_TIMESTAMP"])
    except (ValueError, KeyError, TypeError):
        return None
    text, cut = _lines(_message(found.get("MESSAGE")))
    return Entry(cursor, time, f"journal/{_unit(found)}", text, cut)


def _message(value: Any) -> bytes:
    """A text; numbers, where it is no UTF-8; several of those, where the field is there several times."""
    if isinstance(value, str):
        return value.encode(errors="replace")
    if not isinstance(value, list):
        return b""
    if all(isinstance(one, int) for one in value):
        return bytes(one & 0xFF for one in value)
    return b"\n".join(_message(one) for one in value)


def _lines(message: bytes) -> tuple[bytes, int]:
    text = message.rstrip(b"\n")
    if not text:
        return b"", 0
    if len(text) <= LINE:
        return text + b"\n", 0
    lines = text.split(b"\n")
    return b"".join(line[:LINE] + b"\n" for line in lines), sum(len(line) > LINE for line in lines)


def _unit(found: Mapping[str, Any]) -> str:
    """By what journald knows of the sender, never by what the sender says of itself."""
    unit = found.get("UNIT") if found.get("_PID") == "1" else None
    unit = unit or found.get("_SYSTEMD_USER_UNIT") or found.get("_SYSTEMD_UNIT")
    if isinstance(unit, str) and unit.isprintable():
        return unit[:_NAME]
    return "kernel" if found.get("_TRANSPORT") == "kernel" else "-"


@dataclass(slots=True)
class Numbering:
    """position: of the next line. passed: streams → up to where their lines were dealt with before a restart."""

    part: str
    position: int = 0
    passed: Mapping[str, int] = field(default_factory=dict)
    passed_at_all: int = 0

    def chunks(self, entries: Sequence[Entry]) -> Iterator[Chunk]:
        """What follows on each other in one stream is one chunk."""
        run: list[bytes] = []
        stream, start = "", 0
        for entry in entries:
            at = self.position
            self.position += len(entry.text)
            if not entry.text or at < self.passed.get(entry.stream, self.passed_at_all):
                continue
            if run and entry.stream != stream:
                yield Chunk(stream, self.part, start, b"".join(run))
                run = []
            if not run:
                stream, start = entry.stream, at
            run.append(entry.text)
        if run:
            yield Chunk(stream, self.part, start, b"".join(run))
