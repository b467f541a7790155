"""Conditions as Kubernetes and Flux have them: what is true of a resource, since when, and why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Literal, TypeAlias

from olympus.records.document import Document, Moment

Truth: TypeAlias = Literal["True", "False", "Unknown"]


class Condition(Document):
    """`reason` is one CamelCase word for programs, `message` a sentence for people.

    type: Ready (it is as declared), Reconciling (it is being made so), Stalled (nothing changes until an
    operator changes something)
    """

    type: str
    status: Truth
    reason: str
    message: str = ""
    since: Moment
    observed_revision: str | None = None


def condition(conditions: Iterable[Condition], type_: str) -> Condition | None:
    """The condition of that type."""
    return next((one for one in conditions if one.type == type_), None)


def merged(before: Sequence[Condition], after: Iterable[Condition], now: datetime) -> tuple[Condition, ...]:
    """`after`, where each keeps its `since` of before if its status did not change, else has `now`."""
    known = {one.type: one for one in before}
    out = []
    for one in after:
        old = known.get(one.type)
        since = old.since if old is not None and old.status == one.status else now
        out.append(one.model_copy(update={"since": since}))
    return tuple(out)
