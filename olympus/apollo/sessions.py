"""Sessions of the page: an opaque id in a cookie; what it stands for lies here, and ends here."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import orjson

from olympus.apollo.access import Caller
from olympus.apollo.tokens import Tokens
from olympus.hermes.keys import ROOT
from olympus.hermes.kv import Delete, Kv, Put
from olympus.kernel.clock import Clock, parse_rfc3339, rfc3339

COOKIE: Final = "olympus_session"
_LIFETIME: Final = timedelta(hours=12)
_PREFIX: Final = ROOT + "sessions/"


@dataclass(frozen=True, slots=True)
class Session:
    """`form_token` has to come with every form that is posted."""

    caller: Caller
    form_token: str


class Sessions:
    """Begun with a token; over when it is revoked, after twelve hours, or at a logout."""

    def __init__(self, kv: Kv, clock: Clock, tokens: Tokens) -> None:
        self._kv = kv
        self._clock = clock
        self._tokens = tokens

    async def begin(self, caller: Caller) -> str:
        """The cookie's value."""
        value = secrets.token_urlsafe(32)
        record = {"token": caller.token, "until": rfc3339(self._clock.now() + _LIFETIME)}
        await self._kv.transact([Put(_key(value), orjson.dumps(record))])
        return value

    async def check(self, value: str) -> Session | None:
        entry = await self._kv.get(_key(value))
        if entry is None:
            return None
        record = orjson.loads(entry.value)
        if parse_rfc3339(record["until"]) <= self._clock.now():
            await self.end(value)
            return None
        caller = await self._tokens.by_id(record["token"])
        return Session(caller, hashlib.sha256(f"form:{value}".encode()).hexdigest()) if caller else None

    async def end(self, value: str) -> None:
        await self._kv.transact([Delete(_key(value))])


def _key(value: str) -> str:
    return _PREFIX + hashlib.sha256(value.encode()).hexdigest()
