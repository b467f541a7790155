"""What the steward knows of one service on this node, what happens to it, and what is to be done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal, TypeAlias

from olympus.host.process import Identity
from olympus.records.desired import InstanceSpec
from olympus.records.instance import Instance

STABLE: Final = timedelta(seconds=10)
"""A process that lived so long ended the burst of failures before it."""

Phase: TypeAlias = Literal["down", "spawning", "up", "stopping"]


@dataclass(frozen=True, slots=True)
class Supervised:
    """One service. `record` is what others see.

    phase:      of the process: `spawning` and `stopping` are on their way
    up_since:   when the process was started
    planned:    the stop under way is wanted, and no failure
    failures:   when it failed, within the window of its restart policy
    burst:      failures since it was last stable
    not_before: no start until then
    ready:      its dependencies are there
    removed:    it is to be gone from this node
    """

    spec: InstanceSpec
    record: Instance
    manage: bool = True
    phase: Phase = "down"
    identity: Identity | None = None
    up_since: datetime | None = None
    planned: bool = False
    failures: tuple[datetime, ...] = ()
    burst: int = 0
    not_before: datetime | None = None
    ready: bool = True
    removed: bool = False
    failed: bool = False
    checks: Mapping[int, tuple[bool, int, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Desired:
    """What it should be. `adopted` and `known` only come with the first word after a start of ours."""

    spec: InstanceSpec
    manage: bool = True
    ready: bool = True
    node: str = ""
    adopted: Identity | None = None
    adopted_since: datetime | None = None
    known: Instance | None = None


@dataclass(frozen=True, slots=True)
class Removed:
    """It is not desired here any more."""


@dataclass(frozen=True, slots=True)
class Started:
    identity: Identity | None
    """None: it was started, and has no process that could be watched."""


@dataclass(frozen=True, slots=True)
class StartFailed:
    why: str


@dataclass(frozen=True, slots=True)
class Exited:
    """The process is gone, and with it all that it begot. None: how it ended can't be known."""

    code: int | None
    identity: Identity | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """`index` is the check's place in the spec."""

    index: int
    passing: bool
    message: str = ""


@dataclass(frozen=True, slots=True)
class DependenciesChanged:
    ready: bool


@dataclass(frozen=True, slots=True)
class FilesChanged:
    """Files were not as declared and have been written again."""

    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Due:
    """Its deadline has come."""


Fact: TypeAlias = (
    Desired | Removed | Started | StartFailed | Exited | Checked | DependenciesChanged | FilesChanged | Due
)


@dataclass(frozen=True, slots=True)
class Start:
    spec: InstanceSpec


@dataclass(frozen=True, slots=True)
class Stop:
    spec: InstanceSpec
    identity: Identity | None


@dataclass(frozen=True, slots=True)
class Reload:
    """Its files changed, and it can take them in without being restarted."""

    spec: InstanceSpec
    identity: Identity | None


@dataclass(frozen=True, slots=True)
class WriteFiles:
    spec: InstanceSpec


@dataclass(frozen=True, slots=True)
class Tell:
    """Emit `olympus.zeus.<what>`."""

    what: Literal["service-failed", "service-recovered", "service-crashlooping", "healed"]
    reason: str


@dataclass(frozen=True, slots=True)
class WakeAt:
    when: datetime | None


@dataclass(frozen=True, slots=True)
class Forget:
    """Its record goes."""


StewardEffect: TypeAlias = Start | Stop | Reload | WriteFiles | Tell | WakeAt | Forget
