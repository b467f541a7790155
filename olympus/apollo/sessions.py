"""Sessions of the page: an opaque id in a cookie; what it stands for lies here, and ends here."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import orjson

from olympus.apollo.access import Caller
from olympus.apollo.tokens import Tokens
from olympus.apollo.users import Users
from olympus.hermes import keys
from olympus.hermes.kv import Delete, Kv, Op, Put
from olympus.kernel.clock import Clock, parse_rfc3339, rfc3339
from olympus.kernel.errors import NotFound

COOKIE: Final = "olympus_session"
_LIFETIME: Final = timedelta(hours=12)
_USER: Final = "user/"
SINGLE_SIGN_ON: Final = "sso/"
"""Before the subject of whom a provider let in."""

_SWEPT: Final = 20


@dataclass(frozen=True, slots=True)
class Session:
    """`form_token` has to come with every form that is posted."""

    caller: Caller
    form_token: str


class Sessions:
    """Begun with a token or a password; over when it is revoked, after twelve hours, or at a logout.

    `sessions/ID`: {who, name, at, until, address, agent, groups}; ID is the hash of the cookie, which nobody else has.
    """

    def __init__(self, kv: Kv, clock: Clock, tokens: Tokens, users: Users) -> None:
        self._kv = kv
        self._clock = clock
        self._tokens = tokens
        self._users = users

    async def begin(self, caller: Caller, address: str = "", agent: str = "") -> str:
        """The cookie's value."""
        value, now = secrets.token_urlsafe(32), self._clock.now()
        record = {
            "who": caller.token,
            "name": caller.name,
            "at": rfc3339(now),
            "until": rfc3339(now + _LIFETIME),
            "address": address,
            "agent": agent[:200],
            "groups": list(caller.groups),
        }
        over = [one["id"] for one in await self.all() if parse_rfc3339(one["until"]) <= now]
        swept: list[Op] = [Delete(keys.SESSIONS + one) for one in over[:_SWEPT]]
        await self._kv.transact([Put(keys.SESSIONS + _id(value), orjson.dumps(record)), *swept])
        return value

    async def check(self, value: str) -> Session | None:
        entry = await self._kv.get(keys.SESSIONS + _id(value))
        if entry is None:
            return None
        record = orjson.loads(entry.value)
        if parse_rfc3339(record["until"]) <= self._clock.now():
            await self.end(value)
            return None
        caller = await self._caller(record)
        return Session(caller, hashlib.sha256(f"form:{value}".encode()).hexdigest()) if caller else None

    async def _caller(self, record: dict[str, Any]) -> Caller | None:
        who = str(record["who"])
        if who.startswith(_USER):
            return await self._users.by_name(who.removeprefix(_USER), record["at"])
        if who.startswith(SINGLE_SIGN_ON):
            # What the provider said when he came in.
            return Caller(who, record["name"], None, tuple(record["groups"]))
        return await self._tokens.by_id(who)

    async def end(self, value: str) -> None:
        await self._kv.transact([Delete(keys.SESSIONS + _id(value))])

    async def revoke(self, session_id: str, *, of: str | None) -> None:
        """of: only where it is that caller's (its `token`). Raises NotFound."""
        found = [one for one in await self.all(of) if one["id"] == session_id]
        if not found:
            raise NotFound(f"there is no session {session_id}")
        await self._kv.transact([Delete(keys.SESSIONS + session_id)])
        await self._kv.flush()

    async def all(self, of: str | None = None) -> list[dict[str, Any]]:
        """Oldest first; of: those of one caller."""
        entries = (await self._kv.scan(keys.SESSIONS)).entries
        found = [
            {"id": entry.key.removeprefix(keys.SESSIONS), **orjson.loads(entry.value)} for entry in entries
        ]
        return sorted((one for one in found if of in (None, one["who"])), key=lambda one: str(one["at"]))


def _id(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()
