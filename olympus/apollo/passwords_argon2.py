"""Passwords, hashed with Argon2id (RFC 9106, second recommended option: 64 MiB, three passes)."""

from __future__ import annotations

import asyncio
from functools import cache
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

_HASHER: Final = PasswordHasher()
_AT_ONCE: Final = 2
"""Each takes 64 MiB and a core for a tenth of a second: more at once would be a way to stop us."""


class Passwords:
    """Makes and checks hashes, a few at a time, off the event loop."""

    def __init__(self) -> None:
        self._room = asyncio.Semaphore(_AT_ONCE)

    async def hashed(self, password: str) -> str:
        async with self._room:
            return await asyncio.to_thread(_HASHER.hash, password)

    async def fits(self, hashed: str | None, password: str) -> bool:
        """Whether it is the one. None, for a user who is not there, takes as long and is never."""
        async with self._room:
            return await asyncio.to_thread(_fits, hashed or _nobodys(), password) and hashed is not None


@cache
def _nobodys() -> str:
    return _HASHER.hash("the password of a user who is not there")


def _fits(hashed: str, password: str) -> bool:
    try:
        return _HASHER.verify(hashed, password)
    except (VerificationError, InvalidHashError):
        return False
