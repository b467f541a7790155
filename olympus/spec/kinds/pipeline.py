"""Pipeline: steps that are run, with params, on nodes."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from olympus.spec.kinds.base import (
    Argv,
    Condition,
    Count,
    CountOrPercentage,
    Duration,
    EnvName,
    EventType,
    HeaderName,
    HttpUrl,
    Identifier,
    Json,
    Lasting,
    Name,
    RelativePath,
    SelectorText,
    Spec,
    Templated,
    Text,
    UserName,
    exactly_one,
    formed,
)

MAX_STEPS: Final = 1_000

Role: TypeAlias = Literal["viewer", "operator", "admin"]

ACTIONS: Final = ("run", "script", "http", "emit", "wait", "approve", "pipeline", "service", "note")
"""A step does exactly one of these."""


class On(Spec):
    """Starts the pipeline when such an event comes; the last one wins within `debounce`."""

    event: EventType
    where: Condition | None = None
    params: dict[str, Json] = Field(default_factory=dict)
    debounce: Duration | None = None


class PipelineNodes(Spec):
    """Where it runs; without it, once, on the coordinator's node."""

    selector: Templated[SelectorText] = ""
    order: Templated[Literal["node", "step"]] = "node"
    """node: all steps on a batch, then the next batch; step: each step on all."""
    batch: Templated[CountOrPercentage] | None = None
    max: Templated[CountOrPercentage] | None = None
    stop_after_failures: Templated[Count] | None = None
    pick: Templated[Literal["one"]] | None = None


class Delegate(Spec):
    """Another node for this step."""

    selector: Templated[SelectorText] = ""
    pick: Templated[Literal["one"]] = "one"


class Concurrency(Spec):
    """Runs of one group wait for each other."""

    group: Text
    on_busy: Templated[Literal["queue", "skip", "replace"]] = "queue"


class Checkout(Spec):
    """A git repository that is cloned into the workspace."""

    repo: Text
    ref: Text = "HEAD"


class Workspace(Spec):
    """A private folder for each run and node."""

    checkout: Checkout | None = None
    files: list[RelativePath] = Field(default_factory=list)
    """Files of the specs' commit."""


class Retry(Spec):
    """`attempts` in all, the first `delay` apart, each wait `backoff` times the one before."""

    attempts: Templated[Count] = 1
    delay: Templated[Duration] = "1s"
    backoff: Templated[Annotated[float, Field(ge=1)]] = 1.0


class SecretHeader(Spec):
    secret: Name
    prefix: str = ""


class Http(Spec):
    """A request; 2xx and 3xx succeed."""

    method: Templated[Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]] = "GET"
    url: HttpUrl
    headers: dict[HeaderName, str | SecretHeader] = Field(default_factory=dict)
    body: Json = None


class Emit(Spec):
    """An event."""

    type: Templated[
        Annotated[
            str,
            formed(
                r"^[A-Za-z0-9][A-Za-z0-9_.-]*$",
                "is no type of an event: use letters, digits, '.', '-' and '_'",
                max_length=255,
            ),
        ]
    ]
    data: dict[str, Json] = Field(default_factory=dict)


class ServiceState(Spec):
    service: Name
    state: Templated[Literal["healthy", "running", "crashlooping", "stopped"]]


class CheckState(Spec):
    check: Name
    state: Templated[Literal["passing", "failing", "unknown"]]


class NodeState(Spec):
    node: Text
    state: Templated[Literal["alive", "lost"]]


State: TypeAlias = ServiceState | CheckState | NodeState


class Wait(Spec):
    """Until something is so; holds no worker."""

    until: Condition | State
    every: Templated[Lasting] = "5s"
    within: Templated[Lasting] = "1h"


class Approve(Spec):
    """Until a person says yes; holds no worker."""

    role: Templated[Role] = "operator"
    expires: Templated[Lasting] = "1d"
    message: str = ""


class PipelineCall(Spec):
    """Another pipeline; holds no worker."""

    name: Name
    params: dict[str, Json] = Field(default_factory=dict)


class ServiceCall(Spec):
    """Through the steward, which then doesn't fight it."""

    name: Name
    do: Templated[Literal["restart", "start", "stop"]] = "restart"


class Note(Spec):
    """Writes to the knowledge centre."""

    ONE_OF: ClassVar = ("append", "write")

    path: Text
    append: str | None = None
    write: str | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self, self.ONE_OF, "note")
        return self


class Artifacts(Spec):
    """Files that a step keeps for later ones, and for people."""

    save: dict[Identifier, Templated[RelativePath]] = Field(default_factory=dict)
    load: dict[Identifier, Templated[RelativePath]] = Field(default_factory=dict)


class Step(Spec):
    """Does exactly one of run, script, http, emit, wait, approve, pipeline, service and note."""

    ONE_OF: ClassVar = ACTIONS

    name: Identifier
    run: Argv | None = None
    """A program and its arguments; no shell is between."""
    script: Text | None = None
    """Constant text for /bin/sh; params come as OLY_PARAM_<NAME>."""
    http: Http | None = None
    emit: Emit | None = None
    wait: Wait | None = None
    approve: Approve | None = None
    pipeline: PipelineCall | None = None
    service: ServiceCall | None = None
    note: Note | None = None
    needs: list[Identifier] | None = None
    """Without it, a step follows the one before it; empty: it starts at once."""
    when: Condition | None = None
    on: Literal["success", "failure", "always"] = "success"
    delegate: Delegate | None = None
    timeout: Templated[Lasting] | None = None
    retry: Retry | None = None
    idempotent: Templated[bool] = False
    verify: Condition | None = None
    """Asked when it is unknown whether the step was done."""
    user: Templated[UserName] | None = None
    env: dict[EnvName, str] = Field(default_factory=dict)
    secrets: dict[EnvName, Name] = Field(default_factory=dict)
    artifacts: Artifacts | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self, self.ONE_OF, f"step '{self.name}'")
        return self

    @property
    def action(self) -> str:
        """Which of ACTIONS it does."""
        return next(name for name in ACTIONS if getattr(self, name) is not None)


class PipelineSpec(Spec):
    """Steps, and what they are given."""

    on: list[On] = Field(default_factory=list)
    params: dict[str, Any] | None = None
    """A JSON Schema."""
    nodes: PipelineNodes | None = None
    concurrency: Concurrency | None = None
    timeout: Templated[Lasting] | None = None
    workspace: Workspace | None = None
    steps: Annotated[list[Step], Field(min_length=1, max_length=MAX_STEPS)]
