"""FILE's family: FILE and its rotations, as the folder has them, and whether they hold what was read."""

from __future__ import annotations

import os
import stat
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from typing import Final

from olympus.argos.reading import HEAD, PlainFile, agrees, open_bytes, with_head, with_samples
from olympus.argos.rotation import Entry, Part, Sample, is_rotation

_LOOKS: Final = 20

Claims = Callable[[str], bool]
"""Whether a path is a FILE of its own."""

Listing = Callable[[str], Sequence[str]]
"""The names in a folder, sorted."""


def names_in(folder: str) -> list[str]:
    """Empty where it may not be read, or is not there."""
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208 - names alone
    except OSError:
        return []


class Family:
    """Of one FILE. Blocking."""

    def __init__(self, file: str, claims: Claims, listing: Listing) -> None:
        self.folder, self._base = os.path.split(file)
        self._claims = claims
        self._listing = listing

    def path(self, name: str) -> str:
        return os.path.join(self.folder, name)  # noqa: PTH118 - thousands of them

    def there(self) -> list[Entry]:
        """What is seen at a glance."""
        return self._entries(self._listing(self.folder))

    def settled(self, parts: Iterable[Part]) -> list[Entry]:
        """As it was at one moment: files that are being renamed are seen twice, or not at all."""
        found = self.there()
        if len(found) == 1 and all(self._is_at(part, found[0]) for part in parts):
            return found
        for _ in range(_LOOKS):
            before, found = found, self._entries(names_in(self.folder))
            if [(e.name, e.inode) for e in before] == [(e.name, e.inode) for e in found]:
                break
        return found

    @staticmethod
    def _is_at(part: Part, entry: Entry) -> bool:
        return (part.device, part.inode) == (entry.device, entry.inode)

    def _entries(self, names: Sequence[str]) -> list[Entry]:
        found = []
        for index in range(bisect_left(names, self._base), len(names)):
            name = names[index]
            if not name.startswith(self._base):
                break
            entry = self._entry(name) if self._belongs(name) else None
            if entry is not None:
                found.append(entry)
        # While a file is there, what is compressed of it may not be whole yet.
        plain = {entry.name for entry in found if not entry.packed}
        return [one for one in found if not one.packed or one.name.removesuffix(".gz") not in plain]

    def _belongs(self, name: str) -> bool:
        if name == self._base or is_rotation(name, self._base):
            return True
        return is_rotation(name, self._base, loosely=True) and not self._claims(self.path(name))

    def _entry(self, name: str) -> Entry | None:
        try:
            found = os.stat(self.path(name))  # noqa: PTH116 - thousands of them
        except OSError:
            return None
        if not stat.S_ISREG(found.st_mode):
            return None
        packed = name.endswith(".gz") and name != self._base
        return Entry(name, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, packed)

    def agrees(self, entry: Entry, part: Part) -> bool:
        if not entry.packed and entry.size < part.offset:
            return False
        with suppress(OSError), closing(open_bytes(self.path(entry.name), packed=entry.packed)) as content:
            return agrees(content, part)
        return False

    def alike(self, one: Entry, other: Entry) -> bool:
        size = min(one.size, other.size)
        if one.packed or other.packed or not size:
            return False
        with suppress(OSError), closing(PlainFile(self.path(one.name))) as content:
            part = with_samples(content, Part("", 0, one.name, 0, 0, offset=size))
            # What is shorter than its head says no more than that.
            return self.agrees(other, replace(part, head=Sample()) if size < HEAD else part)
        return False

    def seen_first(self, part: Part) -> Part:
        """By its first bytes it is known again: inodes are used again."""
        with suppress(OSError), closing(open_bytes(self.path(part.name), packed=part.packed)) as content:
            found = content.status()
            # Another one may be there by now.
            return (
                with_head(content, part)
                if (found.st_dev, found.st_ino) == (part.device, part.inode)
                else part
            )
        return part
