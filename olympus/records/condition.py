"""Conditions as Kubernetes and Flux have them: what is true of a resource, since when, and why."""

from __future__ import annotations

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
