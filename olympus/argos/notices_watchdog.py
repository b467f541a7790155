"""That something happened in a folder, told by inotify through watchdog. The only home of watchdog.

Folders are watched, never single files, and what happens comes together: whoever is told looks by himself. What the
kernel or watchdog drops is found by a sweep of theirs.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from watchdog.events import (
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import ObservedWatch

log = logging.getLogger("olympus.argos")

Told: TypeAlias = Callable[[str], None]

_EVENTS: Final[list[type[FileSystemEvent]]] = [
    FileCreatedEvent, FileModifiedEvent, FileMovedEvent, FileDeletedEvent,
]  # fmt: skip


class Notices(FileSystemEventHandler):
    """One for all watches of a process. Made and used in the loop's thread; its own threads only gather."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._observer: Any = Observer()
        self._lock = threading.Lock()
        self._gathered: set[str] = set()
        self._told: dict[str, list[Told]] = {}
        self._watches: dict[str, tuple[ObservedWatch, tuple[int, int]]] = {}

    def follow(self, folder: str, told: Told) -> None:
        """`told` gets the path of every file in `folder` to which something happens, until `leave`.

        To be called again now and then: a folder that was removed and made anew is another one. One that is not
        there, or of which the kernel tells nothing, is left to the sweep.
        """
        listeners = self._told.setdefault(folder, [])
        if told not in listeners:
            listeners.append(told)
        try:
            found = os.stat(folder)  # noqa: PTH116
            identity = (found.st_dev, found.st_ino)
            if folder in self._watches:
                if self._watches[folder][1] == identity:
                    return
                self._unschedule(folder)
            if not self._observer.is_alive():
                self._observer.start()
            watch = self._observer.schedule(self, folder, recursive=False, event_filter=_EVENTS)
        except OSError as exc:
            log.debug("folder_not_watched", extra={"folder": folder, "why": str(exc)})
            return
        self._watches[folder] = (watch, identity)

    def leave(self, told: Told) -> None:
        """No more for `told`, of any folder."""
        for folder, listeners in list(self._told.items()):
            if told in listeners:
                listeners.remove(told)
            if not listeners:
                del self._told[folder]
                self._unschedule(folder)

    def close(self) -> None:
        if self._observer.is_alive():
            self._observer.stop()
            self._observer.join()

    def _unschedule(self, folder: str) -> None:
        watch, _ = self._watches.pop(folder, (None, None))
        if watch is not None:
            try:
                self._observer.unschedule(watch)
            except (KeyError, OSError) as exc:
                log.debug("folder_was_gone", extra={"folder": folder, "why": str(exc)})

    # --- in watchdog's thread ---------------------------------------------------------------------------

    def dispatch(self, event: FileSystemEvent) -> None:
        """Gathers; the loop is woken once for all that comes until it gets to it."""
        paths = {os.fsdecode(path) for path in (event.src_path, event.dest_path) if path}
        with self._lock:
            first = not self._gathered
            self._gathered |= paths
        if first and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._deliver)

    # --- in the loop's ---------------------------------------------------------------------------------

    def _deliver(self) -> None:
        with self._lock:
            paths, self._gathered = self._gathered, set()
        for path in paths:
            for told in self._told.get(os.path.dirname(path), ()):  # noqa: PTH120
                told(path)
