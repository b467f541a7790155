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
    begun:      what it was started with, which is what it is stopped as; None: before a restart of ours
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
    begun: InstanceSpec | None = None
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
    """What it should be. `adopted` and `known` only come with the first word after a start of ours.

    as_declared: what was adopted was never ours, and is what is declared: it need not be started anew
    """

    spec: InstanceSpec
    manage: bool = True
    ready: bool = True
    node: str = ""
    adopted: Identity | None = None
    adopted_since: datetime | None = None
    known: Instance | None = None
    as_declared: bool = False


@dataclass(frozen=True, slots=True)
class Removed:
    """It is not desired here any more."""


@dataclass(frozen=True, slots=True)
class Started:
    """Without a process of its own (a timer, a mount) its identity has the pid 0."""

    identity: Identity


@dataclass(frozen=True, slots=True)
class StartFailed:
    why: str


@dataclass(frozen=True, slots=True)
class Exited:
    """The process is gone, and with it all that it begot. code None: how it ended can't be known, but by `why`."""

    code: int | None
    identity: Identity | None = None
    why: str = ""


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
    """Its files changed: write them, and let it take them in without being restarted."""

    spec: InstanceSpec
    identity: Identity | None


@dataclass(frozen=True, slots=True)
class Watch:
    """Its checks changed: watch what runs anew."""

    spec: InstanceSpec
    identity: Identity


@dataclass(frozen=True, slots=True)
class WriteFiles:
    """While it runs; a start writes them by itself."""

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


StewardEffect: TypeAlias = Start | Stop | Reload | Watch | WriteFiles | Tell | WakeAt | Forget
