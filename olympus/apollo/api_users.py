"""Local users, and the sessions of all who logged in."""

from __future__ import annotations

from typing import Any

from quart import Response

from olympus.apollo.login import Denied, Login
from olympus.apollo.problems import Problem
from olympus.apollo.request import Request, json_answer, paged
from olympus.apollo.sessions import Sessions
from olympus.apollo.users import Users

_CREATE = 'the body is {"name": TEXT, "password": TEXT, "role": ROLE, "groups": [TEXT]}'
_CHANGE = 'the body is {"password": TEXT}, and where it is your own, "old" with it'


class UserHandlers:
    def __init__(self, users: Users, login: Login) -> None:
        self._users = users
        self._login = login

    async def listed(self, request: Request) -> Response:
        return paged(await self._users.all(), request)

    async def create(self, request: Request) -> Response:
        """`{"name": …, "password": …, "role": …, "groups": […]}`; without a role Access alone gives one."""
        body = request.json()
        name, password, role = body.get("name"), body.get("password"), body.get("role")
        groups = body.get("groups") or []
        if not isinstance(name, str) or not isinstance(password, str) or not isinstance(role, str | None):
            raise Problem(422, _CREATE)
        if not isinstance(groups, list) or not all(isinstance(one, str) and one for one in groups):
            raise Problem(422, _CREATE)
        made: dict[str, Any] = await self._users.create(name, password, role, groups)  # type: ignore[arg-type]
        return json_answer(made, 201)

    async def remove(self, request: Request) -> Response:
        await self._users.remove(request.params["name"])
        return Response(b"", 204)

    async def change_password(self, request: Request) -> Response:
        """Anybody's by an admin; one's own with the old one."""
        body, name = request.json(), request.params["name"]
        password, old = body.get("password"), body.get("old")
        if not isinstance(password, str) or not isinstance(old, str | None):
            raise Problem(422, _CHANGE)
        if not request.by.may_all("admin"):
            if request.by.token != f"user/{name}" or old is None:
                raise Problem(403, "who is no admin changes his own password, with the old one")
            checked = await self._login.by_password(name, old, request.address)
            if isinstance(checked, Denied):
                more = {"retryAfter": checked.wait} if checked.wait else {}
                raise Problem(429 if checked.wait else 403, checked.why, **more)
        await self._users.change_password(name, password)
        return Response(b"", 204)


class SessionHandlers:
    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def listed(self, request: Request) -> Response:
        """An admin's are everybody's; others see their own."""
        return paged(await self._sessions.all(_whose(request)), request)

    async def revoke(self, request: Request) -> Response:
        await self._sessions.revoke(request.params["id"], of=_whose(request))
        return Response(b"", 204)


def _whose(request: Request) -> str | None:
    return None if request.by.may_all("admin") else request.by.token
