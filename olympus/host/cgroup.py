"""A control group for each scope, where one can be written: exact limits, and a kill that nothing escapes.

Version 2 (one hierarchy) where it is delegated to us, else version 1's pids and memory controllers, else none.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

_ROOT: Final = Path("/sys/fs/cgroup")
_OWN: Final = "olympus"


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """Where groups can be made: one folder (version 2), or one for each controller (version 1)."""

    unified: bool
    folders: tuple[Path, ...]


@lru_cache(maxsize=1)
def hierarchy() -> Hierarchy | None:
    """None where no control group can be written."""
    if os.geteuid() != 0 and not (_ROOT / "cgroup.controllers").exists():
        return None
    if (_ROOT / "cgroup.controllers").exists():
        return _unified()
    folders = tuple(folder / _OWN for folder in (_ROOT / "pids", _ROOT / "memory") if folder.is_dir())
    return Hierarchy(False, folders) if folders and all(map(_made, folders)) else None


def _unified() -> Hierarchy | None:
    line = next((line for line in _text("/proc/self/cgroup").splitlines() if line.startswith("0::")), "0::/")
    # Beside our own group, not within: a group that has processes may not delegate controllers.
    base = (_ROOT / line[3:].lstrip("/")).parent / _OWN
    if not _made(base):
        return None
    for controller in ("+pids", "+memory"):
        for folder in (base.parent, base):
            with suppress(OSError):
                (folder / "cgroup.subtree_control").write_text(controller)
    return Hierarchy(True, (base,))


def make(scope: str, memory_bytes: int | None, tasks: int | None) -> tuple[Path, ...]:
    """The `cgroup.procs` files that a process writes 0 to in order to be in it; empty where there is none."""
    found = hierarchy()
    if found is None:
        return ()
    procs = []
    for folder in found.folders:
        group = folder / _name(scope)
        if not _made(group):
            return ()
        _limit(group, memory_bytes, tasks)
        procs.append(group / "cgroup.procs")
    return tuple(procs)


def members(scope: str) -> set[int]:
    """The process ids in it."""
    found = hierarchy()
    pids: set[int] = set()
    for folder in found.folders if found else ():
        group = folder / _name(scope)
        pids |= {int(pid) for pid in _text(group / "cgroup.procs").split()}
    return pids


def remove(scope: str) -> None:
    """Give the group back; one that still has processes stays."""
    found = hierarchy()
    for folder in found.folders if found else ():
        with suppress(OSError):
            (folder / _name(scope)).rmdir()


def _limit(group: Path, memory_bytes: int | None, tasks: int | None) -> None:
    values = {
        "pids.max": tasks,
        "memory.max": memory_bytes,
        "memory.swap.max": 0 if memory_bytes else None,
        "memory.limit_in_bytes": memory_bytes,
    }
    for name, value in values.items():
        if value is not None and (group / name).exists():
            with suppress(OSError):
                (group / name).write_text(str(value))


def _name(scope: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]", "_", scope)


def _made(folder: Path) -> bool:
    with suppress(OSError):
        folder.mkdir(exist_ok=True)
    return os.access(folder / "cgroup.procs", os.W_OK)


def _text(path: Path | str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
