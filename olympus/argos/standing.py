"""How a watch fares, and when that is worth a write."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from olympus.argos.ports import Batch
from olympus.records.watch import WatchRecord

EVERY: Final = timedelta(seconds=10)
_COMPLAINTS: Final = 20
_STREAMS: Final = 10_000


class Standing:
    """Of one watch. Methods that return bytes return the record where it is to be written now, else None."""

    def __init__(self, watch: str, node: str, now: datetime) -> None:
        self._record = WatchRecord(watch=watch, node=node, state="failed", since=now, at=now, started=now)
        self._streams: set[str] = set()
        self._numbers = {"lines": 0, "cut": 0, "matches": 0, "lost": 0}
        self._last_match: datetime | None = None
        self._written: tuple[int, int] = (0, 0)
        self._behind = 0

    @property
    def streams(self) -> frozenset[str]:
        """That lines came from since we were started."""
        return frozenset(self._streams)

    def watching(self, now: datetime) -> bytes | None:
        return self._change(now, state="watching", message="")

    def failed(self, why: str, now: datetime) -> bytes | None:
        return self._change(now, state="failed", message=why)

    def complaints(self, said: Sequence[str], now: datetime) -> bytes | None:
        """What can't be read now."""
        shown = tuple(said[:_COMPLAINTS])
        return None if shown == self._record.complaints else self._write(now, complaints=shown)

    def read(self, batch: Batch) -> None:
        if len(self._streams) < _STREAMS:
            self._streams |= {chunk.stream for chunk in batch.chunks}
        self._numbers["lines"] += sum(chunk.text.count(b"\n") for chunk in batch.chunks)
        self._numbers["cut"] += batch.cut
        self._behind = sum(
            max(0, int(place.more.get("size", place.offset)) - place.offset) for place in batch.places
        )

    def matched(self, lines: int, now: datetime) -> None:
        self._numbers["matches"] += lines
        self._last_match = now

    def lost(self, size: int) -> None:
        self._numbers["lost"] += size

    def due(self, now: datetime) -> float | None:
        """Seconds until `soon` has something."""
        if self._written == self._now():
            return None
        return max(0.0, (self._record.at + EVERY - now).total_seconds())

    def soon(self, now: datetime, refused: int) -> bytes | None:
        """Lines matched, and it was a while ago that this was written."""
        if self._written == self._now() or now < self._record.at + EVERY:
            return None
        return self._write(now, refused=refused)

    def _now(self) -> tuple[int, int]:
        return self._numbers["matches"], self._numbers["lost"]

    def _change(self, now: datetime, **said: Any) -> bytes | None:
        before = self._record.model_dump(include=set(said))
        if before == said:
            return None
        since = {} if said.get("state") in (None, self._record.state) else {"since": now}
        return self._write(now, **said, **since)

    def _write(self, now: datetime, **said: Any) -> bytes:
        self._record = self._record.model_copy(
            update={
                **self._numbers,
                "streams": len(self._streams),
                "last_match": self._last_match,
                "lag": self._behind,
                "at": now,
                **said,
            }
        )
        self._written = self._now()
        return self._record.to_bytes()
