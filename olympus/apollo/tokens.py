"""Tokens, of which only a hash is kept, and the roles that they have."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import timedelta
from typing import Any, Final

import orjson

from olympus.apollo.access import ROLES, Caller
from olympus.hermes import keys
from olympus.hermes.kv import Cas, Kv, Put
from olympus.kernel.clock import Clock, parse_rfc3339, rfc3339
from olympus.kernel.errors import Invalid, NotFound
from olympus.kernel.ids import new_id

_PREFIX: Final = "oly"


class Tokens:
    """`tokens/ID`: {hash, role, name, createdAt, expiresAt, revokedAt}."""

    def __init__(self, kv: Kv, clock: Clock) -> None:
        self._kv = kv
        self._clock = clock

    async def create(
        self, role: str, name: str, lifetime: timedelta | None = None
    ) -> tuple[dict[str, Any], str]:
        """What is known of the new token, and the token itself, which nobody can be told again."""
        if role not in ROLES:
            raise Invalid(f"{role!r} is no role: write one of {', '.join(ROLES)}")
        token_id, now = new_id(), self._clock.now()
        token = f"{_PREFIX}_{token_id}_{secrets.token_urlsafe(32)}"
        record = {
            "hash": _hash(token),
            "role": role,
            "name": name or f"token {token_id[-6:]}",
            "createdAt": rfc3339(now),
            "expiresAt": rfc3339(now + lifetime) if lifetime else None,
            "revokedAt": None,
        }
        await self._kv.transact([Put(keys.TOKENS + token_id, orjson.dumps(record))])
        await self._kv.flush()
        return _shown(token_id, record), token

    async def check(self, token: str) -> Caller | None:
        """Whose it is; None where it is unknown, over or revoked."""
        parts = token.split("_", 2)
        if len(parts) != 3 or parts[0] != _PREFIX or not parts[1].isalnum():
            return None
        entry = await self._kv.get(keys.TOKENS + parts[1])
        if entry is None:
            return None
        record = orjson.loads(entry.value)
        if not hmac.compare_digest(record["hash"], _hash(token)):
            return None
        return Caller(parts[1], record["name"], record["role"]) if self._counts(record) else None

    async def by_id(self, token_id: str) -> Caller | None:
        """The caller that a session was begun as, while its token counts."""
        entry = await self._kv.get(keys.TOKENS + token_id)
        record = orjson.loads(entry.value) if entry else None
        return Caller(token_id, record["name"], record["role"]) if record and self._counts(record) else None

    def _counts(self, record: dict[str, Any]) -> bool:
        expires = record["expiresAt"]
        return not record["revokedAt"] and (expires is None or self._clock.now() < parse_rfc3339(expires))

    async def revoke(self, token_id: str) -> None:
        """Raises NotFound."""
        entry = await self._kv.get(keys.TOKENS + token_id)
        if entry is None:
            raise NotFound(f"there is no token {token_id}")
        record = orjson.loads(entry.value) | {"revokedAt": rfc3339(self._clock.now())}
        await self._kv.transact([Cas(entry.key, orjson.dumps(record), entry.version)])
        await self._kv.flush()

    async def all(self) -> list[dict[str, Any]]:
        """Without their hashes."""
        entries = (await self._kv.scan(keys.TOKENS)).entries
        return [_shown(entry.key.removeprefix(keys.TOKENS), orjson.loads(entry.value)) for entry in entries]


def _hash(token: str) -> str:
    # 256 random bits need no slow hash.
    return hashlib.sha256(token.encode()).hexdigest()


def _shown(token_id: str, record: dict[str, Any]) -> dict[str, Any]:
    return {"id": token_id, **{name: value for name, value in record.items() if name != "hash"}}
