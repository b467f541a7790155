"""Check: active monitoring of hosts."""

from __future__ import annotations

from typing import ClassVar, Final, Self

from pydantic import model_validator

from olympus.spec.kinds.base import (
    AbsolutePath,
    Argv,
    Condition,
    Duration,
    HostPort,
    HttpUrl,
    Lasting,
    Nodes,
    Spec,
    exactly_one,
)

VALUES: Final[dict[str, dict[str, type | None]]] = {
    "disk": {"used_percent": float, "free_bytes": int},
    "load": {"one": float, "five": float, "fifteen": float},
    "memory": {"used_percent": float},
    "certificate": {"days_left": float},
    "file": {"exists": bool, "size": int, "age_seconds": float},
    "http": {"status": int, "seconds": float},
    "tcp": {"seconds": float},
    "command": {"exit": int, "output": None},
}
"""What `value` has for each probe, and of which type it is (None: of any)."""


class Disk(Spec):
    path: AbsolutePath = "/"


class Load(Spec):
    """No settings."""


class Memory(Spec):
    """No settings."""


class Certificate(Spec):
    """Of a file, or of a server."""

    ONE_OF: ClassVar = ("file", "server")

    file: AbsolutePath | None = None
    server: HostPort | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self, self.ONE_OF, "certificate")
        return self


class FileProbe(Spec):
    path: AbsolutePath


class HttpProbe(Spec):
    url: HttpUrl


class TcpProbe(Spec):
    address: HostPort


class CommandProbe(Spec):
    command: Argv


class CheckSpec(Spec):
    """On every node that the selector names; an event only when the state changes."""

    ONE_OF: ClassVar = tuple(VALUES)

    nodes: Nodes = Nodes()
    disk: Disk | None = None
    load: Load | None = None
    memory: Memory | None = None
    certificate: Certificate | None = None
    file: FileProbe | None = None
    http: HttpProbe | HttpUrl | None = None
    tcp: TcpProbe | HostPort | None = None
    command: CommandProbe | Argv | None = None
    every: Lasting = "1m"
    timeout: Lasting = "10s"
    fail_when: Condition | None = None
    for_: Duration | None = None
    clear: Condition | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self, self.ONE_OF, "a check")
        return self

    @property
    def probe(self) -> str:
        """Which of VALUES it is."""
        return next(name for name in VALUES if getattr(self, name) is not None)
