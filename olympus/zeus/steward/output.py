"""What a service writes: one file that only grows, kept small without losing a line.

The process keeps its file open, so that moving or truncating it would lose what is written meanwhile. Instead
the old part is copied to `output.log.1` (then `.2` …) and its blocks are given back by a hole: the file's length
stays, `start` says where what is left begins. Where the file system knows no holes, nothing is given back
before the service is started again.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

MAX_BYTES: Final = 10 * 1024 * 1024
KEPT: Final = 4
_KEEP_SIZE: Final = 1
_PUNCH_HOLE: Final = 2
_BLOCK: Final = 4096
_PIECE: Final = 1 << 20


class Output:
    """Of one service, in its folder."""

    def __init__(self, folder: Path, max_bytes: int = MAX_BYTES) -> None:
        self.file = folder / "output.log"
        self._start_file = folder / "output.start"
        self._max = max_bytes

    @property
    def start(self) -> int:
        """Where in the file what was not rotated away begins."""
        try:
            return int(self._start_file.read_text())
        except (FileNotFoundError, ValueError):
            return 0

    def begin(self) -> None:
        """The service is about to be started, nobody writes: begin a new file if the old one has a hole."""
        if self.start:
            self._copy(self.start, self._size())
            self.file.unlink(missing_ok=True)
            self._start_file.unlink(missing_ok=True)
        self.file.touch(mode=0o640)

    def rotate(self) -> bool:
        """Where it is over its size: copy the whole lines away and give their blocks back."""
        start, size = self.start, self._size()
        if size - start <= self._max:
            return False
        end = self._last_line_end(start, size)
        self._copy(start, end)
        # Said before it is done: a reader must not read a hole.
        part = self._start_file.with_suffix(".part")
        part.write_text(str(end))
        part.rename(self._start_file)
        _punch(self.file, end // _BLOCK * _BLOCK)
        return True

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
