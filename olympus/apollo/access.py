"""What a caller may do: the role of its token or user, narrowed by the Access documents that name it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

from olympus.spec.catalog import Catalog
from olympus.spec.selector import Selector, parse_selector

Role: TypeAlias = Literal["viewer", "operator", "admin"]

ROLES: Final[tuple[Role, ...]] = ("viewer", "operator", "admin")
"""Each may what those before it may."""


EVERYTHING: Final = Selector()


@dataclass(frozen=True, slots=True)
class Grant:
    """A role on the resources that `selector` matches and on the notes below the folders of `notes`.

    No selector: on all resources; no folders: on all notes.
    """

    role: Role
    selector: Selector = EVERYTHING
    notes: tuple[str, ...] = ()

    def covers(self, role: Role) -> bool:
        return ROLES.index(self.role) >= ROLES.index(role)

    @property
    def whole(self) -> bool:
        return not self.selector.requirements and not self.notes

    def covers_note(self, path: str) -> bool:
        return not self.notes or any(path.startswith(folder.rstrip("/") + "/") for folder in self.notes)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks.

    token:  the id of its token, or `user/NAME`
    own:    the role of its token or user; None: a user has what Access gives
    access: what the Access documents that name it grant; None: none names it
    """

    token: str
    name: str
    own: Role | None
    groups: tuple[str, ...] = ()
    access: tuple[Grant, ...] | None = None

    @property
    def grants(self) -> tuple[Grant, ...]:
        if self.access is not None:
            return self.access
        return (Grant(self.own),) if self.own is not None else ()

    @property
    def role(self) -> str:
        """The highest that it has anywhere; `nobody` where it has none."""
        return max((grant.role for grant in self.grants), key=ROLES.index, default="nobody")

    def may(self, role: Role) -> bool:
        """Somewhere."""
        return any(grant.covers(role) for grant in self.grants)

    def may_all(self, role: Role) -> bool:
        """On everything."""
        return any(grant.covers(role) and grant.whole for grant in self.grants)

    def may_on(self, role: Role, labels: Mapping[str, str] | None) -> bool:
        """On a resource with these labels; None: on one that git does not declare."""
        return self.may_all(role) or any(
            grant.covers(role)
            and (not grant.selector.requirements or (labels is not None and grant.selector.matches(labels)))
            for grant in self.grants
        )

    def may_note(self, role: Role, path: str) -> bool:
        """On the note at `path`."""
        return any(grant.covers(role) and grant.covers_note(path) for grant in self.grants)


def narrowed(caller: Caller, catalog: Catalog) -> Caller:
    """The caller with what the Access documents that name it, or one of its groups, say."""
    groups = set(caller.groups)
    named = [
        one.spec
        for one in catalog.all("Access")
        if caller.name in one.spec.users or groups.intersection(one.spec.groups)
    ]
    if not named:
        return replace(caller, access=None)
    most: Role = caller.own or "admin"
    grants = tuple(
        Grant(min(spec.role, most, key=ROLES.index), parse_selector(spec.selector), tuple(spec.notes))
        for spec in named
    )
    return replace(caller, access=grants)
