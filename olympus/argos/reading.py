"""Bytes of files, read in large pieces and cut into whole lines.

A line is at most LINE bytes long: of a longer one the beginning is taken, and the rest is skipped, however much it
is. So memory is bounded, and it does not matter where a piece of the file happened to end.
"""

from __future__ import annotations

import errno
import gzip
import hashlib
import os
import stat
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Final, Protocol

from olympus.argos.ports import Chunk
from olympus.argos.rotation import Part, Sample

PIECE: Final = 1 << 20
LINE: Final = 64 * 1024
HEAD: Final = 256
_TAIL: Final = 64


class Bytes(Protocol):
    """A file's content, wherever it lies."""

    def read(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes; fewer at its end."""
        ...

    def close(self) -> None: ...


class PlainFile:
    """An open file. Raises OSError, also where it is no regular file, or is reached through another's link."""

    def __init__(self, path: str) -> None:
        _refuse_foreign_link(path)
        # A pipe must not keep us waiting for its writer.
        self.descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        if not stat.S_ISREG(os.fstat(self.descriptor).st_mode):
            self.close()
            raise OSError(errno.EINVAL, "it is no regular file", path)

    def status(self) -> os.stat_result:
        return os.fstat(self.descriptor)

    def read(self, offset: int, size: int) -> bytes:
        return os.pread(self.descriptor, size, offset)

    def first_data(self, offset: int) -> int:
        """Where the first data at or behind `offset` is."""
        with suppress(OSError):
            return os.lseek(self.descriptor, offset, os.SEEK_DATA)
        return offset

    def close(self) -> None:
        os.close(self.descriptor)


class PackedFile:
    """A file that gzip made, read forward. Raises OSError, EOFError, zlib.error where it is none."""

    def __init__(self, path: str) -> None:
        _refuse_foreign_link(path)
        self._file = gzip.open(path)  # noqa: SIM115 - closed by `close`

    def status(self) -> os.stat_result:
        """Of the file as it is: compressed."""
        return os.fstat(self._file.fileno())

    def read(self, offset: int, size: int) -> bytes:
        try:
            self._file.seek(offset)
            return self._file.read(size)
        except (EOFError, zlib.error) as exc:
            raise OSError(errno.EIO, f"it can't be unpacked: {exc}") from exc

    def close(self) -> None:
        self._file.close()


def open_bytes(path: str, *, packed: bool) -> PlainFile | PackedFile:
    return PackedFile(path) if packed else PlainFile(path)


def _refuse_foreign_link(path: str) -> None:
    """As the kernel's protected_symlinks: who may write a folder of logs must not choose what root reads."""
    found = os.lstat(path)
    if stat.S_ISLNK(found.st_mode) and found.st_uid not in (0, os.geteuid(), os.stat(path).st_uid):  # noqa: PTH116
        raise OSError(errno.EPERM, "it is a link of another user's to a file that is not theirs", path)


def sample(content: bytes) -> Sample:
    return Sample(len(content), hashlib.blake2b(content, digest_size=12).hexdigest())


def agrees(content: Bytes, part: Part) -> bool:
    """Whether it holds what was read of the part."""
    return _is(content, 0, part.head) and _is(content, part.offset - part.tail.size, part.tail)


def _is(content: Bytes, offset: int, wanted: Sample) -> bool:
    return wanted.size == 0 or sample(content.read(offset, wanted.size)) == wanted


def with_samples(content: Bytes, part: Part) -> Part:
    """The part as it is known again by its first bytes, and by the last before its offset."""
    size = min(_TAIL, part.offset)
    tail = sample(content.read(part.offset - size, size)) if size else Sample()
    return replace(with_head(content, part), tail=tail)


def with_head(content: Bytes, part: Part) -> Part:
    """The part as it is known again before anything of it is told."""
    if part.head.size == HEAD:
        return part
    head = content.read(0, HEAD)
    return replace(part, head=sample(head)) if len(head) > part.head.size else part


def line_start(content: Bytes, offset: int) -> int:
    """Where the line begins that `offset` is in, if it is not too long."""
    begin = max(0, offset - LINE)
    before = content.read(begin, offset - begin)
    found = before.rfind(b"\n")
    if found >= 0:
        return begin + found + 1
    return 0 if begin == 0 else offset


class Reader:
    """Reads one part on."""

    def __init__(self, stream: str, content: Bytes) -> None:
        self._stream = stream
        self._content = content

    def read(self, part: Part, *, ends: bool = False, size: int = PIECE) -> tuple[list[Chunk], Part, int]:
        """Chunks of what is there, the part as it is read with them, and how many lines were cut.

        ends: nothing more will come: what is behind the last newline is a line too.
        """
        data = self._content.read(part.offset, size)
        offset, cutting = part.offset, part.cutting
        whole = len(data) < size and ends
        if cutting:
            stop = data.find(b"\n")
            skipped = len(data) if stop < 0 else stop + 1
            data, offset = data[skipped:], offset + skipped
            cutting = stop < 0 and not (whole and not data)
        chunks: list[Chunk] = []
        cut = 0
        for start, end, is_cut in spans(data):
            text = data[start:end]
            chunks.append(Chunk(self._stream, part.id, offset + start, text + b"\n" if is_cut else text))
            cut += is_cut
        done = _end_of(data)
        if done < len(data) and len(data) - done >= LINE:
            # No newline in all of this: its beginning is the line.
            chunks.append(Chunk(self._stream, part.id, offset + done, data[done : done + LINE] + b"\n"))
            cut += 1
            done, cutting = len(data), not whole
        elif whole and done < len(data):
            chunks.append(Chunk(self._stream, part.id, offset + done, data[done:] + b"\n"))
            done = len(data)
        read = replace(part, offset=offset + done, cutting=cutting)
        return chunks, with_samples(self._content, read) if read.offset != part.offset else read, cut


def _end_of(data: bytes) -> int:
    return data.rfind(b"\n") + 1


def spans(data: bytes) -> Iterator[tuple[int, int, bool]]:
    """Whole lines of at most LINE bytes: (start, end, whether the last one was cut)."""
    whole = _end_of(data)
    start = at = 0
    while at < whole:
        found = data.rfind(b"\n", at, min(at + LINE + 1, whole))
        if found >= 0:
            at = found + 1
            continue
        yield start, at + LINE, True
        start = at = data.index(b"\n", at) + 1
    if start < whole:
        yield start, whole, False


def recoded(chunks: Iterable[Chunk], encoding: str) -> Iterator[Chunk]:
    """In UTF-8, and a chunk for each line: offsets stay those of the file."""
    for chunk in chunks:
        offset = chunk.offset
        lines = chunk.text.split(b"\n")
        last = len(lines) - 1 if lines[-1] == b"" else len(lines)
        for number, line in enumerate(lines[:last]):
            text = (line + b"\n").decode(encoding, errors="replace").encode()
            yield replace(chunk, offset=offset, text=text, ends=chunk.ends and number == last - 1)
            offset += len(line) + 1
