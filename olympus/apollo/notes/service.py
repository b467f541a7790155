"""Notes, from the event loop: one thread of their own does all that git and SQLite do, one thing at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from olympus.apollo.notes.notes import Notes
from olympus.apollo.notes.repository import NotesRepository
from olympus.kernel.clock import Clock

Answer = TypeVar("Answer")

REPOSITORY = "notes.git"
INDEX = "notes-index.db"


class Knowledge:
    """`STATE/notes.git` and its index; made where it is not there yet."""

    def __init__(self, state: Path, clock: Clock) -> None:
        self.repository = NotesRepository.open_or_create(state / REPOSITORY)
        self._notes = Notes(self.repository, state / INDEX, clock)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="notes")
        self.stirred = asyncio.Event()
        """Set when something here may have changed main."""

    async def ask(self, question: Callable[[Notes], Answer]) -> Answer:
        """What `question` makes of the notes. Raises what it raises."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, question, self._notes)

    async def change(self, order: Callable[[Notes], Answer]) -> Answer:
        """As `ask`, of what may change main."""
        try:
            return await self.ask(order)
        finally:
            self.stirred.set()

    async def close(self) -> None:
        await self.ask(lambda notes: notes.close())
        self._thread.shutdown()
