"""A pattern tried on files before it is committed: read, cut and judged as a LogWatch would."""

from __future__ import annotations

import gzip
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final, cast

from olympus.argos.patterns import Hit, Patterns, compile_patterns, lines_of
from olympus.argos.reading import LINE, PIECE, spans
from olympus.argos.unmatched import Unmatched
from olympus.spec.kinds.logwatch import Match

_SHOWN: Final = 1024
_GZIP: Final = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class Example:
    """A line that matches; or that would, but for `refused`: what its groups are not."""

    file: str
    number: int
    line: str
    groups: dict[str, Any] = field(default_factory=dict)
    refused: str | None = None


@dataclass(slots=True)
class Trial:
    """cut: lines that were longer than a line may be. seconds: what reading and matching took."""

    lines: int = 0
    bytes: int = 0
    matched: int = 0
    refused: int = 0
    cut: int = 0
    seconds: float = 0.0
    files: dict[str, int] = field(default_factory=dict)
    examples: list[Example] = field(default_factory=list)
    refusals: list[Example] = field(default_factory=list)


class Trying:
    """One pattern, on one file after the other. examples: how many of each sort are kept."""

    def __init__(self, match: Match, *, examples: int, unmatched: Unmatched | None = None) -> None:
        """Raises ValueError where its pattern is none."""
        self._patterns: Patterns = compile_patterns([match])
        self._most = examples
        self._unmatched = unmatched
        self.found = Trial()

    def read(self, name: str, file: BinaryIO) -> None:
        """To its end. Raises OSError, also where it was packed and can't be unpacked."""
        found, number = self.found, 1
        matched = found.matched
        begun = time.perf_counter()
        for piece, cut in pieces(opened(file)):
            self._look(name, number, piece)
            lines = piece.count(b"\n")
            number += lines
            found.lines += lines
            found.bytes += len(piece)
            found.cut += cut
        found.seconds += time.perf_counter() - begun
        found.files[name] = found.matched - matched

    def _look(self, name: str, number: int, piece: bytes) -> None:
        found = self.found
        starts = set()
        for one in self._patterns.survey(piece):
            starts.add(one.start)
            hit = isinstance(one, Hit)
            kept = found.examples if hit else found.refusals
            found.matched += hit
            found.refused += not hit
            if len(kept) < self._most:
                line = piece[one.start : one.end][:_SHOWN].decode(errors="replace")
                at = number + piece.count(b"\n", 0, one.start)
                groups = dict(one.groups) if isinstance(one, Hit) else {}
                kept.append(Example(name, at, line, groups, None if isinstance(one, Hit) else one.reason))
        if self._unmatched is not None:
            for start, end in lines_of(piece):
                if start not in starts:
                    self._unmatched.add(piece[start:end].removesuffix(b"\r"))


def opened(file: BinaryIO) -> BinaryIO:
    """What it holds, unpacked where gzip packed it: known by its first bytes, as a pipe has no name."""
    head = file.peek(2)[:2] if hasattr(file, "peek") else b""
    return cast(BinaryIO, gzip.open(file)) if head == _GZIP else file


def pieces(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Whole lines, each with its end, and how many of them were cut. The last one needs no end of its own."""
    rest, skipping = b"", False
    while True:
        try:
            read = file.read(PIECE)
        except (EOFError, zlib.error) as exc:
            raise OSError(f"it can't be unpacked: {exc}") from exc
        if skipping:
            end = read.find(b"\n")
            skipping = end < 0 and bool(read)
            read = b"" if end < 0 else read[end + 1 :]
            if skipping:
                continue
        data = rest + read
        if not read and not data:
            return
        if not read:
            data += b"\n"
        whole = data.rfind(b"\n") + 1
        text, rest = data[:whole], data[whole:]
        for start, end, is_cut in spans(text):
            yield text[start:end] + b"\n" * is_cut, int(is_cut)
        if len(rest) >= LINE:
            yield rest[:LINE] + b"\n", 1
            rest, skipping = b"", True
