"""Service: a program that is kept alive."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from olympus.spec.kinds.base import (
    AbsolutePath,
    Argv,
    Count,
    CountOrPercentage,
    Duration,
    EnvName,
    HostPort,
    HttpUrl,
    Lasting,
    Name,
    RelativePath,
    SelectorText,
    Spec,
    Text,
    UserName,
    exactly_one,
    formed,
)


class Placement(Spec):
    """On which nodes, and on how many of them."""

    selector: SelectorText = ""
    replicas: Annotated[int, Field(ge=0)] | Literal["each"] = 1
    """How many nodes run it; each: all that the selector names."""
    spread: Text | None = None
    """A label of nodes over whose values replicas are spread."""


class Process(Spec):
    """A process of Olympus's own."""

    command: Argv
    """The program and its arguments; no shell is between."""
    user: UserName | None = None
    env: dict[EnvName, str] = Field(default_factory=dict)
    workdir: AbsolutePath | None = None


class Systemd(Spec):
    """A unit that systemd runs."""

    unit: Annotated[
        str,
        formed(
            r"^[A-Za-z0-9@:._\\-]+\.(service|timer|socket|target|path)$",
            "is no unit: it ends with .service, .timer, .socket, .target or .path",
        ),
    ]
    file: RelativePath | None = None
    """The unit's file in the specs repository."""
    enable: bool = False


class Run(Spec):
    """What runs: exactly one of process and systemd."""

    ONE_OF: ClassVar = ("process", "systemd")

    process: Process | None = None
    systemd: Systemd | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self, self.ONE_OF, "run")
        return self


class File(Spec):
    """A file that the service needs."""

    path: AbsolutePath
    source: RelativePath
    """Where its content is in the specs repository."""
    mode: Annotated[str, formed(r"^0?[0-7]{3}$", "is no file mode: write three octal digits, as in 0644")] = (
        "0644"
    )
    owner: UserName | None = None
    group: UserName | None = None
    template: bool = False
    """Whether `${{ }}` in it is rendered."""
    on_change: Literal["restart", "reload", "none"] = "restart"


class HealthCheck(Spec):
    """Exactly one of http, tcp and command."""

    ONE_OF: ClassVar = ("http", "tcp", "command")

    http: HttpUrl | None = None
    tcp: HostPort | None = None
    """`host:port`."""
    command: Argv | None = None
    every: Lasting = "10s"
    timeout: Lasting = "2s"
    failures: Count = 3
    """So many in a row make it unhealthy."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self, self.ONE_OF, "a check")
        return self


class Restart(Spec):
    """The first of a burst at once, then delay × 2ⁿ ± 10 %; after `attempts` in `within` every `max`."""

    attempts: Count = 5
    within: Lasting = "10m"
    delay: Duration = "1s"
    max: Lasting = "1m"


class RunPipeline(Spec):
    """A pipeline that mends."""

    pipeline: Name


class Update(Spec):
    """How a change goes over the replicas."""

    canary: Count | None = None
    max_unavailable: CountOrPercentage = 1
    healthy_for: Duration = "10s"
    rollback: bool = False


class ServiceSpec(Spec):
    """One replica on any registered node, unless `nodes` says otherwise."""

    nodes: Placement = Placement()
    run: Run
    files: list[File] = Field(default_factory=list)
    checks: list[HealthCheck] = Field(default_factory=list)
    """Without checks, executed is running."""
    restart: Restart = Restart()
    on_failure: Literal["none", "failover"] | RunPipeline = "none"
    depends_on: list[Name] = Field(default_factory=list)
    update: Update | None = None
