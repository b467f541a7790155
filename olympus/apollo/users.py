"""Local users: people who log in with a name and a password."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import orjson

from olympus.apollo.access import ROLES, Caller, Role
from olympus.apollo.passwords_argon2 import Passwords
from olympus.hermes import keys
from olympus.hermes.kv import Cas, Delete, Kv, Put, TransactionConflict
from olympus.kernel.clock import Clock, rfc3339
from olympus.kernel.errors import Conflict, Invalid, NotFound

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_SHORTEST: Final = 10
_LONGEST: Final = 1024


class Users:
    """`users/NAME`: {hash, role, groups, createdAt, changedAt}. role None: what Access gives, and else nothing."""

    def __init__(self, kv: Kv, clock: Clock) -> None:
        self._kv = kv
        self._clock = clock
        self._passwords = Passwords()

    async def create(
        self, name: str, password: str, role: Role | None, groups: Sequence[str] = ()
    ) -> dict[str, Any]:
        """What is known of the new user. Raises Invalid, Conflict."""
        if not _NAME.fullmatch(name):
            raise Invalid(
                f"{name!r} is no user's name: use up to 63 lower-case letters, digits, '.', '-' and '_'"
            )
        if role is not None and role not in ROLES:
            raise Invalid(f"{role!r} is no role: write one of {', '.join(ROLES)}")
        now = rfc3339(self._clock.now())
        record = {
            "hash": await self._hashed(password),
            "role": role,
            "groups": list(groups),
            "createdAt": now,
            "changedAt": now,
        }
        try:
            await self._kv.transact([Cas(keys.user(name), orjson.dumps(record), 0)])
        except TransactionConflict as error:
            raise Conflict(f"there is a user '{name}' already") from error
        await self._kv.flush()
        return _shown(name, record)

    async def change_password(self, name: str, password: str) -> None:
        """Sessions that were begun with the old one end. Raises Invalid, NotFound."""
        record = await self._record(name)
        if record is None:
            raise NotFound(f"there is no user '{name}'")
        record |= {"hash": await self._hashed(password), "changedAt": rfc3339(self._clock.now())}
        await self._kv.transact([Put(keys.user(name), orjson.dumps(record))])
        await self._kv.flush()

    async def check(self, name: str, password: str) -> Caller | None:
        """Who it is; None where the name or the password is wrong, in the same time."""
        record = await self._record(name) if _NAME.fullmatch(name) else None
        hashed = record["hash"] if record else None
        if not await self._passwords.fits(hashed, password[:_LONGEST]) or record is None:
            return None
        return _caller(name, record)

    async def by_name(self, name: str, since: str) -> Caller | None:
        """Whose session was begun at `since`; None where the user is gone, or has another password since."""
        record = await self._record(name)
        return _caller(name, record) if record is not None and record["changedAt"] <= since else None

    async def remove(self, name: str) -> None:
        """Raises NotFound."""
        if await self._record(name) is None:
            raise NotFound(f"there is no user '{name}'")
        await self._kv.transact([Delete(keys.user(name))])
        await self._kv.flush()

    async def all(self) -> list[dict[str, Any]]:
        """Without their hashes."""
        entries = (await self._kv.scan(keys.USERS)).entries
        return [_shown(entry.key.removeprefix(keys.USERS), orjson.loads(entry.value)) for entry in entries]

    async def _record(self, name: str) -> dict[str, Any] | None:
        entry = await self._kv.get(keys.user(name))
        return dict(orjson.loads(entry.value)) if entry else None

    async def _hashed(self, password: str) -> str:
        if not _SHORTEST <= len(password) <= _LONGEST:
            raise Invalid(f"a password has {_SHORTEST} to {_LONGEST} characters")
        return await self._passwords.hashed(password)


def _caller(name: str, record: dict[str, Any]) -> Caller:
    return Caller(f"user/{name}", name, record["role"], tuple(record["groups"]))


def _shown(name: str, record: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, **{field: value for field, value in record.items() if field != "hash"}}
