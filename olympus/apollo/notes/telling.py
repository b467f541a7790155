"""`olympus.apollo.note-changed`: once for each change that comes to main, also by a push, also over a restart.

How far was told lies in Hermes, and moves in the transaction of the events. A large push is told in parts.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from olympus.apollo.notes.model import Changed
from olympus.apollo.notes.notes import Notes
from olympus.apollo.notes.paths import SUFFIX, is_note
from olympus.apollo.notes.service import Knowledge
from olympus.hermes import keys
from olympus.hermes.bus import Bus
from olympus.hermes.kv import Cas, Kv, TransactionConflict
from olympus.kernel.clock import Clock
from olympus.kernel.errors import OlympusError, RetryLater
from olympus.kernel.events import Event
from olympus.kernel.ids import new_id
from olympus.records.document import Document
from olympus.spec.event_data import NOTE_CHANGED

log = logging.getLogger("olympus.apollo")

CAUSE: Final = "Olympus-Cause"
DEPTH: Final = "Olympus-Depth"
APPENDED: Final = "Olympus-Appended"
LOOK_SECONDS: Final = 0.5
_BATCH: Final = 30
_MAX_DIFF: Final = 8000
_MANY: Final = 300
"""Changes of which none is shown with its diff."""


class Told(Document):
    """`notes/told`. revision: main up to which all is told; toward: up to which it is being told, `done` of it is."""

    revision: str = ""
    toward: str = ""
    done: int = 0


class Telling:
    """Looks at main when it was stirred, and now and then: a push to the path tells nobody."""

    def __init__(self, knowledge: Knowledge, kv: Kv, bus: Bus, clock: Clock) -> None:
        self._knowledge = knowledge
        self._kv = kv
        self._bus = bus
        self._clock = clock
        # What is being told: a large push is looked up once, and told in parts.
        self._news: tuple[tuple[str, str], Sequence[Changed]] | None = None

    async def run(self) -> None:
        """Until cancelled."""
        seen: object = None
        while True:
            now = self._knowledge.repository.moved()
            if now != seen:
                try:
                    await self.tell()
                    seen = now
                except OlympusError as exc:
                    log.warning("note_changes_wait", extra={"reason": str(exc)})
                    await asyncio.sleep(exc.after if isinstance(exc, RetryLater) else 30)
            self._knowledge.stirred.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._knowledge.stirred.wait()

    async def tell(self) -> None:
        """All that came to main since the last time."""
        while await self._tell_part():
            pass

    async def _tell_part(self) -> bool:
        """Whether there is more."""
        entry = await self._kv.get(keys.NOTES_TOLD)
        version = 0 if entry is None else entry.version
        head = await self._knowledge.ask(lambda notes: notes.head()) or ""
        if entry is None:
            # What was there before is no news.
            await self._kv.transact([Cas(keys.NOTES_TOLD, Told(revision=head).to_bytes(), 0)])
            return False
        told = Told.from_bytes(entry.value)
        toward = told.toward or head
        if toward == told.revision or not toward:
            return False
        changes = await self._changes(told.revision, toward)
        part = changes[told.done : told.done + _BATCH]
        events = [await self._event(one, diff=len(changes) <= _MANY) for one in part]
        done = told.done + len(part)
        after = Told(revision=told.revision, toward=toward, done=done)
        if done >= len(changes):
            after = Told(revision=toward)
        try:
            await self._bus.publish(events, [Cas(keys.NOTES_TOLD, after.to_bytes(), version)])
        except TransactionConflict:
            log.info("notes_told_by_another")
        return True

    async def _changes(self, old: str, new: str) -> Sequence[Changed]:
        if self._news is None or self._news[0] != (old, new):
            found = await self._knowledge.ask(lambda notes: _news(notes, old, new))
            self._news = (old, new), found
        return self._news[1]

    async def _event(self, change: Changed, *, diff: bool) -> Event:
        path = change.file.removesuffix(SUFFIX)
        data = {
            "path": path,
            "revision": change.revision,
            "actor": change.author,
            "change": change.kind,
            "diff": (await self._knowledge.ask(lambda notes: notes.shown(change)))[:_MAX_DIFF]
            if diff
            else "",
        }
        if change.was is not None:
            data["was"] = change.was.removesuffix(SUFFIX)
        trailers = trailers_of(change.message)
        depth = trailers.get(DEPTH, "")
        return Event(
            new_id(),
            NOTE_CHANGED,
            "olympus/apollo",
            self._clock.now(),
            data,
            path,
            cause=trailers.get(CAUSE),
            depth=int(depth) if depth.isdecimal() and len(depth) < 4 else 0,
        )


def _news(notes: Notes, old: str, new: str) -> Sequence[Changed]:
    return [one for one in notes.changes(old, new) if is_note(one.file)]


def trailers_of(message: str) -> dict[str, str]:
    """What the last lines of a commit's message say to programs."""
    found: dict[str, str] = {}
    for line in message.rpartition("\n\n")[2].splitlines():
        name, colon, value = line.partition(": ")
        if colon and name.startswith("Olympus-"):
            found[name] = value.strip()
    return found
