"""Rule and RuleTest: which problem has which remedy, and how that is tested."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from olympus.spec.duration import parse_duration
from olympus.spec.kinds.base import (
    Condition,
    Count,
    Duration,
    EventType,
    HttpUrl,
    Identifier,
    Json,
    Lasting,
    Name,
    Percentage,
    Spec,
    Templated,
    Text,
    exactly_one,
)
from olympus.spec.kinds.pipeline import Approve, CheckState, NodeState, ServiceState

MAX_NEED: Final = 4_000
"""So many events or values a window may wait for: what is kept of each key is bounded."""

Need: TypeAlias = Annotated[int, Field(ge=1, le=MAX_NEED)]


class EventMatch(Spec):
    event: EventType
    where: Condition | None = None


class CountOf(Spec):
    of: EventMatch
    at_least: Need


class DistinctOf(Spec):
    of: EventMatch
    field: Text
    at_least: Need


class RateOf(Spec):
    of: EventMatch
    per_second: Annotated[float, Field(gt=0)]


class Correlate(Spec):
    """Exactly one of all, any, sequence, absent, count, distinct and rate, within a window."""

    ONE_OF: ClassVar = ("all", "any", "sequence", "absent", "count", "distinct", "rate")

    within: Lasting
    slack: Duration = "2s"
    by: Text | list[Text] | None = None
    all: Annotated[list[EventMatch], Field(min_length=1)] | None = None
    any: Annotated[list[EventMatch], Field(min_length=1)] | None = None
    sequence: Annotated[list[EventMatch], Field(min_length=1)] | None = None
    absent: EventMatch | None = None
    count: CountOf | None = None
    distinct: DistinctOf | None = None
    rate: RateOf | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self, self.ONE_OF, "correlate")
        if self.rate is not None:
            need = self.rate.per_second * parse_duration(self.within).total_seconds()
            if need > MAX_NEED:
                raise ValueError(
                    f"{self.rate.per_second:g} per second within {self.within} are {need:.0f} events, more than "
                    f"{MAX_NEED} are not counted: make within shorter"
                )
        return self


class AskArgos(Spec):
    node: Text
    contains: Text | None = None
    pattern: Text | None = None
    last: Templated[Lasting] = "5m"


class AskApollo(Spec):
    """Exactly one of asset, note and search."""

    ONE_OF: ClassVar = ("asset", "note", "search")

    asset: Text | None = None
    note: Text | None = None
    search: Text | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self, self.ONE_OF, "apollo")
        return self


class AskZeus(Spec):
    """Exactly one of service and node."""

    ONE_OF: ClassVar = ("service", "node")

    service: Text | None = None
    node: Text | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self, self.ONE_OF, "zeus")
        return self


class AskHephaestus(Spec):
    pipeline: Name
    runs: Templated[Count] = 1


class AskHttp(Spec):
    url: HttpUrl


class Ask(Spec):
    """Exactly one of argos, apollo, zeus, hephaestus and http."""

    ONE_OF: ClassVar = ("argos", "apollo", "zeus", "hephaestus", "http")

    argos: AskArgos | None = None
    apollo: AskApollo | None = None
    zeus: AskZeus | None = None
    hephaestus: AskHephaestus | None = None
    http: AskHttp | None = None
    timeout: Templated[Lasting] = "5s"
    unknown: Templated[Literal["proceed", "stop", "escalate"]] = "stop"

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self, self.ONE_OF, "a question")
        return self


class Verify(Spec):
    """A condition that must hold, or an event that must stay away, within a time."""

    ONE_OF: ClassVar = ("absent", "until")

    absent: EventMatch | None = None
    until: Condition | ServiceState | CheckState | NodeState | None = None
    within: Templated[Lasting]

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self, self.ONE_OF, "verify")
        return self


class Remedy(Spec):
    """A rung of the ladder."""

    pipeline: Name
    params: dict[str, Json] = Field(default_factory=dict)
    approve: Approve | None = None
    verify: Verify


class Otherwise(Spec):
    pipeline: Name
    params: dict[str, Json] = Field(default_factory=dict)


class Limits(Spec):
    by: Text | None = None
    cooldown: Duration | None = None
    per_hour: Count | None = None
    max_nodes: Percentage | Count | None = None


class RuleSpec(Spec):
    """Events (exactly one of on and correlate) → questions → condition → remedies."""

    ONE_OF: ClassVar = ("on", "correlate")

    on: EventMatch | None = None
    correlate: Correlate | None = None
    ask: dict[Identifier, Ask] = Field(default_factory=dict)
    when: Condition | None = None
    solve: Annotated[list[Remedy], Field(min_length=1)]
    order: Literal["listed", "success"] = "listed"
    otherwise: Otherwise | None = None
    limits: Limits | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self, self.ONE_OF, "a rule")
        return self


class Given(Spec):
    """Exactly one of event and answers: something happens, or from now on questions are answered so."""

    ONE_OF: ClassVar = ("event", "answers")

    at: Duration
    event: EventType | None = None
    node: Text | None = None
    data: dict[str, Any] = Field(default_factory=dict)
    answers: dict[Identifier, Any] | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self, self.ONE_OF, "what is given")
        return self


class Expected(Spec):
    """Exactly one of run and incident."""

    ONE_OF: ClassVar = ("run", "incident")

    at: Duration | None = None
    run: Name | None = None
    params: dict[str, Any] | None = None
    incident: Literal["open", "solving", "verifying", "resolved", "escalated", "silenced"] | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self, self.ONE_OF, "an expectation")
        return self


class RuleTestSpec(Spec):
    """Events in, decisions out, on a virtual clock."""

    rule: Name
    answers: dict[Identifier, Any] = Field(default_factory=dict)
    given: Annotated[list[Given], Field(min_length=1)]
    expect: list[Expected] = Field(default_factory=list)
    never: list[Expected] = Field(default_factory=list)
