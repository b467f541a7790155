"""Lines that a service of Olympus's writes: what the steward keeps of its output, over rotations and new starts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from olympus.argos.notices_watchdog import Notices
from olympus.argos.ports import Batch, Chunk, Lost, Place
from olympus.argos.reading import Reader, line_start
from olympus.argos.rotation import Part
from olympus.host.service_output import Output, Segment

SWEEP: Final = 2.0
_PIECE: Final = 256 * 1024


class ServiceSource:
    """Of one watch. folder: the service's. at_end: what was there before the watch began is not read.

    Its parts are the generations of the output (`host.service_output`).
    """

    def __init__(self, service: str, folder: Path, notices: Notices, *, at_end: bool) -> None:
        self._stream = f"service/{service}"
        self._folder = folder
        self._output = Output(folder)
        self._notices = notices
        self._at_end = at_end
        self._part: Part | None = None
        self._stirred = asyncio.Event()

    def complaints(self) -> list[str]:
        return []

    async def batches(self, kept: Sequence[Place] | None) -> AsyncGenerator[Batch, None]:
        """For ever: see `ports.Source`."""
        try:
            yield Batch(opened=self._begin(kept))
            caught_up = False
            while True:
                self._stirred.clear()
                batch = self._next()
                if batch is not None:
                    yield batch
                elif not caught_up:
                    caught_up = True
                    yield Batch(caught_up=True)
                else:
                    await self._idle()
        finally:
            self._notices.leave(self._noticed)

    def _begin(self, kept: Sequence[Place] | None) -> tuple[Place, ...]:
        if kept:
            place = kept[-1]
            self._part = _part(place.part, place.offset, cutting=bool(place.more["cutting"]))
        elif kept is None and self._at_end and (segments := self._output.segments()):
            last = segments[-1]
            written = _Written(segments, last.generation)
            self._part = _part(last.generation, line_start(written, last.end))
        return () if self._part is None else (self._place(self._part),)

    async def _idle(self) -> None:
        self._notices.follow(str(self._folder), self._noticed)
        with suppress(TimeoutError):
            async with asyncio.timeout(SWEEP):
                await self._stirred.wait()

    def _noticed(self, path: str) -> None:
        del path
        self._stirred.set()

    # --- reading ----------------------------------------------------------------------------------------

    def _next(self) -> Batch | None:
        """None where nothing more is there. Nobody rotates meanwhile: that is done in this thread too."""
        segments = self._output.segments()
        if not segments:
            return None
        part, lost = self._found(segments)
        content = _Written(segments, part.id)
        ended = segments[-1].generation != part.id
        chunks, read, cut = Reader(self._stream, content).read(part, ends=ended, size=_PIECE)
        closed: list[tuple[str, str]] = []
        if self._part is not None and self._part.id != part.id:
            closed.append((self._stream, self._part.id))
        if ended and read.offset >= content.end:
            closed.append((self._stream, part.id))
            chunks.append(Chunk(self._stream, part.id, read.offset, b"", ends=True))
            read = _part(segments[content.last + 1].generation, 0)
        if read == self._part and not lost:
            return None
        self._part = read
        return Batch(
            chunks=tuple(chunks), places=(self._place(read),), closed=tuple(closed), lost=tuple(lost), cut=cut
        )

    def _found(self, segments: Sequence[Segment]) -> tuple[Part, list[Lost]]:
        """Where to go on, and what is not there any more."""
        first = segments[0]
        if self._part is None:
            return _part(first.generation, first.begin), []
        mine = [one for one in segments if one.generation == self._part.id]
        if not mine:
            gone = Lost(self._stream, 0, "it was rotated away before it was read")
            return _part(first.generation, first.begin), [gone]
        if self._part.offset < mine[0].begin:
            size = mine[0].begin - self._part.offset
            gone = Lost(self._stream, size, "it was rotated away before it was read")
            return _part(self._part.id, mine[0].begin), [gone]
        return self._part, []

    def _place(self, part: Part) -> Place:
        return Place(self._stream, part.id, part.offset, {"cutting": part.cutting})


def _part(generation: str, offset: int, *, cutting: bool = False) -> Part:
    return Part(generation, order=0, name="", device=0, inode=0, offset=offset, cutting=cutting)


class _Written:
    """A generation, as one file. end: how much of it was written. last: of the segments, its last."""

    def __init__(self, segments: Sequence[Segment], generation: str) -> None:
        self._segments = [one for one in segments if one.generation == generation]
        self.last = segments.index(self._segments[-1])
        self.end = self._segments[-1].end

    def read(self, offset: int, size: int) -> bytes:
        """Nothing of what is not there any more."""
        pieces = []
        for one in self._segments:
            if one.begin <= offset < one.end and size > 0:
                with one.path.open("rb") as file:
                    file.seek(one.at + offset - one.begin)
                    pieces.append(file.read(min(size, one.end - offset)))
                offset += len(pieces[-1])
                size -= len(pieces[-1])
        return b"".join(pieces)

    def close(self) -> None:
        """Nothing is kept open."""
