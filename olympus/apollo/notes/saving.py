"""What becomes of a save: pure. Who says which revision they saw loses nothing, and overwrites nobody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from olympus.apollo.notes.model import Condition, Diverged, NeedsMatch, Note, Stale


@dataclass(frozen=True, slots=True)
class Write:
    """As it is."""

    created: bool


@dataclass(frozen=True, slots=True)
class Merge:
    """With what came in between; base: what both began with."""

    base: str


Decision: TypeAlias = Write | Merge


def decide(path: str, now: Note | None, when: Condition, seen: str | None, yours: str) -> Decision:
    """now: as main has it; seen: the text of the revision that the condition names, None where nobody knows it.

    Raises NeedsMatch, Stale or Diverged.
    """
    if now is None:
        return _where_none_is(path, when, seen, yours)
    if when.absent:
        raise Stale(f"there is a note '{path}' already")
    if not when.match:
        raise NeedsMatch(f"there is a note '{path}': say with If-Match which revision you changed")
    if "*" in when.match or now.revision in when.match:
        return Write(created=False)
    if seen is None:
        raise Stale(f"nobody knows revision {', '.join(when.match)} of note '{path}': read it again")
    return Merge(seen)


def _where_none_is(path: str, when: Condition, seen: str | None, yours: str) -> Write:
    if not when.match:
        return Write(created=True)
    if seen is None:
        raise Stale(f"there is no note '{path}'")
    raise Diverged(f"note '{path}' was deleted meanwhile", base=seen, theirs=None, yours=yours, revision="")
