"""What Hephaestus asks of the world around it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol

from olympus.hephaestus.model import WriteNote
from olympus.hephaestus.orders import Order
from olympus.records.desired import BlobRef


@dataclass(frozen=True, slots=True)
class DeclaredPipeline:
    """A Pipeline of the applied catalog; `files` are those that its workspace names."""

    name: str
    revision: str
    spec: Mapping[str, Any]
    files: Mapping[str, BlobRef] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DeclaredNode:
    """A Node of the catalog, or a host that only registered itself: then without labels."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    address: str | None = None
    allow_users: tuple[str, ...] = ()
    mode: str = "manage"
    alive: bool = True
    maintenance: bool = False


@dataclass(frozen=True, slots=True)
class DeclaredSecret:
    """Where a secret comes from, and who may use it. Empty `nodes`: every node."""

    name: str
    source: Mapping[str, Any]
    pipelines: tuple[str, ...] = ()
    selector: str | None = None


@dataclass(frozen=True, slots=True)
class DeclaredSchedule:
    """What a Schedule expects of its pipeline."""

    name: str
    pipeline: str
    within: timedelta | None = None
    paused: bool = False


class Specs(Protocol):
    """The applied catalog and the registered nodes, as they are known now; only `current` asks Hermes."""

    async def ready(self) -> None:
        """Waits until catalog and nodes have been read once."""
        ...

    async def current(self) -> None:
        """Reads the catalog anew where another one was applied: who has just pushed, starts what was pushed."""
        ...

    def version(self) -> int:
        """Grows with every change of what the other methods answer."""
        ...

    async def changed(self, version: int) -> int:
        """Waits until the version is another one than `version`."""
        ...

    def pipeline(self, name: str) -> DeclaredPipeline | None: ...

    def pipelines(self) -> Sequence[DeclaredPipeline]: ...

    def secret(self, name: str) -> DeclaredSecret | None: ...

    def schedules(self) -> Sequence[DeclaredSchedule]: ...

    def nodes(self) -> Sequence[DeclaredNode]: ...

    def checked(self, check: str) -> Sequence[DeclaredNode]:
        """The nodes that a Check is for; none where there is no such Check."""
        ...

    def remedies(self) -> Mapping[str, str]:
        """Service → the pipeline that its `onFailure` names."""
        ...


class Notes(Protocol):
    """The knowledge centre, wherever it is."""

    async def write(self, order: WriteNote) -> str:
        """The note's revision then; the same `mark` again changes nothing.

        Raises RetryLater where it can't be reached, Invalid where it can't be written.
        """
        ...


class Signer(Protocol):
    """Signs orders, and tells whether a controller signed one."""

    def sign(self, order: Order) -> Order: ...

    async def objection(self, order: Order) -> str | None:
        """Why it is not to be carried out, or nothing."""
        ...
