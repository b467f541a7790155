"""What a service writes: one file that only grows, kept small without losing a line.

The process keeps its file open, so that moving or truncating it would lose what is written meanwhile. Instead
the old part is copied to `output.log.1` (then `.2` …) and its blocks are given back by a hole: the file's length
stays, `output.json` says where what is left begins. Where the file system knows no holes, nothing is given back
before the service is started again, with a new file: a generation, in which offsets only grow.
"""

from __future__ import annotations

import ctypes
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final
from uuid import uuid4

MAX_BYTES: Final = 10 * 1024 * 1024
KEPT: Final = 4
_KEEP_SIZE: Final = 1
_PUNCH_HOLE: Final = 2
_BLOCK: Final = 4096
_PIECE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class _Known:
    """start: where what was not rotated away begins. before: earlier generations, and where each ended; last first."""

    generation: str
    inode: int
    start: int = 0
    before: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Segment:
    """Bytes from `begin` to `end` of a generation: they lie in `path`, the first of them at `at`."""

    generation: str
    begin: int
    end: int
    path: Path
    at: int = 0


class Output:
    """Of one service, in its folder."""

    def __init__(self, folder: Path, max_bytes: int = MAX_BYTES) -> None:
        self.file = folder / "output.log"
        self._new = folder / "output.log.new"
        self._known_file = folder / "output.json"
        self._max = max_bytes

    @property
    def start(self) -> int:
        """Where in the file what was not rotated away begins."""
        known = self._known()
        return known.start if known is not None and known.inode == _inode(self.file) else 0

    def begin(self) -> None:
        """The service is about to be started, nobody writes: begin a new file if the old one has a hole."""
        known, inode = self._known(), _inode(self.file)
        if known is not None and known.inode == _inode(self._new):
            # We were killed before it took its place.
            self._new.rename(self.file)
        elif not inode or known is None or known.inode != inode:
            self.file.touch(mode=0o640)
            self._know(_Known(uuid4().hex, _inode(self.file)))
        elif known.start:
            size = self._size()
            self._copy(known.start, size)
            self._new.unlink(missing_ok=True)
            self._new.touch(mode=0o640)
            self._know(
                _Known(
                    uuid4().hex, _inode(self._new), before=((known.generation, size), *known.before)[:KEPT]
                )
            )
            self._new.rename(self.file)

    def rotate(self) -> bool:
        """Where it is over its size: copy the whole lines away and give their blocks back."""
        known, size = self._known(), self._size()
        if known is None or known.inode != _inode(self.file) or size - known.start <= self._max:
            return False
        end = self._last_line_end(known.start, size)
        self._copy(known.start, end)
        # Said before it is done: a reader must not read a hole.
        self._know(replace(known, start=end))
        _punch(self.file, end // _BLOCK * _BLOCK)
        return True

    def segments(self) -> list[Segment]:
        """What there is, oldest first; none before it was begun."""
        known = self._known()
        if known is None or known.inode != _inode(self.file):
            return []
        found = [Segment(known.generation, known.start, self._size(), self.file, known.start)]
        generation, left, before = known.generation, known.start, list(known.before)
        for path in self._rotated():
            size = path.stat().st_size
            if not left and before:
                generation, left = before.pop(0)
            if size > left:
                # We were killed while it was rotated: it is not known what this is.
                break
            found.append(Segment(generation, left - size, left, path))
            left -= size
        return found[::-1]

    def read(self, tail: int | None = None) -> bytes:
        """What there is, rotated parts first; the last `tail` lines of it."""
        parts = [path.read_bytes() for path in reversed(list(self._rotated()))]
        with suppress(FileNotFoundError), self.file.open("rb") as file:
            file.seek(self.start)
            parts.append(file.read())
        whole = b"".join(parts)
        if tail is None:
            return whole
        lines = whole.splitlines(keepends=True)
        return b"".join(lines[-tail:]) if tail else b""

    def read_from(self, offset: int) -> tuple[bytes, int]:
        """What was written since `offset` (of the growing file), and where it ends."""
        size = self._size()
        # The service was started anew, with a new file.
        offset = max(0 if offset > size else offset, self.start)
        with suppress(FileNotFoundError), self.file.open("rb") as file:
            file.seek(offset)
            data = file.read(_PIECE)
            return data, offset + len(data)
        return b"", offset

    def end(self) -> int:
        return self._size()

    def _known(self) -> _Known | None:
        try:
            raw = json.loads(self._known_file.read_text())
            before = tuple((str(generation), int(end)) for generation, end in raw["before"])
            return _Known(str(raw["generation"]), int(raw["inode"]), int(raw["start"]), before)
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    def _know(self, known: _Known) -> None:
        part = self._known_file.with_suffix(".part")
        part.write_text(json.dumps(asdict(known)))
        part.rename(self._known_file)

    def _size(self) -> int:
        try:
            return self.file.stat().st_size
        except FileNotFoundError:
            return 0

    def _last_line_end(self, start: int, size: int) -> int:
        with self.file.open("rb") as file:
            file.seek(max(start, size - _PIECE))
            tail = file.read(size - file.tell())
        cut = tail.rfind(b"\n")
        return size if cut < 0 else size - len(tail) + cut + 1

    def _copy(self, start: int, end: int) -> None:
        rotated = list(self._rotated())
        for path in reversed(rotated):
            number = int(path.name.rpartition(".")[2])
            if number >= KEPT:
                path.unlink()
            else:
                path.rename(path.with_name(f"{self.file.name}.{number + 1}"))
        with self.file.open("rb") as source, self.file.with_name(f"{self.file.name}.1").open("wb") as target:
            source.seek(start)
            left = end - start
            while left > 0 and (data := source.read(min(_PIECE, left))):
                target.write(data)
                left -= len(data)
            target.flush()
            os.fsync(target.fileno())

    def _rotated(self) -> Iterator[Path]:
        """`.1` (the youngest) first."""
        for number in range(1, KEPT + 1):
            path = self.file.with_name(f"{self.file.name}.{number}")
            if path.exists():
                yield path


def _inode(path: Path) -> int:
    """0 where it is not there."""
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return 0


def _punch(path: Path, length: int) -> None:
    if length <= 0:
        return
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        libc.fallocate64(
            descriptor, _PUNCH_HOLE | _KEEP_SIZE, ctypes.c_longlong(0), ctypes.c_longlong(length)
        )
    finally:
        os.close(descriptor)
