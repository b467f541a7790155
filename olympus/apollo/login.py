"""Who comes in by the page: with a token, or with a name and a password."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from olympus.apollo.access import Caller, narrowed
from olympus.apollo.ports import Surroundings
from olympus.apollo.slowing import Slowing
from olympus.apollo.tokens import Tokens
from olympus.apollo.users import Users

log = logging.getLogger("olympus.apollo")

_WRONG_TOKEN: Final = "This token is not known, is over, or was revoked."
_WRONG: Final = "Name or password is wrong."
_NOTHING: Final = "You are known, but no Access gives you a role: ask who keeps the specs."


@dataclass(frozen=True, slots=True)
class Denied:
    """status: of HTTP; wait: seconds until the next try is looked at."""

    status: int
    why: str
    wait: float = 0.0


class Login:
    def __init__(self, around: Surroundings, tokens: Tokens, users: Users) -> None:
        self._around = around
        self._tokens = tokens
        self._users = users
        self._slowing = Slowing()

    async def enter(self, form: Mapping[str, str], address: str) -> Caller | Denied:
        """`token`; or `name` and `password`."""
        token = form.get("token", "").strip()
        if token:
            return await self._tokens.check(token) or Denied(401, _WRONG_TOKEN)
        return await self.by_password(form.get("name", "").strip()[:64], form.get("password", ""), address)

    async def by_password(self, name: str, password: str, address: str) -> Caller | Denied:
        wait = self._slowing.wait(name, address, self._around.clock.monotonic())
        if wait > 0:
            return Denied(429, f"Too many tries: wait {max(1, round(wait))} s.", wait)
        caller = await self._users.check(name, password)
        if caller is None:
            log.warning("login_failed", extra={"user": name[:63], "address": address})
            return Denied(401, _WRONG)
        self._slowing.succeeded(name, address)
        root = await self._around.catalogs.root()
        if root is not None:
            caller = narrowed(caller, await self._around.catalogs.load(root))
        return caller if caller.grants else Denied(403, _NOTHING)
