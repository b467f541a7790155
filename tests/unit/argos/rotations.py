"""How programs rotate logs, step by step: after each step of it somebody may look. For one file, `log`.

Each is called with the rotation's number, counted from 1, and yields between the steps that others may see.
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable, Iterator
from pathlib import Path

KEPT = 12
"""So many rotations are kept: who is away for longer can't read all."""

Rotation = Callable[[Path, int], Iterator[None]]


def renamed(log: Path, _number: int) -> Iterator[None]:
    """FILE.1 becomes FILE.2, FILE becomes FILE.1."""
    yield from _aged(log, "")
    log.rename(log.with_name(f"{log.name}.1"))


def dated(log: Path, number: int) -> Iterator[None]:
    log.rename(_dated(log, number))
    yield
    _dated(log, number - KEPT).unlink(missing_ok=True)


def compressed(log: Path, number: int) -> Iterator[None]:
    """With `compress`, `dateext`."""
    log.rename(_dated(log, number))
    yield
    yield from _packed(_dated(log, number))
    _dated(log, number - KEPT, ".gz").unlink(missing_ok=True)


def compressed_later(log: Path, number: int) -> Iterator[None]:
    """With `delaycompress`: the newest rotation stays as it is until the next one."""
    if _dated(log, number - 1).exists():
        yield from _packed(_dated(log, number - 1))
    log.rename(_dated(log, number))
    yield
    _dated(log, number - KEPT, ".gz").unlink(missing_ok=True)


def numbered_and_compressed(log: Path, _number: int) -> Iterator[None]:
    """FILE.1.gz becomes FILE.2.gz, FILE becomes FILE.1.gz."""
    yield from _aged(log, ".gz")
    log.rename(log.with_name(f"{log.name}.1"))
    yield
    yield from _packed(log.with_name(f"{log.name}.1"))


def copied(log: Path, number: int) -> Iterator[None]:
    """With `copytruncate`, while nobody writes."""
    copy = _dated(log, number)
    content = log.read_bytes()
    copy.write_bytes(content[: len(content) // 2])
    _time_of(log, copy)
    yield
    copy.write_bytes(content)
    _time_of(log, copy)
    yield
    os.truncate(log, 0)
    _time_of(copy, log)
    yield
    _dated(log, number - KEPT).unlink(missing_ok=True)


ROTATIONS: tuple[Rotation, ...] = (
    renamed,
    dated,
    compressed,
    compressed_later,
    numbered_and_compressed,
    copied,
)


def _dated(log: Path, number: int, end: str = "") -> Path:
    return log.with_name(f"{log.name}-{20_260_000 + number}{end}")


def _aged(log: Path, end: str) -> Iterator[None]:
    log.with_name(f"{log.name}.{KEPT}{end}").unlink(missing_ok=True)
    for age in range(KEPT - 1, 0, -1):
        old = log.with_name(f"{log.name}.{age}{end}")
        if old.exists():
            yield
            old.rename(log.with_name(f"{log.name}.{age + 1}{end}"))
    yield


def _packed(path: Path) -> Iterator[None]:
    """As gzip does: into the new file, which gets the old one's time, and then the old one goes."""
    packed, content = path.with_name(path.name + ".gz"), gzip.compress(path.read_bytes())
    packed.write_bytes(content[: len(content) // 2])
    _time_of(path, packed)
    yield
    packed.write_bytes(content)
    _time_of(path, packed)
    yield
    path.unlink()
    yield


def _time_of(old: Path, new: Path) -> None:
    """As gzip and `cp -p` do. What is half written is newer than that, which the clock of a test would have to know."""
    status = old.stat()
    os.utime(new, ns=(status.st_atime_ns, status.st_mtime_ns))
