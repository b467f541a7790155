"""How a service is run: as a process of ours, or by systemd."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from olympus.host.process import Identity
from olympus.records.desired import InstanceSpec


class Unit(Protocol):
    """Raises OlympusError, with what to do, where it can't."""

    async def find(self, spec: InstanceSpec) -> Identity | None:
        """What runs already: from before we were restarted."""
        ...

    async def start(self, spec: InstanceSpec, allow_users: Collection[str]) -> Identity | None:
        """Start it; its main process."""
        ...

    async def stop(self, spec: InstanceSpec, identity: Identity | None) -> None:
        """End it, with all that it begot; returns when it is gone."""
        ...

    async def reload(self, spec: InstanceSpec, identity: Identity | None) -> None:
        """Ask it to take in its files anew."""
        ...

    async def ended(self, spec: InstanceSpec, identity: Identity) -> int | None:
        """Waits for its end: the exit code, None where that can't be known."""
        ...

    async def forget(self, service: str) -> None:
        """It is gone from this node."""
        ...
