"""Hyperscan (Vectorscan, github.com/VectorCamp/vectorscan) over whole buffers. Its only home.

It knows no start of a match at that speed, tells every end there is, and wants valid UTF-8 and a scratch for each
thread. So ends are all that it is asked for; lines around them are found here; and of a buffer with very many ends,
as `e` has them in any text, it tells nothing: RE2 reads that one, which looks at each line once.
"""

from __future__ import annotations

import hashlib
import platform
import threading
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from heapq import merge
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import hyperscan

from olympus.argos.patterns_re2 import Re2Engine
from olympus.host.private_file import read_private, write_private
from olympus.kernel.errors import Refused

_MODE: Final = hyperscan.HS_MODE_BLOCK
_FLAGS: Final = hyperscan.HS_FLAG_UTF8
_MOST_ENDS: Final = 30_000
"""In a buffer; beyond it RE2 is faster than being told of them all."""

_KEPT: Final = 64
"""So many compiled sets stay in the folder."""

Sought = Sequence[tuple[int, str]]


class HyperscanEngine:
    """Finds lines with Hyperscan; with RE2 those of patterns that it can't compile."""

    def __init__(self, sought: Sought, cache: Path | None = None) -> None:
        """`cache`: an owner-only folder for what was compiled. Raises ValueError: too many even for RE2."""
        self._sought = sought
        self._local = threading.local()
        fit, unfit = self._load(sought, cache)
        self._places = [place for place, _ in fit]
        self._rest = Re2Engine(unfit) if unfit else None

    def candidates(self, text: bytes) -> Iterable[tuple[int, int, int]]:
        """(start, end, place of the pattern), each once, in order."""
        ends = self._ends(text)
        if ends is None:
            return self._slow.candidates(text)
        found = _lines(text, ends)
        return found if self._rest is None else merge(found, self._rest.candidates(text))

    @cached_property
    def _slow(self) -> Re2Engine:
        return Re2Engine(self._sought)

    def _ends(self, text: bytes) -> list[tuple[int, int]] | None:
        """(end of a match, place of the pattern), sorted; None: too many."""
        if self._database is None:
            return []
        ends: list[tuple[int, int]] = []
        places = self._places

        def on_match(index: int, _start: int, end: int, _flags: int, _context: Any) -> bool | None:
            ends.append((end, places[index]))
            return True if len(ends) > _MOST_ENDS else None

        try:
            self._database.scan(text, on_match, scratch=self._scratch())
        except hyperscan.ScanTerminated:
            return None
        ends.sort()
        return ends

    def _scratch(self) -> Any:
        scratch = getattr(self._local, "scratch", None)
        if scratch is None:
            scratch = self._local.scratch = hyperscan.Scratch(self._database)
        return scratch

    def _load(self, sought: Sought, cache: Path | None) -> tuple[Sought, Sought]:
        """What Hyperscan finds from now on, and what it can't."""
        unfit: set[int] = set()
        self._database = None
        if sought:
            file = cache / f"{_digest(sought)}.hs" if cache is not None else None
            self._database = _stored(file) if file is not None else None
            if self._database is None:
                self._database, unfit = _compiled(sought)
                # What did not fit is not in the name: such a set is compiled anew each time.
                if file is not None and self._database is not None and not unfit:
                    _store(file, self._database)
        return (
            [one for one in sought if one[0] not in unfit],
            [one for one in sought if one[0] in unfit],
        )


def _lines(text: bytes, ends: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int, int]]:
    start, stop = 0, -1
    known: set[int] = set()
    waiting: list[int] = []
    for end, place in ends:
        if end > stop:
            yield from ((start, stop, one) for one in sorted(waiting))
            # No match is empty, or ends with a line's end: its last character says which line it is in.
            start = text.rfind(b"\n", max(stop, 0), end) + 1 or max(stop, 0)
            stop = text.find(b"\n", end)
            stop = len(text) if stop < 0 else stop
            known, waiting = set(), []
        if place not in known:
            known.add(place)
            waiting.append(place)
    yield from ((start, stop, one) for one in sorted(waiting))


def _compiled(sought: Sought) -> tuple[Any, set[int]]:
    """The database, if any, and the places of patterns that don't go into it."""
    try:
        return _database(sought), set()
    except hyperscan.error:
        unfit = {one[0] for one in sought if not _compiles(one)}
    fit = [one for one in sought if one[0] not in unfit]
    try:
        return (_database(fit) if fit else None), unfit
    except hyperscan.error:
        # Each by itself, but not all together.
        return None, {place for place, _ in sought}


def _compiles(one: tuple[int, str]) -> bool:
    try:
        _database([one])
    except hyperscan.error:
        return False
    return True


def _database(sought: Sought) -> Any:
    database = hyperscan.Database(mode=_MODE)
    texts = [text.encode() for _, text in sought]
    database.compile(expressions=texts, ids=list(range(len(texts))), flags=[_FLAGS] * len(texts))
    return database


def _digest(sought: Sought) -> str:
    """Of all that the compiled set depends on: it is not read on another kind of machine."""
    hashed = hashlib.blake2b(f"{version('hyperscan')} {platform.machine()} {_FLAGS}".encode(), digest_size=16)
    for _, text in sought:
        hashed.update(b"\0" + text.encode())
    return hashed.hexdigest()


def _stored(file: Path) -> Any:
    """None: it is not there, or not ours, or of another processor. What others may write is never read in."""
    try:
        database = hyperscan.loadb(read_private(file), _MODE)
        hyperscan.Scratch(database)
    except (OSError, Refused, hyperscan.error):
        return None
    return database


def _store(file: Path, database: Any) -> None:
    """Where it can't be written, it is compiled again the next time."""
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(file, hyperscan.dumpb(database))
        kept = sorted(file.parent.glob("*.hs"), key=lambda one: one.stat().st_mtime, reverse=True)
        for old in kept[_KEPT:]:
            old.unlink(missing_ok=True)
    except OSError:
        return
