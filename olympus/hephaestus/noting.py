"""`note` steps at work: one after the other, beside the coordinator, which waits for nobody's disk."""

from __future__ import annotations

import asyncio

from olympus.actor import Actor
from olympus.hephaestus.model import Effect, Fact, NoteAnswered, RunState, WriteNote
from olympus.hephaestus.ports import Notes
from olympus.kernel.errors import OlympusError, RetryLater


class Noting:
    """What could not be written now is asked for again by the run itself; `mark` makes it once."""

    def __init__(self, notes: Notes, actor: Actor[str, RunState, Fact, Effect]) -> None:
        self._notes = notes
        self._actor = actor
        self._asked: asyncio.Queue[tuple[str, WriteNote]] = asyncio.Queue()

    def ask(self, run: str, effect: WriteNote) -> None:
        self._asked.put_nowait((run, effect))

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            run, effect = await self._asked.get()
            self._actor.tell(run, await self._answer(effect))

    async def _answer(self, effect: WriteNote) -> NoteAnswered:
        try:
            revision = await self._notes.write(effect)
        except RetryLater as exc:
            return NoteAnswered(effect.step, effect.target, message=str(exc))
        except OlympusError as exc:
            return NoteAnswered(effect.step, effect.target, message=str(exc), over=True)
        return NoteAnswered(effect.step, effect.target, {"path": effect.path, "revision": revision})
