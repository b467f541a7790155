"""Schedule and Window: when things are done, and when not."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from olympus.spec.kinds.base import (
    Duration,
    Json,
    Lasting,
    MomentText,
    Name,
    Nodes,
    Spec,
    Text,
    exactly_one,
)


class Expect(Spec):
    """What others supervise."""

    succeeded_within: Lasting


class ScheduleSpec(Spec):
    """Exactly one of cron, every and at says when the pipeline is started."""

    ONE_OF: ClassVar = ("cron", "every", "at")

    cron: Text | None = None
    """Five fields, or six with seconds first."""
    every: Lasting | None = None
    at: MomentText | None = None
    """A moment; without an offset it is in the schedule's time zone."""
    timezone: Text = "UTC"
    jitter: Duration | None = None
    missed: Literal["skip", "latest", "all"] = "skip"
    overlap: Literal["skip", "allow", "queue", "replace"] = "skip"
    except_: list[Name] = Field(default_factory=list)
    """Windows in which it does not fire."""
    pipeline: Name
    params: dict[str, Json] = Field(default_factory=dict)
    paused: bool = False
    expect: Expect | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self, self.ONE_OF, "a schedule")
        return self


class WindowSpec(Spec):
    """A span of time that begins at each slot of `cron` and lasts `duration`."""

    mode: Literal["allow", "deny"] = "deny"
    cron: Text
    duration: Lasting
    timezone: Text = "UTC"
    nodes: Nodes = Nodes()
