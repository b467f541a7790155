"""Which files hold what of FILE's lines, after a rotation of whatever kind: decided from what is seen. Pure.

FILE's lines lie in parts: files that were at its path one after the other. A part is known again by its device and
inode, if its content agrees, and otherwise by its content: so renaming, copying and truncating, and compressing are
all understood, also several at once, and an inode that was used again fools nobody.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

SLACK: Final = 50_000_000
"""Nanoseconds: file systems tell times by a clock that is a little behind."""

_ROTATED: Final = re.compile(r"[.-](\d[\dTZ_.:-]*|old|bak|prev)(\.gz)?")
_NUMBER: Final = re.compile(r"\.(\d{1,4})(\.gz)?")


@dataclass(frozen=True, slots=True)
class Sample:
    """Some bytes of a file by their digest: what they were has not to be kept."""

    size: int = 0
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """A file of the stream, as far as it was read.

    order:   parts are read in this order
    name:    the path at which it was seen last
    device, inode: 0 where no file is the part any more
    offset:  what is before was read; `cutting`: the rest of a line that was too long comes first
    size:    as it was seen last
    head, tail: of its first bytes, be they read or not; of the last ones before `offset`
    modified: when what was seen of it was written, in nanoseconds since 1970
    packed:  its file is compressed
    past:    another part has followed it. over: and nothing more is expected of it
    copy:    of what is read elsewhere: it is never read
    """

    id: str
    order: int
    name: str
    device: int
    inode: int
    offset: int = 0
    size: int = 0
    cutting: bool = False
    head: Sample = Sample()
    tail: Sample = Sample()
    modified: int = 0
    packed: bool = False
    past: bool = False
    over: bool = False
    copy: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of the family, as the directory has it. packed: compressed."""

    name: str
    device: int
    inode: int
    size: int
    modified: int
    packed: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """What is where.

    parts:     all that stay known, in order
    rest:      (part, entry): what is not read of the part lies in a copy of it, or is compressed there
    fresh:     files that were at FILE's path while nobody looked, oldest first, each of them new
    ahead_of:  the part that follows on these; None: they are the last ones
    begins:    what is at FILE's path now is new
    truncated: parts whose file was emptied: their file is another part now
    gone:      parts that nobody can read any more, unless they are held open
    copies:    files that need not be read
    """

    parts: tuple[Part, ...]
    rest: tuple[tuple[Part, Entry], ...] = ()
    fresh: tuple[Entry, ...] = ()
    ahead_of: Part | None = None
    begins: Entry | None = None
    truncated: tuple[Part, ...] = ()
    gone: tuple[Part, ...] = ()
    copies: tuple[Entry, ...] = ()


Agrees = Callable[[Entry, Part], bool]
"""Whether the entry holds what was read of the part: its head, its tail, and not less."""


def is_rotation(name: str, of: str, *, loosely: bool = False) -> bool:
    """Whether the file `name` is called like a rotation of `of`. loosely: whatever follows a '.' or '-'."""
    if not name.startswith(of) or name == of:
        return False
    tail = name[len(of) :]
    return tail[0] in ".-" if loosely else _ROTATED.fullmatch(tail) is not None


Alike = Callable[[Entry, Entry], bool]
"""Whether the shorter one of them holds what the other one begins with."""


def sort_out(  # noqa: PLR0913 - what is known, what is there, and two ways to compare
    file: str,
    parts: Sequence[Part],
    entries: Sequence[Entry],
    agrees: Agrees,
    alike: Alike,
    *,
    held: Collection[str],
) -> Found:
    """What became of FILE's parts. held: ids of parts that are open: no other file can have their inode."""
    work = _Sorting(file, parts, entries, agrees, alike, held)
    work.by_inode()
    work.by_content()
    return work.found()


@dataclass(slots=True)
class _Sorting:
    file: str
    parts: Sequence[Part]
    entries: Sequence[Entry]
    agrees: Agrees
    alike: Alike
    held: Collection[str]
    where: dict[str, Entry] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    truncated: list[Part] = field(default_factory=list)
    rest: list[tuple[Part, Entry]] = field(default_factory=list)
    gone: list[Part] = field(default_factory=list)

    def by_inode(self) -> None:
        by_inode: dict[tuple[int, int], Entry] = {}
        for entry in self.entries:
            if (entry.device, entry.inode) not in by_inode or entry.name == self.file:
                by_inode[entry.device, entry.inode] = entry
        for part in self.parts:
            its = by_inode.get((part.device, part.inode)) if part.inode else None
            if its is None or (self._is_blank(part) and not _is_as_it_was(its, part)):
                continue
            if self.agrees(its, part):
                self.where[part.id] = its
                self.taken.add(its.name)
            elif part.id in self.held or (its.name == part.name and not part.past):
                self.truncated.append(part)

    def _is_blank(self, part: Part) -> bool:
        """Whether it can't be known again: nothing of it was seen, and another file may have its inode by now."""
        return part.head.size == 0 and part.id not in self.held

    def by_content(self) -> None:
        """Where the rest is of parts that are in no file of their own any more."""
        for part in self.parts:
            lost = part in self.truncated or (part.id not in self.where and part.id not in self.held)
            if not lost or part.over or part.copy:
                continue
            entry = next((one for one in self._others() if self._holds(one, part)), None)
            if entry is not None:
                self.rest.append((part, entry))
                self.taken.add(entry.name)
            elif part not in self.truncated:
                self.gone.append(part)

    def _others(self) -> list[Entry]:
        """Files that no part is known to be, and copies."""
        copies = {self.where[part.id].name for part in self.parts if part.copy and part.id in self.where}
        return [
            one
            for one in self.entries
            if one.name != self.file and (one.name not in self.taken or one.name in copies)
        ]

    def _holds(self, entry: Entry, part: Part) -> bool:
        # Whoever copies or compresses a file leaves its time as it is, to the second, or makes it newer.
        return (
            entry.modified >= part.modified - 1_000_000_000
            and part.head.size > 0
            and self.agrees(entry, part)
        )

    def found(self) -> Found:
        current = next((one for one in self.entries if one.name == self.file), None)
        emptied = {part.id for part in self.truncated}
        begins = current if current is not None and current.name not in self.taken else None
        candidates = self._candidates()
        unseen = begins is not None or self._first_unseen() is not None
        copies = tuple(one for one in candidates if self._is_copy(one, current if unseen else None))
        fresh = self._fresh([one for one in candidates if one not in copies], current)
        parts = [self._placed(part, emptied) for part in self.parts]
        return Found(
            tuple(parts),
            tuple(self.rest),
            fresh,
            self._first_unseen(),
            begins,
            tuple(self.truncated),
            tuple(self.gone),
            copies,
        )

    def _candidates(self) -> list[Entry]:
        """Files that may be new, or copies."""
        known = {(one.device, one.inode) for one in self.where.values()}
        return [
            one
            for one in self.entries
            if one.name != self.file and one.name not in self.taken and (one.device, one.inode) not in known
        ]

    def _is_copy(self, entry: Entry, current: Entry | None) -> bool:
        if current is not None and self.alike(entry, current):
            # Copied just now, and not emptied yet.
            return True
        return any(self._holds(entry, part) for part in self.parts)

    def _fresh(self, candidates: Sequence[Entry], current: Entry | None) -> tuple[Entry, ...]:
        """Those that came after the latest part that is known, oldest first."""
        parts = [part for part in self.parts if not part.copy]
        unread = self._first_unseen()
        known = parts if unread is None else parts[: parts.index(unread)]
        if not parts:
            return ()
        latest = known[-1] if known else parts[0]
        rests = {part.id: entry for part, entry in self.rest}
        place = (self.where.get(latest.id) or rests.get(latest.id)) if known else None
        if place is not None and place is current:
            # It was not rotated, so nothing can lie between.
            return ()
        later = [one for one in candidates if _follows(one, place, self.file, latest.modified - SLACK)]
        numbers = [_number(one, self.file) for one in later]
        if all(number is not None for number in numbers):
            return tuple(sorted(later, key=lambda one: -(_number(one, self.file) or 0)))
        if all(number is None for number in numbers):
            return tuple(sorted(later, key=lambda one: one.name))
        return tuple(sorted(later, key=lambda one: one.modified))

    def _first_unseen(self) -> Part | None:
        """It was there, and which of the files it is now can't be told."""
        return next((part for part in self.parts if self._is_unseen(part)), None)

    def _is_unseen(self, part: Part) -> bool:
        if part.copy or part.over or part.head.size:
            return False
        entry = self.where.get(part.id)
        return entry is None or entry.name == self.file

    def _placed(self, part: Part, emptied: Collection[str]) -> Part:
        entry = self.where.get(part.id)
        if entry is None:
            if part.id in self.held and part.id not in emptied:
                return replace(part, past=True)
            return replace(part, past=True, device=0, inode=0)
        # A part that is read on at another path was rotated.
        past = part.past or entry.name != self.file
        size = part.size if entry.packed else max(entry.size, part.offset)
        return replace(part, name=entry.name, packed=entry.packed, size=size, past=past)


def _is_as_it_was(entry: Entry, part: Part) -> bool:
    """An empty one, of which nothing more was expected."""
    return part.over and (entry.modified, entry.packed) == (part.modified, part.packed)


def _number(entry: Entry, file: str) -> int | None:
    found = _NUMBER.fullmatch(entry.name[len(file) :])
    return None if found is None else int(found[1])


def _follows(entry: Entry, place: Entry | None, file: str, since: int) -> bool:
    """Whether `entry` was rotated after `place` was: by their names, or where these don't say, by their times."""
    if place is not None and place.name != file:
        mine, other = _number(entry, file), _number(place, file)
        if mine is not None and other is not None:
            return mine < other
        if mine is None and other is None:
            return entry.name.removesuffix(".gz") > place.name.removesuffix(".gz")
    return entry.modified >= since
