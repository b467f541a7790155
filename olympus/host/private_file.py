"""Files of ours that nobody else may read or write."""

from __future__ import annotations

import os
from pathlib import Path

from olympus.kernel.errors import Refused


def read_private(file: Path) -> bytes:
    """Raises Refused where others than its owner may read it, FileNotFoundError where it is not there."""
    descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as content:
        found = os.fstat(descriptor)
        if found.st_mode & 0o077 or found.st_uid != os.geteuid():
            raise Refused(
                f"{file} may be read by others than its owner: if nobody did, chmod 600 {file}; "
                "else remove it, and a new one is made at the next start"
            )
        return content.read()


def write_private(file: Path, content: bytes) -> None:
    """Whole or not at all, also over a loss of power."""
    part = file.with_suffix(".part")
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as kept:
        kept.write(content)
        kept.flush()
        os.fsync(descriptor)
    part.rename(file)
