"""One FILE with the parts that rotation made of it, read in order. Blocking, and not for two threads at once."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from olympus.argos.family import Claims, Family, Listing, names_in
from olympus.argos.ports import Chunk, Lost, Place
from olympus.argos.reading import (
    PIECE,
    PackedFile,
    PlainFile,
    Reader,
    agrees,
    line_start,
    open_bytes,
    with_head,
    with_samples,
)
from olympus.argos.rotation import Entry, Found, Part, Sample, sort_out
from olympus.kernel.ids import new_id

log = logging.getLogger("olympus.argos")

QUIET: Final = 30 * 1_000_000_000
"""Nanoseconds after which nothing more is expected of a file that was rotated."""

_OLD: Final = 24 * 3600 * 1_000_000_000
_REMEMBERED: Final = 8


@dataclass(slots=True)
class Taken:
    """What was read for the next batch."""

    chunks: list[Chunk] = field(default_factory=list)
    opened: dict[tuple[str, str], Place] = field(default_factory=dict)
    places: dict[tuple[str, str], Place] = field(default_factory=dict)
    closed: set[tuple[str, str]] = field(default_factory=set)
    lost: list[Lost] = field(default_factory=list)
    cut: int = 0
    size: int = 0
    streams: list[str] = field(default_factory=list)


class Followed:
    """`parts` are those that are known of an earlier time."""

    def __init__(
        self, file: str, claims: Claims, parts: Iterable[Part] = (), *, listing: Listing = names_in
    ) -> None:
        self.file = file
        self._base = os.path.basename(file)  # noqa: PTH119 - thousands of them
        self._family = Family(file, claims, listing)
        self._parts: list[Part] = sorted(parts, key=lambda part: part.order)
        self._open: dict[str, PlainFile | PackedFile] = {}
        # Parts that are at no path any more, or in a copy: what is there now is all of them.
        self._final: set[str] = set()
        self._seen: tuple[int, ...] = ()
        self._sorted = False
        self._restored = bool(self._parts)

    @property
    def is_open(self) -> bool:
        return bool(self._open)

    @property
    def unfinished(self) -> bool:
        """Whether it has to be looked at though nothing is heard of it."""
        return any(part.past and not part.over for part in self._parts)

    def look_anew(self) -> None:
        """Something happened to its rotations."""
        self._sorted = False

    def changed(self) -> bool:
        """Whether it has to be read: the file at its path is another one, or of another size, than was seen last."""
        return not self._sorted or self.unfinished or self._look() != self._seen

    def begin_at_end(self, now: int) -> list[Place]:
        """The watch begins: what is there was read, so to speak."""
        for entry in self._family.there():
            current = entry.name == self._base
            if (not current and (entry.packed or entry.modified < now - _OLD)) or self._known(entry):
                continue
            try:
                content = PlainFile(self._family.path(entry.name))
            except OSError as exc:
                log.warning("file_not_read", extra={"file": self._family.path(entry.name), "why": str(exc)})
                continue
            try:
                end = line_start(content, entry.size) if current else entry.size
                part = replace(self._new(entry, past=not current, offset=end), over=not current)
                self._parts.append(with_samples(content, part))
            finally:
                content.close()
        self._parts.sort(key=lambda part: not part.past)
        self._parts = [replace(part, order=order) for order, part in enumerate(self._parts)]
        return [self._place(part) for part in self._parts]

    def read(self, taken: Taken, now: int, size: int = PIECE) -> bool:
        """Read on into `taken`; whether there is more. Raises OSError where the file may not be read."""
        look = self._look()
        if not self._sorted or (look != self._seen and not self._continues(look)):
            self._sort(taken, now)
        self._seen = look
        for part in list(self._parts):
            if not (part.over or part.copy) and self._read_part(part, taken, now, size):
                return True
        return False

    def let_go(self) -> None:
        """Close what can be opened again: what was renamed or removed stays open until it is read."""
        for part in self._parts:
            if not part.past and part.id in self._open:
                self._open.pop(part.id).close()

    def close(self) -> None:
        for content in self._open.values():
            content.close()
        self._open.clear()

    # --- what there is ----------------------------------------------------------------------------------

    def _look(self) -> tuple[int, ...]:
        try:
            found = os.stat(self.file)  # noqa: PTH116 - thousands of them
        except OSError:
            return ()
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns

    def _current(self) -> Part | None:
        last = next((part for part in reversed(self._parts) if not part.copy), None)
        return None if last is None or last.past else last

    def _continues(self, look: tuple[int, ...]) -> bool:
        """Whether what is at the path is what is being read there, and was not emptied meanwhile."""
        part = self._current()
        if part is None or not look or (part.device, part.inode) != look[:2] or look[2] < part.size:
            return False
        if part.head.size == 0:
            # It may have been written and emptied before.
            return False
        content = self._content(part)
        return content is not None and agrees(content, part)

    def _known(self, entry: Entry) -> bool:
        return any((part.device, part.inode) == (entry.device, entry.inode) for part in self._parts)

    # --- rotation ---------------------------------------------------------------------------------------

    def _sort(self, taken: Taken, now: int) -> None:
        entries = self._family.settled(self._parts)
        self._see_held(entries)
        found = sort_out(
            self._base, self._parts, entries, self._family.agrees, self._family.alike, held=set(self._open)
        )
        before = {part.id: part for part in self._parts}
        self._parts = list(found.parts)
        self._take_rests(found, taken)
        self._give_up(found, before, taken)
        self._take_fresh(found)
        for entry in found.copies:
            self._parts.append(
                self._family.seen_first(replace(self._new(entry, past=True), copy=True, over=True))
            )
        if found.begins is not None:
            self._parts = [replace(part, past=True) for part in self._parts]
            self._parts.append(self._family.seen_first(self._new(found.begins, past=False)))
        there = {(entry.device, entry.inode) for entry in entries}
        for part in self._parts:
            if part.over and not part.copy and part.inode and part.size > part.offset:
                # Somebody still writes to what nothing was expected of.
                self._put(replace(part, over=False))
            elif part.id in self._open and part.inode and (part.device, part.inode) not in there:
                self._final.add(part.id)
        self._forget(there, taken)
        changed = [part for part in self._parts if before.get(part.id) != part]
        taken.opened |= {(self.file, part.id): self._place(part) for part in changed}
        self._sorted, self._restored = True, False

    def _take_fresh(self, found: Found) -> None:
        parts = []
        for entry in found.fresh:
            part = self._family.seen_first(self._new(entry, past=True))
            # Nothing comes to what is compressed.
            empty = part.packed and part.head.size == 0
            parts.append(replace(part, over=True, size=0) if empty else part)
        if not parts:
            return
        ids = [part.id for part in self._parts]
        index = len(ids) if found.ahead_of is None else ids.index(found.ahead_of.id)
        before, behind = self._parts[:index], [*parts, *self._parts[index:]]
        first = before[-1].order + 1 if before else 0
        self._parts = [*before, *(replace(part, order=first + n) for n, part in enumerate(behind))]

    def _see_held(self, entries: Sequence[Entry]) -> None:
        """What is open, and at FILE's path no more, is compared as it is now."""
        current = next(((entry.device, entry.inode) for entry in entries if entry.name == self._base), None)
        for part in self._parts:
            content = self._open.get(part.id)
            if content is not None and (part.device, part.inode) != current:
                self._put(with_head(content, part))

    def _take_rests(self, found: Found, taken: Taken) -> None:
        for part, entry in found.rest:
            self._shut(part)
            self._parts = [one for one in self._parts if not (one.copy and one.inode == entry.inode)]
            moved = replace(part, name=entry.name, device=entry.device, inode=entry.inode)
            moved = replace(moved, packed=entry.packed, past=True)
            try:
                self._open[part.id] = open_bytes(self._family.path(entry.name), packed=entry.packed)
            except OSError as exc:
                moved = replace(moved, over=True)
                self._lose(
                    taken, part.size - part.offset, f"{self._family.path(entry.name)} can't be read: {exc}"
                )
            self._put(moved)
            self._final.add(part.id)

    def _give_up(self, found: Found, before: Mapping[str, Part], taken: Taken) -> None:
        saved = {part.id for part, _ in found.rest}
        for part in (*found.truncated, *found.gone):
            if part.id in saved:
                continue
            self._shut(part)
            self._put(replace(part, device=0, inode=0, past=True, over=True))
            began = found.begins is not None and found.begins.inode == part.inode
            if part.offset == 0 and (found.fresh or began):
                # It is one of those.
                continue
            missing = before[part.id].size - part.offset
            if part in found.truncated:
                if missing > 0:
                    self._lose(taken, missing, "it was emptied before all of it was read")
            elif missing > 0 or (self._restored and not before[part.id].past):
                self._lose(taken, missing, "a rotated part of it went before all of it was known to be read")

    def _lose(self, taken: Taken, size: int, reason: str) -> None:
        log.warning("lines_lost", extra={"file": self.file, "bytes": size, "why": reason})
        taken.lost.append(Lost(self.file, max(0, size), reason))

    def _forget(self, there: Collection[tuple[int, int]], taken: Taken) -> None:
        """Copies that went; and of the parts that went, all but the last few, by which copies are known."""
        went = [part for part in self._parts if part.over and (part.device, part.inode) not in there]
        kept = [part for part in went if not part.copy][-_REMEMBERED:]
        for part in went:
            if part not in kept:
                self._parts.remove(part)
                taken.closed.add((self.file, part.id))
                taken.places.pop((self.file, part.id), None)

    # --- parts ------------------------------------------------------------------------------------------

    def _new(self, entry: Entry, *, past: bool, offset: int = 0) -> Part:
        order = self._next_order()
        place = (entry.name, entry.device, entry.inode, offset, entry.size)
        return Part(new_id(), order, *place, modified=entry.modified, packed=entry.packed, past=past)

    def _next_order(self) -> int:
        return max((part.order for part in self._parts), default=-1) + 1

    def _put(self, part: Part) -> None:
        self._parts = [part if one.id == part.id else one for one in self._parts]

    def _shut(self, part: Part) -> None:
        content = self._open.pop(part.id, None)
        if content is not None:
            content.close()

    def _place(self, part: Part) -> Place:
        more = {key: value for key, value in asdict(part).items() if key not in ("id", "offset")}
        return Place(self.file, part.id, part.offset, more)

    def _content(self, part: Part) -> PlainFile | PackedFile | None:
        """Open; None where another file is at its path by now."""
        content = self._open.get(part.id)
        if content is not None:
            return content
        try:
            content = open_bytes(self._family.path(part.name), packed=part.packed)
        except FileNotFoundError:
            return None
        status = content.status()
        if (status.st_dev, status.st_ino) != (part.device, part.inode) or not agrees(content, part):
            content.close()
            return None
        self._open[part.id] = content
        return content

    def _read_part(self, part: Part, taken: Taken, now: int, size: int) -> bool:
        """Whether there is more: in it, or, since another file is at its path, elsewhere."""
        content = self._content(part)
        if content is None:
            # Rotated between looking and opening.
            self._sorted = False
            return True
        status = content.status()
        ends = part.packed or part.id in self._final
        known_size = None
        if isinstance(content, PlainFile):
            known_size = status.st_size
            ends = ends or (part.past and now - status.st_mtime_ns > QUIET)
            # A file that was emptied under its writer begins with a hole.
            offset = content.first_data(0) if part.offset == 0 else part.offset
            part = replace(part, offset=offset, size=max(offset, known_size))
            if offset >= known_size and not ends:
                self._put(part)
                return False
        known = with_head(content, part)
        if known.head != part.head:
            # Kept before anything of it is told: it is known again, wherever it is then.
            part = known
            taken.opened[self.file, part.id] = self._place(part)
        chunks, read, cut = Reader(self.file, content).read(part, ends=ends, size=size)
        moved = read.offset > part.offset
        size_seen = read.offset if part.packed else max(read.size, read.offset)
        read = replace(read, modified=status.st_mtime_ns, size=size_seen)
        if ends and not moved:
            read = replace(read, over=True)
            self._shut(part)
            self._final.discard(part.id)
            self._mark_end(taken, part.id)
        self._put(read)
        taken.chunks += chunks
        taken.cut += cut
        taken.size += read.offset - part.offset
        taken.places[self.file, part.id] = self._place(read)
        return moved and (ends or known_size is None or read.offset < known_size)

    def _mark_end(self, taken: Taken, part: str) -> None:
        if taken.chunks and taken.chunks[-1].part == part:
            taken.chunks[-1] = replace(taken.chunks[-1], ends=True)


def part_of(place: Place) -> Part:
    """What `places` made of it. Raises TypeError, KeyError."""
    more: dict[str, Any] = dict(place.more)
    more["head"], more["tail"] = Sample(**more["head"]), Sample(**more["tail"])
    return Part(id=place.part, offset=place.offset, **more)


def parts_of(places: Sequence[Place]) -> list[Part]:
    """Those that can be read; the others are of another version, and begin anew."""
    found = []
    for place in places:
        try:
            found.append(part_of(place))
        except (TypeError, KeyError) as exc:
            log.warning("place_not_read", extra={"stream": place.stream, "why": str(exc)})
    return found
