"""How a service is run: as a process of ours, or by systemd."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple, Protocol

from olympus.host.process import Identity
from olympus.records.desired import InstanceSpec


class Ended(NamedTuple):
    """code: negative for a signal, None where it can't be known; why: what is known beyond it."""

    code: int | None
    why: str = ""


class Unit(Protocol):
    """Raises OlympusError, with what to do, where it can't."""

    def knows(self, service: str) -> bool:
        """Whether it was started here in this way, and not forgotten."""
        ...

    def known(self) -> list[str]:
        """All such services."""
        ...

    async def find(self, spec: InstanceSpec) -> Identity | None:
        """What runs already: from before we were restarted."""
        ...

    async def start(self, spec: InstanceSpec, allow_users: Collection[str]) -> Identity:
        """Start it; its main process."""
        ...

    async def stop(self, spec: InstanceSpec, identity: Identity | None) -> None:
        """End it, with all that it begot; returns when it is gone."""
        ...

    async def reload(self, spec: InstanceSpec, identity: Identity | None) -> None:
        """Ask it to take in its files anew."""
        ...

    async def ended(self, spec: InstanceSpec, identity: Identity) -> Ended:
        """Waits for its end."""
        ...

    async def forget(self, service: str) -> None:
        """It is to be gone from this node, with what was made for it; nothing where it is not known."""
        ...
