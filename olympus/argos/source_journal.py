"""Lines of systemd's journal, over rotation, reboot and restart: journalctl follows it, from a cursor that was kept."""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Final

from olympus.argos.journal_entries import FIELDS, LONGEST, Entry, Numbering, entry_of
from olympus.argos.ports import Batch, Lost, Place
from olympus.host.piped import Failed, Piped, answer, piped
from olympus.host.process import SpawnFailed
from olympus.kernel.clock import Clock
from olympus.kernel.errors import RetryLater, Stalled
from olympus.kernel.ids import new_id

_WHOLE: Final = "whole"
_STREAMS: Final = 200
_MARKS: Final = 32
_APART: Final = 0.5
_LARGE: Final = 64 * 1024
_FOLDERS: Final = ("/var/log/journal", "/run/log/journal")


@dataclass(frozen=True, slots=True)
class _Mark:
    """An entry that was read, and the number of the line behind it. time: its, in microseconds.

    cursor: None before the first entry of all. read: it is of the selection, and is found again if it is still there
    """

    position: int = 0
    cursor: str | None = None
    time: int = 0
    read: bool = False


class JournalSource:
    """Of one watch.

    units: as `journalctl --unit` takes them; none: all that is in it. at_end: what was there before is not read
    """

    def __init__(self, units: Sequence[str], clock: Clock, *, at_end: bool) -> None:
        self._units = tuple(units)
        self._clock = clock
        self._at_end = at_end
        self._numbering = Numbering(new_id())
        self._streams: OrderedDict[str, None] = OrderedDict()
        self._marks: list[_Mark] = []
        self._marked = -math.inf
        self._said = ""

    def complaints(self) -> list[str]:
        """What journalctl says of what it can't read."""
        return [self._said] if self._said else []

    async def batches(self, kept: Sequence[Place] | None) -> AsyncGenerator[Batch, None]:
        """For ever: see `ports.Source`."""
        try:
            machine = await asyncio.to_thread(_machine)
            selection = [*await self._names(), *machine]
            newest = await _newest(selection)
            start = self._resumed(kept) if kept else await self._begun(machine)
            self._marks.append(start)
            yield Batch(opened=(self._place(),))
            async with piped(_following(start, selection)) as program:
                async for batch in self._read(program, start, newest):
                    self._said = program.said.strip()
                    yield batch
                code = await program.ended()
                raise RetryLater(
                    f"journalctl ended with {code}: {program.said.strip() or 'it did not say why'}"
                )
        except SpawnFailed as exc:
            raise Stalled(f"{exc}: install systemd's journalctl, or watch files instead") from exc
        except Failed as exc:
            raise RetryLater(str(exc)) from exc

    # --- where to begin -----------------------------------------------------------------------------------

    async def _names(self) -> list[str]:
        """Units under all names that systemd has for them: what is logged bears the one that is no alias."""
        names = dict.fromkeys(self._units)
        for name in self._units:
            with suppress(SpawnFailed, Failed):
                shown = await answer(["systemctl", "show", "--property=Id", "--value", "--", name])
                names |= dict.fromkeys(shown.decode(errors="replace").split())
        return [f"--unit={name}" for name in names]

    async def _begun(self, machine: Sequence[str]) -> _Mark:
        last = await _newest(machine)
        if last is None and not await asyncio.to_thread(_is_there):
            raise Stalled(
                f"there is no journal in {' or '.join(_FOLDERS)} that may be read by who runs Olympus: "
                "is systemd-journald running, and is that user in the group systemd-journal?"
            )
        # Nothing of the selection may be there yet: it begins behind whatever is there.
        return _Mark(0, last.cursor, last.time) if last and self._at_end else _Mark()

    def _resumed(self, kept: Sequence[Place]) -> _Mark:
        """The latest mark before all that is to be read again: records that were not whole yet."""
        whole = next(one for one in kept if one.part == _WHOLE)
        streams = [one for one in kept if one.part != _WHOLE]
        self._streams = OrderedDict.fromkeys(one.stream for one in streams)
        back = {one.stream: one.offset for one in streams if one.offset < int(one.more["end"])}
        marks = [_Mark(*one) for one in whole.more["marks"]]
        needed = min((whole.offset, *back.values()))
        earlier = [one for one in marks if one.position <= needed] or marks[:1]
        self._marks = earlier[:-1]
        self._numbering = Numbering(str(whole.more["part"]), earlier[-1].position, back, whole.offset)
        return earlier[-1]

    # --- reading ------------------------------------------------------------------------------------------

    async def _read(self, program: Piped, start: _Mark, newest: Entry | None) -> AsyncGenerator[Batch, None]:
        """Until it ends."""
        awaited = start.cursor if start.read else None
        caught_up = newest is None or newest.time <= start.time
        if caught_up:
            yield Batch(caught_up=True)
        lines = _Lines()
        while text := await program.read():
            data = lines.whole(text)
            entries = await asyncio.to_thread(_entries, data) if len(data) > _LARGE else _entries(data)
            lost = [Lost("journal", lines.lost, "an entry is longer than may be read")] if lines.lost else []
            closed: tuple[tuple[str, str], ...] = ()
            if awaited is not None and entries:
                if entries[0].cursor == awaited:
                    del entries[0]
                else:
                    lost.append(Lost("journal", 0, "the journal was vacuumed before it was read to its end"))
                    closed = self._anew()
                awaited = None
            if entries or lost:
                yield self._batch(entries, lost, closed)
            if not caught_up and newest is not None and entries and entries[-1].time >= newest.time:
                caught_up = True
                yield Batch(caught_up=True)

    def _anew(self) -> tuple[tuple[str, str], ...]:
        """Numbers that were told must not hide other lines."""
        closed = tuple((stream, self._numbering.part) for stream in self._streams)
        self._streams.clear()
        self._marks.clear()
        self._numbering = Numbering(new_id())
        return closed

    def _batch(
        self, entries: Sequence[Entry], lost: Sequence[Lost], closed: tuple[tuple[str, str], ...]
    ) -> Batch:
        part = self._numbering.part
        chunks = tuple(self._numbering.chunks(entries))
        ends = {chunk.stream: chunk.offset + len(chunk.text) for chunk in chunks}
        for stream in ends:
            self._streams[stream] = None
            self._streams.move_to_end(stream)
        while len(self._streams) > max(_STREAMS, len(ends)):
            closed += ((self._streams.popitem(last=False)[0], part),)
        places = [Place(stream, part, end, {"end": end}) for stream, end in ends.items()]
        if entries:
            self._mark(_Mark(self._numbering.position, entries[-1].cursor, entries[-1].time, read=True))
            places.append(self._place())
        cut = sum(one.cut for one in entries)
        return Batch(chunks=chunks, places=tuple(places), closed=closed, lost=tuple(lost), cut=cut)

    def _mark(self, mark: _Mark) -> None:
        """Some back are kept, a while apart, for records that are not whole yet."""
        now = self._clock.monotonic()
        if now - self._marked < _APART and self._marks:
            self._marks.pop()
        else:
            self._marked = now
        self._marks.append(mark)
        del self._marks[:-_MARKS]

    def _place(self) -> Place:
        marks = [astuple(one) for one in self._marks]
        return Place("", _WHOLE, self._numbering.position, {"part": self._numbering.part, "marks": marks})


class _Lines:
    """Pieces of output into whole lines. lost: bytes of a line that was too long, at the last piece."""

    def __init__(self) -> None:
        self._rest: list[bytes] = []
        self._size = 0
        self._skipping = False
        self.lost = 0

    def whole(self, text: bytes) -> bytes:
        self.lost = 0
        if self._skipping:
            end = text.find(b"\n") + 1
            if not end:
                return b""
            self._skipping, text = False, text[end:]
        end = text.rfind(b"\n") + 1
        data = b""
        if end:
            data = b"".join((*self._rest, text[:end]))
            self._rest, self._size = [], 0
        self._rest.append(text[end:])
        self._size += len(text) - end
        if self._size > LONGEST:
            self.lost, self._skipping = self._size, True
            self._rest, self._size = [], 0
        return data


async def _newest(selection: Sequence[str]) -> Entry | None:
    return entry_of(await answer([*_journalctl(), "--lines=1", "--no-pager", *selection]))


def _following(start: _Mark, selection: Sequence[str]) -> list[str]:
    words = [*_journalctl(), "--follow", "--no-tail", *selection]
    if start.cursor is not None:
        words.append(f"--cursor={start.cursor}" if start.read else f"--after-cursor={start.cursor}")
    return words


def _journalctl() -> list[str]:
    # Without --merge, one that follows shows nothing of earlier boots; without --all, nothing of long messages.
    return [
        "journalctl",
        "--merge",
        "--all",
        "--quiet",
        "--output=json",
        f"--output-fields={','.join(FIELDS)}",
    ]


def _entries(data: bytes) -> list[Entry]:
    return [entry for line in data.splitlines() if (entry := entry_of(line)) is not None]


def _machine() -> list[str]:
    """So that journals that were gathered here from other hosts are not taken for this one's."""
    with suppress(OSError):
        return [f"_MACHINE_ID={Path('/etc/machine-id').read_text(encoding='ascii').strip()}"]
    return []


def _is_there() -> bool:
    return any(next(Path(folder).glob("*/*.journal"), None) for folder in _FOLDERS)
