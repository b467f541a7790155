"""A run: `runs/ID`, written `queued` by who starts it, and from then on by Hephaestus's coordinator alone.

`live-runs/ID` is there while the run is not finished, so that a leader that takes over reads only those.
`pipelines/DIGEST` holds the pipeline as the run was started with it; a push in between changes nothing.
"""

from __future__ import annotations

import zlib
from typing import Any, Final, Literal, TypeAlias

from pydantic import Field

from olympus.records.desired import BlobRef
from olympus.records.document import Document, Moment

RunState: TypeAlias = Literal["queued", "running", "waiting", "succeeded", "failed", "cancelled", "unknown"]
StepState: TypeAlias = Literal[
    "pending", "running", "waiting", "succeeded", "failed", "skipped", "cancelled", "unknown"
]

FINISHED: Final = frozenset({"succeeded", "failed", "cancelled", "unknown"})
"""States that a run doesn't leave by itself; with `skipped`, also those of a step."""

_COMPRESS_OVER: Final = 16 * 1024


class Cause(Document):
    """Why a run was started. kind: user, schedule, webhook, event, run (a pipeline step), incident."""

    event: str | None = None
    kind: str = "user"
    name: str = ""


class Parent(Document):
    """The step that started this run, and waits for it."""

    run: str
    step: str
    target: str


class Target(Document):
    """A node as its declaration says it: what expressions see as `node` and `target`."""

    name: str
    labels: dict[str, str] = Field(default_factory=dict)
    address: str | None = None


class Claim(Document):
    """A concurrency group that the run belongs to."""

    group: str
    on_busy: Literal["queue", "skip", "replace"] = "queue"


class Stop(Document):
    """That the run was told to end early, and what it is then."""

    at: Moment
    reason: str
    by: str = ""
    state: Literal["cancelled", "failed"] = "cancelled"


class StepRun(Document):
    """One step on one node.

    node:     where it is executed
    target:   the node that it is for; another than `node` only where the step is delegated
    message:  why it is as it is: an error, the clause that was false
    order:    the attempt that was handed to a worker, while it runs
    failures: attempts that failed since the run was started or retried
    losses:   attempts of which it is unknown whether they were done
    wake_at:  when the coordinator looks at it again: the next attempt, the next poll
    deadline: when waiting ends
    token:    what it waits for: the child run, the intent
    role:     who may approve
    by:       who approved
    artifacts: what it saved, and the SHA-256 of its content
    """

    name: str
    node: str
    attempt: int = 0
    state: StepState = "pending"
    exit: int | None = None
    started_at: Moment | None = None
    finished_at: Moment | None = None
    output: Any = None
    target: str
    message: str = ""
    order: str | None = None
    failures: int = 0
    losses: int = 0
    wake_at: Moment | None = None
    deadline: Moment | None = None
    token: str | None = None
    role: str = ""
    by: str = ""
    artifacts: dict[str, str] = Field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str]:
        return self.name, self.target

    @property
    def ended(self) -> bool:
        return self.state in FINISHED or self.state == "skipped"


class Run(Document):
    """One run of a pipeline.

    spec:       digest of the pipeline that it runs (`pipelines/DIGEST`)
    event:      the event that caused it, as CloudEvent, for expressions
    begun:      id of its run-started event: the cause of all events that follow
    depth:      of its run-started event
    targets:    the nodes, resolved when it began; `batch` of them at a time
    delegates:  by step, the nodes that it may be delegated to
    deadline:   when its time-out ends it
    stop:       it was told to end early
    retries:    how often `retry` continued it, the last time because of the event `asked`
    """

    id: str
    pipeline: str
    revision: str
    params: dict[str, Any] = Field(default_factory=dict)
    state: RunState = "queued"
    cause: Cause = Cause()
    created_at: Moment
    started_at: Moment | None = None
    finished_at: Moment | None = None
    steps: tuple[StepRun, ...] = ()
    message: str = ""
    spec: str
    event: dict[str, Any] | None = None
    begun: str | None = None
    depth: int = 0
    parent: Parent | None = None
    claims: tuple[Claim, ...] = ()
    targets: tuple[Target, ...] = ()
    delegates: dict[str, tuple[Target, ...]] = Field(default_factory=dict)
    batch: int = 0
    deadline: Moment | None = None
    stop: Stop | None = None
    retries: int = 0
    asked: str = ""

    @property
    def finished(self) -> bool:
        return self.state in FINISHED

    def to_bytes(self) -> bytes:
        """Compressed where it is large: a run on a hundred nodes says much the same a hundred times."""
        raw = super().to_bytes()
        return zlib.compress(raw, 1) if len(raw) > _COMPRESS_OVER else raw

    @staticmethod
    def _unpacked(raw: bytes) -> bytes:
        return raw if raw.startswith(b"{") else zlib.decompress(raw)


class StoredPipeline(Document):
    """`pipelines/DIGEST`: a Pipeline's spec as declared, and the files of its commit for its workspace."""

    name: str
    spec: dict[str, Any]
    files: dict[str, BlobRef] = Field(default_factory=dict)


ROLES: Final = {"viewer": 0, "operator": 1, "admin": 2}


def may_approve(role: str, wanted: str) -> bool:
    """Whether `role` is at least `wanted`; an unknown role never is."""
    return ROLES.get(role, -1) >= ROLES.get(wanted, len(ROLES) - 1)
