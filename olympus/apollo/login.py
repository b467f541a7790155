"""Who comes in by the page: with a token, or with a name and a password."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from olympus.apollo.access import Caller, narrowed
from olympus.apollo.ports import Surroundings
from olympus.apollo.provider_joserfc import Attempt
from olympus.apollo.sessions import SINGLE_SIGN_ON
from olympus.apollo.slowing import Slowing
from olympus.apollo.tokens import Tokens
from olympus.apollo.users import Users
from olympus.kernel.errors import Refused, RetryLater

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
        return await self._with_access(caller)

    async def begin(self, back: str) -> tuple[Attempt, str] | Denied:
        """Single sign-on: the attempt that the browser keeps, and where it goes."""
        if self._around.provider is None:
            return Denied(404, "There is no single sign-on here.")
        attempt = Attempt.new()
        try:
            return attempt, await self._around.provider.asks_at(attempt, back)
        except (Refused, RetryLater) as error:
            log.warning("single_sign_on_refused", extra={"why": str(error)})
            return Denied(503, f"Single sign-on is not to be had: {error}.")

    async def by_provider(
        self, attempt: Attempt | None, said: Mapping[str, str], back: str
    ) -> Caller | Denied:
        """Who came back from single sign-on. His role is what Access gives to his name and groups."""
        provider = self._around.provider
        if provider is None or attempt is None:
            return Denied(401, "This login was not begun in this browser, or is an old one.")
        try:
            person = await provider.person(attempt, said, back)
        except RetryLater as error:
            return Denied(503, str(error))
        except Refused as error:
            log.warning("single_sign_on_refused", extra={"why": str(error)})
            return Denied(401, f"Single sign-on failed: {error}.")
        subject = hashlib.sha256(person.subject.encode()).hexdigest()[:32]
        return await self._with_access(Caller(SINGLE_SIGN_ON + subject, person.name, None, person.groups))

    async def _with_access(self, caller: Caller) -> Caller | Denied:
        root = await self._around.catalogs.root()
        if root is not None:
            caller = narrowed(caller, await self._around.catalogs.load(root))
        return caller if caller.grants else Denied(403, _NOTHING)
