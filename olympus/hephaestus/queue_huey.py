"""Huey executes steps. The only home of huey.

Its queue is a SQLite file of this node. Huey's own consumer polls it, sleeping up to seconds, and hands tasks to
threads; here a submit looks into the queue at once, and a task is executed where all else of this process runs:
it begins the step, whose process needs no thread to wait for it. Huey runs a task at most once; what is started
and never ended is found by the worker from its orders.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from huey import SqliteHuey
from huey.registry import Message
from huey.serializer import Serializer

_CACHE_MB: Final = 1


class _JsonSerializer(Serializer):  # type: ignore[misc]
    """Texts instead of pickles: whoever can write the file must not be able to run code."""

    def _serialize(self, data: Any) -> bytes:
        return json.dumps(data).encode()

    def _deserialize(self, data: bytes) -> Any:
        found = json.loads(data)
        if isinstance(found, list) and len(found) == len(Message._fields):
            message = Message(*found)
            return message._replace(args=tuple(message.args or ()))
        return found


class StepQueue:
    """`submit` a name; `begin(name)` is called with it, at most `hands` of its tasks being under way at once."""

    def __init__(self, file: Path, begin: Callable[[str], asyncio.Task[None]], *, hands: int) -> None:
        file.touch(mode=0o600)
        self._huey = SqliteHuey(
            "steps",
            filename=str(file),
            results=False,
            fsync=False,
            cache_mb=_CACHE_MB,
            serializer=_JsonSerializer(),
        )
        # What was queued when we were killed is begun anew from the orders, not from here.
        self._huey.storage.flush_queue()
        self._task = self._huey.task(name="step")(self._execute)
        self._begin = begin
        self._free = hands
        # Nobody else queues anything, so that looking into an empty queue can be spared.
        self._waiting = 0
        self._closed = False

    def submit(self, name: str) -> None:
        """Returns when it is queued, and begun where a hand is free. From the event loop's thread only."""
        self._task(name)
        self._waiting += 1
        self._go_on()

    def close(self) -> None:
        """No further task is begun."""
        self._closed = True
        self._huey.storage.close()

    def _go_on(self) -> None:
        while self._free and self._waiting and not self._closed:
            self._waiting -= 1
            task = self._huey.dequeue()
            if task is not None:
                self._huey.execute(task)

    def _execute(self, name: str) -> None:
        self._free -= 1
        self._begin(name).add_done_callback(self._ended)

    def _ended(self, _: asyncio.Task[None]) -> None:
        self._free += 1
        self._go_on()
