"""Events on disk while Hermes is away: appended and synced, bounded, handed over in order when it is back."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import orjson

from olympus.kernel.errors import HermesUnreachable
from olympus.kernel.events import Event

MAX_SPOOL: Final = 64 * 1024 * 1024


class Spool:
    """A file with a CloudEvent a line."""

    def __init__(self, file: Path, limit: int = MAX_SPOOL) -> None:
        self._file = file
        self._limit = limit
        file.parent.mkdir(parents=True, exist_ok=True)
        self._size = 0
        if file.exists():
            # What follows the last line's end was cut off as it was written: nobody was told that it is kept.
            self._size = file.read_bytes().rfind(b"\n") + 1
            os.truncate(file, self._size)

    def __bool__(self) -> bool:
        return self._size > 0

    def append(self, events: Sequence[Event]) -> None:
        """On disk on return. Raises HermesUnreachable, nothing being kept, where the spool is full."""
        data = b"".join(orjson.dumps(event.to_json(), default=dict) + b"\n" for event in events)
        if self._size + len(data) > self._limit:
            raise HermesUnreachable(
                f"Hermes is away and the spool {self._file} is full ({self._size} of {self._limit} bytes): "
                "events are refused until it is back"
            )
        descriptor = os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(descriptor)
        except OSError as error:
            os.truncate(self._file, self._size)
            raise HermesUnreachable(f"Hermes is away and {self._file} cannot be written: {error}") from error
        self._size += len(data)

    def read(self) -> list[Event]:
        """All that is in it, in order."""
        if not self._size:
            return []
        return [Event.from_json(orjson.loads(line)) for line in self._file.read_bytes().splitlines()]

    def clear(self) -> None:
        """All of it has been handed over."""
        descriptor = os.open(self._file, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        self._size = 0
