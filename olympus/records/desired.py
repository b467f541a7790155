"""What a node should be: `nodes/NODE/desired`, written by Zeus's controller alone, under its lease's guard.

Everything in it is resolved: expressions evaluated, templates rendered, durations in seconds, files named by
the digest of their content (in Hermes's chunks), so that a steward needs neither git nor the catalog.
The key's value is signed: `seals.Seals` writes and reads it.
"""

from __future__ import annotations

import hashlib
from typing import Any, Literal, Self, TypeAlias

import orjson
from pydantic import Field

from olympus.records.document import Document, Moment

Mode: TypeAlias = Literal["manage", "observe"]


class BlobRef(Document):
    """Content in Hermes's chunks, as `hermes.chunks.Blob` has it; `digest` is the SHA-256 of the whole."""

    digest: str
    size: int
    chunks: tuple[str, ...] = ()


class ProcessRun(Document):
    """A process of the steward's own. user None: Olympus's default (nobody under root, else its own user)."""

    command: tuple[str, ...]
    user: str | None = None
    env: dict[str, str] = Field(default_factory=dict)
    workdir: str | None = None
    memory_bytes: int | None = None
    tasks: int | None = None
    stop_grace: float = 10.0


class SystemdRun(Document):
    """A unit that systemd runs; `file` is its content where the specs bring it."""

    unit: str
    file: BlobRef | None = None
    enable: bool = False


class FileSpec(Document):
    """A file that the service needs. on_change: what its change asks for."""

    path: str
    content: BlobRef
    mode: int = 0o644
    owner: str | None = None
    group: str | None = None
    on_change: Literal["restart", "reload", "none"] = "restart"


class HealthCheck(Document):
    """Exactly one of http (a URL), tcp (`host:port`) and command; times in seconds."""

    http: str | None = None
    tcp: str | None = None
    command: tuple[str, ...] | None = None
    every: float = 10.0
    timeout: float = 2.0
    failures: int = 3


class RestartPolicy(Document):
    """The contract's defaults: 5 attempts within 10 minutes, 1 s × 2ⁿ up to a minute; stable after 10 s."""

    attempts: int = 5
    within: float = 600.0
    delay: float = 1.0
    max: float = 60.0


class InstanceSpec(Document):
    """One instance of a service on this node.

    digest:        of everything below that the steward puts into effect
    generation:    of what only a restart puts into effect (run, and files whose on_change is restart)
    restart_token: another text than the last honoured one: restart once. The controller spreads these over
                   nodes as `update` says; the steward just does it
    stop:          keep it stopped
    drain:         the node is being emptied: stop it gracefully; the instance goes when it is gone from here
    suspended:     leave it as it is: neither start, stop, restart nor heal; go on observing
    """

    service: str
    process: ProcessRun | None = None
    systemd: SystemdRun | None = None
    files: tuple[FileSpec, ...] = ()
    checks: tuple[HealthCheck, ...] = ()
    restart: RestartPolicy = RestartPolicy()
    depends_on: tuple[str, ...] = ()
    digest: str = ""
    generation: str = ""
    revision: str = ""
    restart_token: str = ""
    stop: bool = False
    drain: bool = False
    suspended: bool = False

    def sealed(self) -> Self:
        """The same with `digest` and `generation` computed."""
        # Content counts by its digest: into which pieces Hermes cut it does not matter.
        run = self.model_dump(
            mode="json", include={"process", "systemd"}, exclude={"systemd": {"file": {"chunks"}}}
        )
        files = [one.model_dump(mode="json", exclude={"content": {"chunks"}}) for one in self.files]
        rest = self.model_dump(mode="json", include={"checks", "restart", "depends_on"})
        started_with = {"run": run, "files": [one for one in files if one["on_change"] == "restart"]}
        return self.model_copy(
            update={
                "digest": _digest({"run": run, "files": files, **rest}),
                "generation": _digest(started_with),
            }
        )


Probe: TypeAlias = Literal["disk", "load", "memory", "certificate", "file", "http", "tcp", "command"]


class CheckDesired(Document):
    """A Check that this node makes; times in seconds.

    target:    the path of disk, file and certificate, the URL of http, the `host:port` of tcp and certificate
    command:   of a command alone
    fail_when: None: what the probe fails by when nothing else is said
    lasts:     how long it has to hold before the check fails
    """

    name: str
    probe: Probe
    target: str = ""
    command: tuple[str, ...] = ()
    every: float = 60.0
    timeout: float = 10.0
    fail_when: str | None = None
    lasts: float = 0.0
    clear: str | None = None


class WatchDesired(Document):
    """A LogWatch that this node keeps. spec: as `LogWatchSpec.to_json` has it, without `nodes`."""

    name: str
    spec: dict[str, Any]


class NodeDesired(Document):
    """The whole of one node.

    epoch:       of the controller's lease
    sequence:    grows with each document of that epoch: a steward takes nothing older than what it took
    revision:    the last one that changed something on this node
    mode:        observe: report what is, change nothing
    allow_users: other users than the default that services here may run as
    checks, watches: what is looked at on this node, also where it is only observed
    """

    node: str
    epoch: int
    sequence: int = 0
    revision: str
    mode: Mode = "manage"
    allow_users: tuple[str, ...] = ()
    instances: tuple[InstanceSpec, ...] = ()
    checks: tuple[CheckDesired, ...] = ()
    watches: tuple[WatchDesired, ...] = ()

    @property
    def order(self) -> tuple[int, int]:
        """By which of two documents the newer is known."""
        return self.epoch, self.sequence


class Refusal(Document):
    """`nodes/NODE/refusal`, written by that node: why it does not take what it is told. Absent: it takes it."""

    reason: str
    at: Moment


def _digest(value: object) -> str:
    return hashlib.sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).hexdigest()
