"""A plan: what applying a commit would do, node by node. Made by Zeus; it lies nowhere, it is an answer."""

from __future__ import annotations

from collections import Counter
from typing import Literal, TypeAlias

from pydantic import Field

from olympus.records.document import Document

Verb: TypeAlias = Literal["create", "update", "delete", "start", "stop", "restart", "move"]

_SIGNS: dict[str, str] = {"create": "+", "update": "~", "delete": "-"}


class Action(Document):
    """One thing that would be done.

    create, update, delete are of resources (`node` is None); start, stop, restart, move of a service's
    instances, on `node` (a move: to it). `diff` says line by line what changes.
    """

    verb: Verb
    kind: str
    name: str
    node: str | None = None
    reason: str = ""
    diff: str = ""


class Plan(Document):
    """`from_` and `to` are revisions; from_ is None before the first. No actions: nothing would be done.

    foreseen: what rules that it changes would have done in the last day, in words
    """

    from_: str | None = Field(default=None, alias="from")
    to: str
    actions: tuple[Action, ...] = ()
    warnings: tuple[str, ...] = ()
    foreseen: tuple[str, ...] = ()

    def summary(self) -> str:
        """`+1 service, ~1 schedule`: what happens to resources; `no changes` where nothing does."""
        counts = Counter((_SIGNS[one.verb], one.kind.lower()) for one in self.actions if one.verb in _SIGNS)
        said = [
            f"{sign}{count} {kind}{_plural(kind, count)}"
            for sign in _SIGNS.values()
            for (its, kind), count in sorted(counts.items())
            if its == sign
        ]
        return ", ".join(said) or "no changes"


def _plural(kind: str, count: int) -> str:
    if count == 1:
        return ""
    return "es" if kind.endswith(("s", "ch")) else "s"
