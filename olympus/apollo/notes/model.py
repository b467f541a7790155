"""Notes as they are stored and asked for, and what may stand in the way of saving one."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias

from olympus.kernel.errors import Conflict

ChangeKind: TypeAlias = Literal["created", "edited", "renamed", "deleted"]


@dataclass(frozen=True, slots=True)
class Note:
    """As main has it. revision: the commit that last changed it, which is also its ETag."""

    path: str
    title: str
    tags: tuple[str, ...]
    review: str | None
    markdown: str
    revision: str
    author: str
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Gone:
    """A note that was deleted, and which revision has it for the last time."""

    path: str
    title: str
    revision: str
    last: str
    author: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Changed:
    """What one commit did to one file. before, after: blobs; "" where there is none. was: its path before."""

    revision: str
    author: str
    at: datetime
    message: str
    kind: ChangeKind
    file: str
    before: str = ""
    after: str = ""
    was: str | None = None


@dataclass(frozen=True, slots=True)
class Condition:
    """Under which a note may be changed. match: revisions of If-Match, `*` is any; absent: there must be none."""

    match: tuple[str, ...] = ()
    absent: bool = False


@dataclass(frozen=True, slots=True)
class Why:
    """Who changes it and what they say; trailers: what led to it, for programs."""

    by: str
    message: str = ""
    trailers: tuple[tuple[str, str], ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Saved:
    """What became of a save."""

    note: Note
    created: bool = False
    merged: bool = False


class NeedsMatch(Conflict):
    """The note is there, and who writes does not say which revision of it they saw."""


class Stale(Conflict):
    """The condition does not hold, and nothing can be merged."""


class Diverged(Conflict):
    """Two changed the same lines. All three texts are here, so that nothing is lost; None: there is no note."""

    def __init__(
        self, message: str, *, base: str | None, theirs: str | None, yours: str, revision: str
    ) -> None:
        super().__init__(message)
        self.base = base
        self.theirs = theirs
        self.yours = yours
        self.revision = revision
