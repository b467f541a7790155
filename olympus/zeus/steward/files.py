"""What a service needs on disk: written at once or not at all, never through a symbolic link, healed on drift."""

from __future__ import annotations

import grp
import hashlib
import os
import stat
import time
from pathlib import Path
from typing import BinaryIO, Final

from olympus.host.users import account
from olympus.kernel.errors import Refused
from olympus.records.desired import FileSpec

_TICK_NS: Final = 1_000_000_000


def differs(file: FileSpec) -> bool:
    """Whether what is there is not what is declared."""
    path = Path(file.path)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return True
    with os.fdopen(descriptor, "rb") as there:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or stat.S_IMODE(found.st_mode) != file.mode:
            return True
        if found.st_size != file.content.size:
            return True
        return _digest(path, there, found) != file.content.digest


def _digest(path: Path, there: BinaryIO, found: os.stat_result) -> str:
    """Of the content; one that was seen and not touched since is not read again."""
    stamp = (found.st_dev, found.st_ino, found.st_size, found.st_ctime_ns)
    known = _seen.get(path)
    if known is not None and known[0] == stamp:
        return known[1]
    digest = hashlib.sha256(there.read()).hexdigest()
    # What was changed just now may be changed again at the same tick of the clock.
    if time.time_ns() - found.st_ctime_ns > _TICK_NS:
        _seen[path] = stamp, digest
    return digest


_seen: dict[Path, tuple[tuple[int, ...], str]] = {}


def write(file: FileSpec, content: bytes) -> None:
    """Raises Refused where a link is in the way, or the owner does not exist; OSError where the disk refuses."""
    path = Path(file.path)
    if ".." in path.parts:
        raise Refused(f"{path}: '..' is not allowed")
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.parent.resolve() != path.parent:
        raise Refused(f"{path}: there is a symbolic link on the way")
    uid = account(file.owner).pw_uid if file.owner else -1
    gid = _group(file.group) if file.group else -1
    part = path.with_name(f".{path.name}.olympus")
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as new:
        new.write(content)
        new.flush()
        if uid != -1 or gid != -1:
            os.fchown(descriptor, uid, gid)
        os.fchmod(descriptor, file.mode)
        os.fsync(descriptor)
    part.rename(path)


def _group(name: str) -> int:
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError as error:
        raise Refused(f"this node has no group '{name}'") from error
