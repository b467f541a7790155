"""Lines of files that patterns name: those that are there, those that come, and what rotation makes of them."""

from __future__ import annotations

import asyncio
import fnmatch
import glob
import logging
import os
import re
from collections import OrderedDict
from collections.abc import AsyncGenerator, Iterable, Sequence
from typing import Final

from olympus.argos.family import names_in
from olympus.argos.followed import Followed, Taken, parts_of
from olympus.argos.notices_watchdog import Notices
from olympus.argos.ports import Batch, Place
from olympus.argos.reading import PIECE, recoded
from olympus.argos.rotation import is_rotation
from olympus.kernel.clock import Clock

log = logging.getLogger("olympus.argos")

SWEEP: Final = 2.0
"""Seconds after which all is looked at, whatever was told."""

_STREAMS: Final = 40
"""Streams in a batch: each may be one key in a transaction."""

_OPEN: Final = 256
_LARGE: Final = 256 * 1024
_BEGUN: Final = "begun"


class FileSource:
    """Of one watch. at_end: files that are there when the watch begins are read from their end.

    encoding: if not UTF-8.
    """

    def __init__(  # noqa: PLR0913 - one watch's, with what it shares
        self,
        patterns: Sequence[str],
        notices: Notices,
        clock: Clock,
        *,
        at_end: bool,
        encoding: str | None = None,
        sweep: float = SWEEP,
    ) -> None:
        self._patterns = tuple(patterns)
        self._notices = notices
        self._clock = clock
        self._at_end = at_end
        self._encoding = encoding
        self._every = sweep
        self._globs = _Globs(self._patterns)
        self._followed: dict[str, Followed] = {}
        self._aliases: dict[str, str] = {}
        # Files to be read, in turn; those that were just told of.
        self._waiting: OrderedDict[str, None] = OrderedDict()
        self._opened: OrderedDict[str, None] = OrderedDict()
        self._stirred = asyncio.Event()
        self._unknown = False
        self._listed: dict[str, list[str]] = {}
        self._refused: dict[str, str] = {}
        self._much = False

    async def batches(self, kept: Sequence[Place] | None) -> AsyncGenerator[Batch, None]:
        """For ever: see `ports.Source`."""
        try:
            yield Batch(opened=tuple(self._begin(kept)))
            caught_up = False
            while True:
                batch = await self._next()
                if batch is not None:
                    yield batch
                elif not caught_up:
                    caught_up = True
                    yield Batch(caught_up=True)
                else:
                    await self._idle()
        finally:
            self._notices.leave(self._noticed)
            for one in self._followed.values():
                one.close()

    def complaints(self) -> list[str]:
        """Files that can't be read, and why."""
        return [f"{file}: {why}" for file, why in sorted(self._refused.items())]

    # --- which files ------------------------------------------------------------------------------------

    def _begin(self, kept: Sequence[Place] | None) -> list[Place]:
        """What is known of before; of patterns that are new, what is there is where they begin."""
        known: dict[str, list[Place]] = {}
        begun: set[str] = set()
        for place in kept or ():
            if place.part == _BEGUN:
                begun = set(place.more["files"])
            else:
                known.setdefault(place.stream, []).append(place)
        for file, places in known.items():
            if self._globs.name(file):
                self._follow(file, Followed(file, self._globs.name, parts_of(places), listing=self._names))
        places = []
        old = _Globs([one for one in self._patterns if one in begun])
        for file in self._globs.files():
            if file not in self._followed:
                one = Followed(file, self._globs.name, listing=self._names)
                self._follow(file, one)
                if self._at_end and not old.name(file):
                    places += one.begin_at_end(self._now())
        places.append(Place("", _BEGUN, 0, {"files": list(self._patterns)}))
        self._watch_folders()
        self._waiting = OrderedDict.fromkeys(self._followed)
        return places

    def _discover(self) -> None:
        for file in self._globs.files():
            if file not in self._followed:
                self._follow(file, Followed(file, self._globs.name, listing=self._names))
                self._waiting[file] = None

    def _follow(self, file: str, followed: Followed) -> None:
        self._followed[file] = followed
        target = os.path.realpath(file)
        if target != file:
            self._aliases[target] = file

    def _watch_folders(self) -> None:
        folders = self._globs.folders()
        for path in (*self._followed, *self._aliases):
            folders.add(os.path.dirname(path))  # noqa: PTH120 - thousands of them
        for folder in folders:
            self._notices.follow(folder, self._noticed)

    def _noticed(self, path: str) -> None:
        path = self._aliases.get(path, path)
        if path not in self._followed:
            family = self._family_of(path)
            if family is None:
                self._unknown = self._unknown or self._globs.name(path)
                if not self._unknown:
                    return
            else:
                self._followed[family].look_anew()
                self._waiting[family] = None
        else:
            self._waiting[path] = None
        self._stirred.set()

    def _family_of(self, path: str) -> str | None:
        """The FILE of which `path` is a rotation."""
        folder, name = os.path.split(path)
        for end in range(len(name) - 1, 0, -1):
            if name[end] in ".-":
                file = os.path.join(folder, name[:end])  # noqa: PTH118 - thousands of them
                if file in self._followed:
                    return file
        return None

    # --- reading ----------------------------------------------------------------------------------------

    def _now(self) -> int:
        return int(self._clock.now().timestamp() * 1_000_000) * 1000

    def _names(self, folder: str) -> list[str]:
        found = self._listed.get(folder)
        if found is None:
            found = self._listed[folder] = names_in(folder)
        return found

    async def _next(self) -> Batch | None:
        """What there is to be read now; None where there is nothing."""
        if self._unknown:
            self._unknown = False
            self._discover()
        if not self._waiting:
            return None
        wanted, self._waiting = self._waiting, OrderedDict()
        # Much is read beside the loop, a little is read more quickly than a thread is reached.
        taken = await asyncio.to_thread(self._collect, wanted) if self._much else self._collect(wanted)
        self._much = taken.size >= _LARGE
        for file in self._waiting:
            wanted[file] = None
        self._waiting = wanted
        if self._encoding is not None:
            taken.chunks = list(recoded(taken.chunks, self._encoding))
        return _batch(taken)

    def _collect(self, wanted: OrderedDict[str, None]) -> Taken:
        """Of as many files as fit; what is left of `wanted` is for the next time."""
        taken, now = Taken(), self._now()
        self._listed.clear()
        again = []
        while wanted and taken.size < PIECE and len(taken.streams) < _STREAMS:
            file, _ = wanted.popitem(last=False)
            self._touch(file)
            if self._read(file, taken, now):
                again.append(file)
        for file in again:
            wanted[file] = None
        return taken

    def _read(self, file: str, taken: Taken, now: int) -> bool:
        before = len(taken.chunks)
        try:
            more = self._followed[file].read(taken, now)
        except OSError as exc:
            if self._refused.get(file) != str(exc):
                log.warning("file_not_read", extra={"file": file, "why": str(exc)})
                self._refused[file] = str(exc)
            return False
        self._refused.pop(file, None)
        if len(taken.chunks) > before:
            taken.streams.append(file)
        return more

    def _touch(self, file: str) -> None:
        """Files are kept open while they are read often, and no more than so many."""
        self._opened[file] = None
        self._opened.move_to_end(file)
        while len(self._opened) > _OPEN:
            oldest, _ = self._opened.popitem(last=False)
            self._followed[oldest].let_go()

    async def _idle(self) -> None:
        """Until something is told, or it is time to look at all of them."""
        try:
            async with asyncio.timeout(self._every):
                await self._stirred.wait()
        except TimeoutError:
            self._sweep()
        self._stirred.clear()

    def _sweep(self) -> None:
        self._listed.clear()
        self._discover()
        self._watch_folders()
        for file, one in self._followed.items():
            if one.changed():
                self._waiting[file] = None


class _Globs:
    """Patterns as shells have them; `**` goes through folders."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self._parts = [os.path.split(os.path.normpath(one)) for one in patterns]
        self._names = [(folder, base, re.compile(fnmatch.translate(base))) for folder, base in self._parts]
        self._whole = [re.compile(_translated(os.path.join(*part))) for part in self._parts]  # noqa: PTH118

    def name(self, path: str) -> bool:
        """Whether `path` is named by a pattern, and is no rotation of a file that one names too."""
        return self._is_named(path) and not self._rotates_another(path)

    def _is_named(self, path: str) -> bool:
        if os.path.split(path)[1].startswith("."):
            return any(os.path.join(*part) == path for part in self._parts)  # noqa: PTH118
        return any(one.match(path) for one in self._whole)

    def _rotates_another(self, path: str) -> bool:
        folder, name = os.path.split(path)
        for end in range(len(name) - 1, 0, -1):
            if name[end] in ".-" and is_rotation(name, name[:end]):
                other = os.path.join(folder, name[:end])  # noqa: PTH118
                if self._is_named(other) and os.path.exists(other):  # noqa: PTH110
                    return True
        return False

    def folders(self) -> set[str]:
        return {found for folder, _ in self._parts for found in _expanded(folder)}

    def files(self) -> list[str]:
        found: dict[str, None] = {}
        for folder, base, pattern in self._names:
            for place in _expanded(folder):
                for name in self._matching(place, base, pattern):
                    path = os.path.join(place, name)  # noqa: PTH118
                    if os.path.isfile(path) and not self._rotates_another(path):  # noqa: PTH113
                        found[path] = None
        return [path for path in found if _readable_name(path)]

    @staticmethod
    def _matching(folder: str, base: str, pattern: re.Pattern[str]) -> list[str]:
        if not glob.has_magic(base):
            return [base]
        return [name for name in names_in(folder) if not name.startswith(".") and pattern.match(name)]


def _expanded(folder: str) -> list[str]:
    return glob.glob(folder, recursive=True) if glob.has_magic(folder) else [folder]  # noqa: PTH207


def _translated(pattern: str) -> str:
    """As a regular expression on whole paths: `*` stays in its folder."""
    pieces = []
    for piece in pattern.split("/"):
        text = fnmatch.translate(piece)
        pieces.append("(?:[^/]+/)*" if piece == "**" else text[4:-3].replace(".*", "[^/]*") + "/")
    return "".join(pieces).removesuffix("/") + r"\Z"


def _readable_name(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        log.warning("file_not_read", extra={"file": os.fsencode(path), "why": "its name is no UTF-8"})
        return False
    return True


def _batch(taken: Taken) -> Batch | None:
    if not (taken.chunks or taken.opened or taken.places or taken.lost or taken.closed):
        return None
    return Batch(
        chunks=tuple(taken.chunks),
        opened=tuple(taken.opened.values()),
        places=tuple(taken.places.values()),
        closed=tuple(taken.closed),
        lost=tuple(taken.lost),
        cut=taken.cut,
    )
