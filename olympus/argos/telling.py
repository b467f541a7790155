"""What a watch tells Hermes: events, and in the same transaction how far each stream is told with them.

So whatever happens between two instructions, a line is told once: what is not beyond the told place was told.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from olympus.hermes import keys
from olympus.hermes.bus import Bus
from olympus.hermes.kv import Cas, Delete, Kv, Op, TransactionConflict
from olympus.kernel.errors import HermesUnreachable
from olympus.kernel.events import Event

log = logging.getLogger("olympus.argos")

BYTES: Final = 200 * 1024
"""Of events in a transaction, with room for the places."""

_RETRY: Final = 1.0
_PARTS: Final = 4
_DELETES: Final = 50


@dataclass(frozen=True, slots=True)
class Reached:
    """A line that was decided on, and the events that it led to. Without a part, nothing is kept of it."""

    stream: str
    part: str
    offset: int
    events: tuple[Event, ...] = ()
    size: int = 0


@dataclass(slots=True)
class _Told:
    """at: when the last lines were decided on, in milliseconds."""

    parts: dict[str, int] = field(default_factory=dict)
    at: int = 0
    version: int = 0


class Telling:
    """Of one watch on one node. Nobody else writes its keys."""

    def __init__(self, kv: Kv, bus: Bus, node: str, watch: str) -> None:
        self._kv = kv
        self._bus = bus
        self._node = node
        self._watch = watch
        self._told: dict[str, _Told] = {}
        # Parts of which was told what a restart would read again.
        self._unsettled: set[str] = set()
        self.waiting = False

    async def load(self) -> None:
        """What was told before our restart; waits for Hermes."""
        prefix = keys.told(self._node, self._watch)
        while True:
            try:
                entries = (await self._kv.scan(prefix)).entries
                break
            except HermesUnreachable as error:
                self._wait(error)
                await asyncio.sleep(_RETRY)
        self._came_back()
        for entry in entries:
            found = _read(entry.value)
            if found is not None:
                stream, told = found
                told.version = entry.version
                self._told[stream] = told

    def told_at(self, stream: str, part: str, offset: int) -> int | None:
        """When the line was decided on that begins there, if all that follows from it was told."""
        told = self._told.get(stream)
        if told is None or offset > told.parts.get(part, -1):
            return None
        return told.at

    async def tell(self, reached: Sequence[Reached], at: int) -> None:
        """Returns when Hermes has all of it, however long that takes. at: when it was decided, in milliseconds."""
        group: list[Reached] = []
        size = 0
        for one in reached:
            if group and size + one.size > BYTES:
                await self._tell(group, at)
                group, size = [], 0
            group.append(one)
            size += one.size
        if any(one.events for one in group):
            await self._tell(group, at)

    async def _tell(self, group: Sequence[Reached], at: int) -> None:
        fresh: dict[str, _Told] = {}
        for one in (one for one in group if one.part):
            told = fresh.get(one.stream)
            if told is None:
                old = self._told.get(one.stream, _Told())
                told = fresh[one.stream] = _Told(dict(old.parts), at, old.version)
            told.parts[one.part] = max(one.offset, told.parts.pop(one.part, -1))
            self._unsettled.add(one.part)
        for told in fresh.values():
            # The parts that were told last stay, too: they are read on.
            for part in [part for part in told.parts if part not in self._unsettled][:-_PARTS]:
                del told.parts[part]
        events = [event for one in group for event in one.events]
        await self._write(events, fresh)
        self._told |= fresh

    async def _write(self, events: Sequence[Event], fresh: Mapping[str, _Told]) -> None:
        values = {
            keys.told_of(self._node, self._watch, stream): (_bytes(stream, told), told)
            for stream, told in fresh.items()
        }
        while True:
            ops: list[Op] = [Cas(key, value, told.version) for key, (value, told) in values.items()]
            try:
                versions = await self._bus.publish(events, ops)
            except HermesUnreachable as error:
                self._wait(error)
                await asyncio.sleep(_RETRY)
            except TransactionConflict:
                # Either it was done when Hermes could not say so, or somebody else was here.
                if await self._is_done(values):
                    break
            else:
                for key, (_, told) in values.items():
                    told.version = versions[key]
                break
        self._came_back()

    async def _is_done(self, values: Mapping[str, tuple[bytes, _Told]]) -> bool:
        """Looks what is there, and takes its versions."""
        done = True
        for key, (value, told) in values.items():
            while True:
                try:
                    entry = await self._kv.get(key)
                    break
                except HermesUnreachable as error:
                    self._wait(error)
                    await asyncio.sleep(_RETRY)
            done = done and entry is not None and entry.value == value
            told.version = 0 if entry is None else entry.version
        return done

    def settled(self) -> None:
        """All that was told is known to be read, even after a power cut."""
        self._unsettled.clear()

    async def forget(self, streams: Iterable[str]) -> None:
        """They are read no more."""
        gone = [stream for stream in streams if stream in self._told]
        for start in range(0, len(gone), _DELETES):
            part = gone[start : start + _DELETES]
            await self._kv.transact([Delete(keys.told_of(self._node, self._watch, one)) for one in part])
            for one in part:
                del self._told[one]

    def streams(self) -> set[str]:
        """Those of which something was told."""
        return set(self._told)

    def _wait(self, error: HermesUnreachable) -> None:
        if not self.waiting:
            log.warning("reading_waits_for_hermes", extra={"watch": self._watch, "why": str(error)})
        self.waiting = True

    def _came_back(self) -> None:
        if self.waiting:
            log.warning("reading_goes_on", extra={"watch": self._watch})
        self.waiting = False


def _bytes(stream: str, told: _Told) -> bytes:
    return orjson.dumps({"stream": stream, "parts": told.parts, "at": told.at})


def _read(raw: bytes) -> tuple[str, _Told] | None:
    try:
        found: dict[str, Any] = orjson.loads(raw)
        parts = {str(part): int(offset) for part, offset in found["parts"].items()}
        return str(found["stream"]), _Told(parts, int(found["at"]))
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        log.warning("told_not_read", extra={"why": str(exc)})
        return None
