"""Which lines of a buffer match which patterns, and with which groups. Two engines find lines, RE2 judges them.

An engine reads whole buffers and may show too many lines, never too few: it looks for what a line needs for a
pattern (`syntax.needed`). The judge reads a line that was shown as the operator's pattern says, takes the groups,
and holds them against their types (`typed_groups`). So all engines find the same.

A line is text: what is no UTF-8 in it reads as U+FFFD; its end, `\\n` or `\\r\\n`, is no part of it.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias

from olympus.argos.patterns_re2 import Re2Engine
from olympus.argos.syntax import can_be_empty, loosened, needed, written
from olympus.argos.syntax_reader import read
from olympus.argos.syntax_tree import Unreadable
from olympus.argos.typed_groups import GUARDED, PARSERS, whole
from olympus.spec.kinds.logwatch import Match
from olympus.spec.regex import BytesPattern

_REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}".encode()


@dataclass(frozen=True, slots=True)
class Hit:
    """A line that matches. `start` to `end` in the buffer, without the line's end; groups that took part only."""

    start: int
    end: int
    match_index: int
    groups: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Misfit:
    """A line that matches, but whose groups are not what they have to be: it counts as none."""

    start: int
    end: int
    match_index: int
    reason: str


class Engine(Protocol):
    """Shows lines of a text that may match: valid UTF-8, lines end with `\\n` alone."""

    def candidates(self, text: bytes) -> Iterable[tuple[int, int, int]]:
        """(start, end, place of the pattern), each once, in order."""
        ...


Sought: TypeAlias = Sequence[tuple[int, str]]
"""Patterns with their places."""

EngineMaker: TypeAlias = Callable[[Sought, Path | None], Engine]


class Patterns:
    """Patterns of one watch, ready to read. Safe to use from several threads."""

    def __init__(self, matches: Sequence[Match], engine: Engine, always: Sequence[int]) -> None:
        self._judges = [_Judge(one) for one in matches]
        self._engine = engine
        self._always = tuple(always)
        self._misfits = [0] * len(matches)
        self._lock = threading.Lock()

    @property
    def misfits(self) -> tuple[int, ...]:
        """For each match, how many lines it refused because of their groups, so far."""
        return tuple(self._misfits)

    def scan(self, buffer: bytes | memoryview) -> Iterator[Hit]:
        """What matches in `buffer`, which holds whole lines; in the order of lines, then of matches."""
        for found in self.survey(buffer):
            if isinstance(found, Hit):
                yield found
            else:
                with self._lock:
                    self._misfits[found.match_index] += 1

    def survey(self, buffer: bytes | memoryview) -> Iterator[Hit | Misfit]:
        """As `scan`, and with the lines that were refused because of their groups, uncounted."""
        raw = bytes(buffer)
        text = canonical(raw)
        places = None if text is raw else _Places(raw, text)
        for start, end, index in self._shown(text):
            line = text[start:end]
            found = self._judges[index].judge(line)
            if found is None:
                continue
            at = (start, end) if places is None else places.of(start)
            if isinstance(found, str):
                yield Misfit(*at, index, found)
            else:
                yield Hit(*at, index, found)

    def record(self, raw: bytes | memoryview) -> Iterator[Hit | Misfit]:
        """What matches a record of several lines as a whole. `^` and `$` are its beginning and end."""
        raw = bytes(raw)
        text = canonical(raw).rstrip(b"\n")
        for index, judge in enumerate(self._judges):
            found = judge.judge(text)
            if found is not None:
                made = Misfit if isinstance(found, str) else Hit
                yield made(0, len(raw), index, found)  # type: ignore[arg-type] # each takes its own

    def _shown(self, text: bytes) -> Iterable[tuple[int, int, int]]:
        shown = self._engine.candidates(text)
        if not self._always:
            return shown
        return sorted({*shown, *((a, b, i) for a, b in lines_of(text) for i in self._always)})


def compile_patterns(
    matches: Sequence[Match], cache: Path | None = None, make: EngineMaker | None = None
) -> Patterns:
    """Ready to read. Raises ValueError where a pattern is none.

    `cache`: an owner-only folder where compiled sets are kept, so that the next start needs not compile them.
    `make`: an engine, instead of the fastest that this machine has.
    """
    sought, always = _prepared(matches)
    try:
        engine = (make or fastest_engine())(sought, cache)
    except ValueError:
        # Together they are too many for one pass: each line is shown to each.
        return Patterns(matches, Re2Engine(()), range(len(matches)))
    return Patterns(matches, engine, always)


@lru_cache(maxsize=1)
def fastest_engine() -> EngineMaker:
    """Hyperscan where there is a build of it for this processor, else RE2."""
    try:
        module = importlib.import_module("olympus.argos.patterns_hyperscan")
    except ImportError:
        return Re2Engine
    maker: EngineMaker = module.HyperscanEngine
    return maker


def _prepared(matches: Sequence[Match]) -> tuple[Sought, list[int]]:
    """What engines look for, and the places of patterns of which they can't know: any line may match those."""
    sought, always = [], []
    for index, match in enumerate(matches):
        text = pattern_of(match)
        BytesPattern(text)
        try:
            need = needed(read(text))
        except Unreadable:
            always.append(index)
            continue
        if can_be_empty(need):
            always.append(index)
        else:
            sought.append((index, written(need)))
    return sought, always


def pattern_of(match: Match) -> str:
    """The pattern that is looked for, be it that it should come or that it should not."""
    if match.absent is not None:
        return match.absent.pattern
    return match.pattern or ""


def canonical(raw: bytes) -> bytes:
    """Valid UTF-8 whose lines end with `\\n`; the same object where it is so."""
    text = raw
    if not text.isascii():
        try:
            text.decode()
        except UnicodeDecodeError:
            text = text.decode(errors="replace").encode()
    if b"\r" in text:
        changed = text.replace(b"\r\n", b"\n")
        text = changed[:-1] if changed.endswith(b"\r") else changed
    return raw if text == raw else text


def lines_of(text: bytes) -> Iterator[tuple[int, int]]:
    """Where each line begins and ends, its `\\n` left out."""
    start = 0
    while start < len(text):
        end = text.find(b"\n", start)
        end = len(text) if end < 0 else end
        yield start, end
        start = end + 1


class _Places:
    """Where the lines of a text are in the buffer that it was made of: both have the same lines."""

    def __init__(self, raw: bytes, text: bytes) -> None:
        self._raw = lines_of(raw)
        self._buffer = raw
        self._text = text
        self._at = 0
        self._now = (0, 0)
        self._line = -1

    def of(self, start: int) -> tuple[int, int]:
        """For starts that never go back."""
        wanted = self._line + self._text.count(b"\n", self._at, start) + (self._line < 0)
        self._at = start
        while self._line < wanted:
            self._now = next(self._raw)
            self._line += 1
        begin, end = self._now
        return begin, end - 1 if self._buffer[begin:end].endswith(b"\r") else end


class _Judge:
    """One match, on one line."""

    def __init__(self, match: Match) -> None:
        text = pattern_of(match)
        self._pattern = BytesPattern(text)
        self._types = {name: PARSERS[kind] for name, kind in match.types.items()}
        self._kinds = dict(match.types)
        self._guarded = frozenset(name for name, kind in match.types.items() if kind in GUARDED)
        self._second = self._second_reading(text) if self._guarded else None

    def _second_reading(self, text: str) -> BytesPattern | None:
        try:
            loose = loosened(read(text), self._guarded)
        except Unreadable:
            return None
        return None if loose is None else BytesPattern(written(loose, self._guarded))

    def judge(self, line: bytes) -> Mapping[str, Any] | str | None:
        """The groups; or why it is refused; or None: it does not match."""
        spans = self._pattern.spans(line)
        if not spans:
            return spans
        groups: dict[str, Any] = {}
        for name, (start, end) in spans.items():
            text = line[start:end].decode()
            kind = self._kinds.get(name)
            if kind is None:
                groups[name] = text
                continue
            value = self._types[name](text)
            if value is None:
                return f"{name} is no {kind}"
            if not whole(kind, line, (start, end)):
                return f"{name} is part of something longer"
            groups[name] = value
        return self._forged(line, spans, groups) or groups

    def _forged(
        self, line: bytes, first: Mapping[str, tuple[int, int]], groups: Mapping[str, Any]
    ) -> str | None:
        """What speaks for text that somebody wrote into the line to be taken for another."""
        spans = self._second.spans(line) if self._second is not None else None
        others: dict[str, Any] = {}
        for name, span in (spans or {}).items():
            if span == first.get(name):
                continue
            others[name] = self._types[name](line[slice(*span)].decode())
            if others[name] is None or not whole(self._kinds[name], line, span):
                return None
        for name, other in others.items():
            if other != groups.get(name, other):
                return f"{name} may be forged: read in another way it is {other}"
        return None
