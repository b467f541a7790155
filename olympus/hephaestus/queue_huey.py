"""Huey executes steps. The only home of huey.

Its queue is a SQLite file of this node; its workers are threads of ours that are woken, not polled (Huey's own
loop sleeps up to seconds), and that take no signals. Huey runs a task at most once; what is started and never
ended is found by the worker from its orders.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from huey import SqliteHuey
from huey.consumer import Worker
from huey.registry import Message
from huey.serializer import Serializer

log = logging.getLogger("olympus.hephaestus")

_LOOK: Final = 30.0


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
    """`submit` a name; `execute(name)` is called with it on one of `workers` threads."""

    def __init__(self, file: Path, execute: Callable[[str], None], *, workers: int) -> None:
        file.touch(mode=0o600)
        self._huey = SqliteHuey(
            "steps", filename=str(file), results=False, fsync=False, serializer=_JsonSerializer()
        )
        # What was queued when we were killed is begun anew from the orders, not from here.
        self._huey.storage.flush_queue()
        self._task = self._huey.task(name="step")(execute)
        self._woken = threading.Semaphore(0)
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._work, name=f"huey-{number}", daemon=True)
            for number in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, name: str) -> None:
        """Returns when it is queued."""
        self._task(name)
        self._woken.release()

    def close(self) -> None:
        """No further task is begun."""
        self._stop.set()
        for _ in self._threads:
            self._woken.release()

    def _work(self) -> None:
        worker = _WokenWorker(self._huey, self._stop, self._woken)
        while not self._stop.is_set():
            worker.loop()


class _WokenWorker(Worker):  # type: ignore[misc]
    """Waits for a submit instead of sleeping ever longer."""

    def __init__(self, huey: SqliteHuey, stop: threading.Event, woken: threading.Semaphore) -> None:
        super().__init__(huey, stop, default_delay=0.1, max_delay=0.1, backoff=1.0)
        self._woken = woken

    def loop(self, now: Any = None) -> None:
        # A look without being woken costs nothing and covers a submit of another process.
        self._woken.acquire(timeout=_LOOK)
        if not self.stop_flag.is_set():
            super().loop(now)

    def sleep(self) -> None:
        """Waiting is done before looking."""
