"""Who did what: each entry holds the hash of the one before it, so that none can be changed or left out unseen."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any, Final

import orjson

from olympus.apollo.access import Caller
from olympus.hermes import keys
from olympus.hermes.kv import Cas, Kv, TransactionConflict
from olympus.kernel.clock import Clock, rfc3339

_HEAD: Final = keys.AUDIT + "head"
_ENTRIES: Final = keys.AUDIT + "entries/"
_FIRST: Final = "0" * 64


class Audit:
    """`audit/entries/N` and `audit/head`: {next, hash}."""

    def __init__(self, kv: Kv, clock: Clock) -> None:
        self._kv = kv
        self._clock = clock
        self._writing = asyncio.Lock()

    async def record(self, caller: Caller, action: str, subject: str, status: int) -> None:
        """Stored on return."""
        async with self._writing:
            while True:
                head = await self._kv.get(_HEAD)
                last: dict[str, Any] = orjson.loads(head.value) if head else {"next": 0, "hash": _FIRST}
                entry = {
                    "at": rfc3339(self._clock.now()),
                    "by": caller.name,
                    "token": caller.token,
                    "role": caller.role,
                    "action": action,
                    "subject": subject,
                    "status": status,
                    "previous": last["hash"],
                }
                raw = orjson.dumps(entry, option=orjson.OPT_SORT_KEYS)
                after = {"next": last["next"] + 1, "hash": hashlib.sha256(raw).hexdigest()}
                ops = [
                    Cas(_HEAD, orjson.dumps(after), head.version if head else 0),
                    Cas(f"{_ENTRIES}{last['next']:016d}", raw, 0),
                ]
                try:
                    await self._kv.transact(ops)
                except TransactionConflict:
                    continue
                return

    async def page(self, limit: int, before: int | None) -> tuple[list[dict[str, Any]], int | None]:
        """Newest first; what to pass as `before` for the next page."""
        head = await self._kv.get(_HEAD)
        end = orjson.loads(head.value)["next"] if head else 0
        end = end if before is None else min(before, end)
        first = max(0, end - limit)
        found = []
        for number in range(end - 1, first - 1, -1):
            entry = await self._kv.get(f"{_ENTRIES}{number:016d}")
            if entry is not None:
                hashed = hashlib.sha256(entry.value).hexdigest()
                found.append(orjson.loads(entry.value) | {"number": number, "hash": hashed})
        return found, first or None

    async def broken(self) -> int | None:
        """The number of the first entry that does not fit to the one before it; None: all do."""
        expected = _FIRST
        entries = (await self._kv.scan(_ENTRIES)).entries
        for number, entry in enumerate(entries):
            if orjson.loads(entry.value)["previous"] != expected or not entry.key.endswith(f"{number:016d}"):
                return number
            expected = hashlib.sha256(entry.value).hexdigest()
        head = await self._kv.get(_HEAD)
        if head is not None and orjson.loads(head.value)["hash"] != expected:
            return len(entries)
        return None
