"""As whom programs run: unprivileged unless somebody allowed more."""

from __future__ import annotations

import os
import pwd
from collections.abc import Collection
from functools import lru_cache

from olympus.kernel.errors import Refused


@lru_cache(maxsize=256)
def account(name: str) -> pwd.struct_passwd:
    """Raises Refused where this machine has no such user."""
    try:
        return pwd.getpwnam(name)
    except KeyError as error:
        raise Refused(f"this node has no user '{name}'") from error


def own_name() -> str:
    """Whom Olympus itself runs as."""
    return _name_of(os.geteuid())


@lru_cache(maxsize=16)
def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def default_user() -> str:
    """`nobody` where Olympus is root, else Olympus's own user."""
    return "nobody" if os.geteuid() == 0 else own_name()


def resolve_user(wanted: str | None, allowed: Collection[str]) -> str:
    """The user that a program is to run as. Raises Refused where that is not allowed or not possible."""
    user = wanted or default_user()
    if user == default_user():
        return user
    if user not in allowed:
        raise Refused(
            f"user '{user}' is not allowed on this node: its Node spec has to name it in allow.users, "
            f"or leave 'user' out to run as '{default_user()}'"
        )
    account(user)
    if os.geteuid() != 0 and user != own_name():
        raise Refused(f"Olympus runs as '{own_name()}' here, so that it can't run programs as '{user}'")
    return user
