"""What the coordinator knows of a run, what happens to it, and what is to be done about it. All frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeAlias

from olympus.hephaestus.orders import Order, Outcome
from olympus.hephaestus.recipe import Recipe
from olympus.records.run import Claim, Run, Target


@dataclass(frozen=True, slots=True)
class RunState:
    """The record is all that is remembered: with the recipe it can be decided on after any restart."""

    run: Run
    recipe: Recipe


# --- facts -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Requested:
    """Somebody wrote this run, `queued`; or a new leader found it so."""

    run: Run
    recipe: Recipe


@dataclass(frozen=True, slots=True)
class Resumed:
    """A new leader found this run under way."""

    run: Run
    recipe: Recipe


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Its recipe is gone or wrong: it can't be run."""

    run: Run
    reason: str


@dataclass(frozen=True, slots=True)
class Admitted:
    """It is first in all groups that it claims."""


@dataclass(frozen=True, slots=True)
class GroupBusy:
    """Another run is in its group, and `onBusy: skip` says what then."""

    group: str
    run: str


@dataclass(frozen=True, slots=True)
class Placed:
    """The nodes that match now. `unfit` says of those that can't be used why."""

    targets: tuple[Target, ...]
    delegates: Mapping[str, tuple[Target, ...]] = field(default_factory=dict)
    unfit: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NotPlaced:
    """No node will do."""

    reason: str


@dataclass(frozen=True, slots=True)
class OrderStarted:
    order: str
    at: datetime


@dataclass(frozen=True, slots=True)
class OrderEnded:
    """A worker's answer; or the coordinator's, where the worker never got the order or is gone.

    keep: the order stays in Hermes, with its mark, for a worker that may come back to it
    """

    order: str
    node: str
    outcome: Outcome
    keep: bool = False


@dataclass(frozen=True, slots=True)
class OrderMissing:
    """The record says it was given, Hermes doesn't have it: it was never taken."""

    order: str


@dataclass(frozen=True, slots=True)
class Observed:
    """What `Observe` asked. `over`: waiting longer is no use."""

    step: str
    target: str
    value: bool
    because: str
    over: bool = False


@dataclass(frozen=True, slots=True)
class ChildEnded:
    """A run that a `pipeline` step started has finished, or could not be started."""

    run: str
    state: Literal["succeeded", "failed", "cancelled", "unknown"]
    output: Any = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Approved:
    """An operator's answer to an `approve` step. target None: on all nodes that ask."""

    step: str
    by: str
    role: str
    yes: bool = True
    comment: str = ""


@dataclass(frozen=True, slots=True)
class CancelAsked:
    reason: str
    by: str = ""


@dataclass(frozen=True, slots=True)
class RetryAsked:
    """Go on from what failed; what succeeded stays. `request`: its event, so that it counts once."""

    run: Run
    recipe: Recipe
    by: str
    request: str


@dataclass(frozen=True, slots=True)
class NoteAnswered:
    """What became of `WriteNote`. output: none, it was not written; `over`: asking again is no use."""

    step: str
    target: str
    output: Mapping[str, Any] | None = None
    message: str = ""
    over: bool = False


@dataclass(frozen=True, slots=True)
class NodeLost:
    """What was started there may have been done or not."""

    node: str
    reason: str


@dataclass(frozen=True, slots=True)
class Woken:
    """A deadline or a poll is due."""


@dataclass(frozen=True, slots=True)
class Seen:
    """All events up to `cursor` have been told."""

    cursor: Mapping[str, int]


Fact: TypeAlias = (
    Requested
    | Resumed
    | Unreadable
    | Admitted
    | GroupBusy
    | Placed
    | NotPlaced
    | OrderStarted
    | OrderEnded
    | OrderMissing
    | Observed
    | NoteAnswered
    | ChildEnded
    | Approved
    | CancelAsked
    | RetryAsked
    | NodeLost
    | Woken
    | Seen
)


# --- effects ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Store:
    """Write the record. lazy: within a moment is soon enough."""

    run: Run
    lazy: bool = False


@dataclass(frozen=True, slots=True)
class Emit:
    """An event in the record's transaction. `own`: as `olympus.hephaestus.…`; else what a user named."""

    id: str
    type: str
    data: Mapping[str, Any]
    node: str | None
    cause: str | None
    depth: int


@dataclass(frozen=True, slots=True)
class Claims:
    """Ask for the groups: Admitted or GroupBusy follows."""

    run: str
    claims: tuple[Claim, ...]
    parent: str | None
    holds: bool = False


@dataclass(frozen=True, slots=True)
class Release:
    """Give the groups to the next."""

    run: str


@dataclass(frozen=True, slots=True)
class Place:
    """Find the nodes: Placed or NotPlaced follows."""

    recipe: Recipe


@dataclass(frozen=True, slots=True)
class Dispatch:
    """Give a worker the order; the service adds epoch, secrets' sources, allowed users, signature."""

    order: Order


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Take the order back, or where it has begun, have it ended: OrderEnded follows."""

    order: str
    node: str
    reason: str


@dataclass(frozen=True, slots=True)
class Clear:
    """Remove an order that is over."""

    order: str
    node: str


@dataclass(frozen=True, slots=True)
class CheckOrder:
    """Look how an order stands: OrderMissing, OrderStarted or OrderEnded follows, or nothing."""

    order: str
    node: str


@dataclass(frozen=True, slots=True)
class CheckChild:
    """Look how a child run stands: ChildEnded follows, or nothing."""

    run: str


@dataclass(frozen=True, slots=True)
class StartChild:
    """Start a pipeline in the record's transaction; ChildEnded follows, also where it can't be started."""

    id: str
    parent: Run
    step: str
    target: str
    pipeline: str
    params: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CancelChild:
    run: str
    reason: str


@dataclass(frozen=True, slots=True)
class Intend:
    """Order Zeus to restart, start or stop a service."""

    id: str
    run: str
    service: str
    do: Literal["restart", "start", "stop"]
    cause: str | None


@dataclass(frozen=True, slots=True)
class Observe:
    """Look at the state of a service, check or node, or whether an intent was honoured: Observed follows."""

    step: str
    target: str
    what: Mapping[str, Any]
    intent: str | None = None


@dataclass(frozen=True, slots=True)
class WriteNote:
    """Add to a note's end, or (`whole`) make it its text: once for each `mark`. NoteAnswered follows."""

    mark: str
    pipeline: str
    step: str
    target: str
    path: str
    text: str
    whole: bool
    cause: str | None
    depth: int


@dataclass(frozen=True, slots=True)
class WakeAt:
    """Tell `Woken` then; None: not."""

    when: datetime | None


@dataclass(frozen=True, slots=True)
class CommitCursor:
    """Store it, not before what the events led to."""

    cursor: Mapping[str, int]


Effect: TypeAlias = (
    Store
    | CommitCursor
    | Emit
    | Claims
    | Release
    | Place
    | Dispatch
    | Withdraw
    | Clear
    | CheckOrder
    | CheckChild
    | StartChild
    | CancelChild
    | Intend
    | Observe
    | WriteNote
    | WakeAt
)
