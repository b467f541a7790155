"""An order: one attempt of one step on one node, with nothing left to look up or to render; and its outcome.

    coordinator                         Hermes                                  the node's worker
    Put order (pending) ───────▶ nodes/NODE/orders/ID ◀─── Cas to started, guarded by
                                                           CheckAbsent(ID/cancel)
    Put ID/cancel ─────────────▶ nodes/NODE/orders/ID/cancel ──▶ never starts it, or ends the whole tree
    Delete both, with the run ◀─ event order-finished ◀─── Cas to finished with the outcome

The node publishes order-finished in the transaction of its Cas; order-started only if the attempt still runs
after STARTED_AFTER, so that a quick step costs two transactions less.
The key has one writer at a time: the coordinator until it is taken, then the node. The worker Cas-es from the
version that it read, so an order that was withdrawn (deleted) can never begin. A worker that starts up looks
through its orders: pending ones are taken, started ones whose process is gone without an exit code end as
`unknown`, finished ones are left (the coordinator removes them).
"""

from __future__ import annotations

import logging
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import Field

from olympus.hermes import keys
from olympus.hermes.kv import Entry
from olympus.kernel.errors import Invalid
from olympus.records.desired import BlobRef
from olympus.records.document import Document, Moment

log = logging.getLogger("olympus.hephaestus")

ORDER_STARTED: Final = "olympus.hephaestus.order-started"
"""Data: {order, run, step, node, attempt, startedAt}. Told of attempts that run on, not of quick ones."""

STARTED_AFTER: Final = 0.025
"""Seconds."""

ORDER_FINISHED: Final = "olympus.hephaestus.order-finished"
"""Data: {order, run, step, node, attempt, outcome}; outcome as `Outcome.to_json()`."""

MAX_OUTPUT: Final = 64 * 1024
"""Bytes of a step's output (as JSON) that are kept with the run; what is more belongs into an artifact."""


class SecretRef(Document):
    """A secret by reference; only the worker resolves it. `source` is the Secret's `from`: {file: …}."""

    secret: str
    source: dict[str, Any]
    prefix: str = ""


class RunAction(Document):
    """A program with its arguments, as the kernel takes them."""

    do: Literal["run"]
    argv: tuple[str, ...]


class ScriptAction(Document):
    """Constant text for `/bin/sh`; parameters come as OLY_PARAM_*."""

    do: Literal["script"]
    text: str


class HttpAction(Document):
    """A request; `body` is sent as JSON unless it is a text. Status 2xx and 3xx succeed."""

    do: Literal["http"]
    method: str = "GET"
    url: str
    headers: dict[str, str | SecretRef] = Field(default_factory=dict)
    body: Any = None


Action: TypeAlias = Annotated[RunAction | ScriptAction | HttpAction, Field(discriminator="do")]


class Checkout(Document):
    """A git repository at a ref, cloned into the workspace before the first step of the run on this node."""

    repo: str
    ref: str = "HEAD"


class WorkFile(Document):
    """A file of the specs' commit; `path` is relative to the workspace."""

    path: str
    content: BlobRef
    mode: int = 0o644


class Workspace(Document):
    """The private folder of a run on a node: `key` names it (one per run and node), made when needed."""

    key: str
    checkout: Checkout | None = None
    files: tuple[WorkFile, ...] = ()


class Load(Document):
    """Put the artifact `name`, saved on `node` by an earlier step of the run, at `path` of the workspace."""

    name: str
    path: str
    node: str
    sha256: str = ""


class Artifact(Document):
    """What a step saved."""

    name: str
    size: int
    sha256: str


class Limits(Document):
    """Of the step's whole tree; the worker has its own upper limits."""

    memory_bytes: int | None = None
    tasks: int | None = None
    log_bytes: int | None = None


class Outcome(Document):
    """How an attempt ended.

    exit:     the exit code, negative for a signal; for http the status; None where there is none
    output:   JSON: what was written to $OLY_OUTPUT, else the last line where it is JSON, else None. For http
              {status, headers, body}
    error:    a sentence for people where it did not succeed (masked); `timed out after 10 s` is a failure
    """

    state: Literal["succeeded", "failed", "cancelled", "unknown"]
    exit: int | None = None
    output: Any = None
    error: str = ""
    started_at: Moment | None = None
    finished_at: Moment | None = None
    artifacts: tuple[Artifact, ...] = ()


_NOT_SAID: Final = {"signature", "state", "started_at", "outcome"}


class Order(Document):
    """See the module. Times in seconds.

    epoch:       of the coordinator's lease; a worker leaves a lower one than the highest it has seen
    params:      the run's, rendered; they become OLY_PARAM_<NAME>
    env:         declared environment, rendered
    secrets:     environment variable → secret
    user:        None: the default; else one of allow_users, or Olympus's own
    allow_users: what the Node's declaration allows
    timeout:     of this attempt, counted from its start
    deadline:    when the run itself must be over, if it has a time-out
    share:       of what is saved, what a step on another node may load
    grace:       between SIGTERM and SIGKILL
    signature:   of `canonical()` by a controller (`hermes.trust`); the node refuses an order without
    state:       pending until the worker takes it; started, finished are written by the worker
    """

    id: str
    run: str
    pipeline: str
    step: str
    node: str
    attempt: int
    epoch: int
    revision: str
    issued_at: Moment
    action: Action
    params: dict[str, Any] = Field(default_factory=dict)
    env: dict[str, str] = Field(default_factory=dict)
    secrets: dict[str, SecretRef] = Field(default_factory=dict)
    user: str | None = None
    allow_users: tuple[str, ...] = ()
    timeout: float | None = None
    deadline: Moment | None = None
    grace: float = 5.0
    workspace: Workspace
    save: dict[str, str] = Field(default_factory=dict)
    share: tuple[str, ...] = ()
    load: tuple[Load, ...] = ()
    limits: Limits = Limits()
    idempotent: bool = False
    cause: str | None = None
    depth: int = 0
    signature: str | None = None
    state: Literal["pending", "started", "finished"] = "pending"
    started_at: Moment | None = None
    outcome: Outcome | None = None

    def canonical(self) -> bytes:
        """What is signed: all that the coordinator said, and not what the worker adds.

        Without defaults: a worker of an earlier version can check an order, unless it says what that one can't do.
        """
        return self.model_dump_json(by_alias=True, exclude_defaults=True, exclude=_NOT_SAID).encode()


def read_order(entry: Entry | None) -> Order | None:
    """None also where it is no order: a node may write what it likes there, and stops nobody by it."""
    try:
        return None if entry is None else Order.from_bytes(entry.value)
    except Invalid as error:
        log.warning("order_not_read", extra={"why": str(error)})
        return None


class Cancel(Document):
    """The mark `nodes/NODE/orders/ID/cancel`: SIGTERM, then after the grace SIGKILL, to the whole tree."""

    at: Moment
    reason: str


def cancel_key(node: str, order_id: str) -> str:
    """The mark's key: beside the order, so that its watcher sees it and neither writer meets the other."""
    return keys.order(node, order_id) + "/cancel"
