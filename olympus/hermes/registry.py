"""Who is there: on Consul, what is registered with its agents; on one machine, this host alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Member:
    """A node that runs Olympus. `alive` is what its checks say."""

    name: str
    address: str
    alive: bool = True
    meta: Mapping[str, str] = field(default_factory=dict)


class Registry(Protocol):
    """Raises HermesUnreachable, and PartialRead where the answer was filtered: then nobody counts as gone."""

    async def register(self, member: Member) -> None:
        """This host is there, with a check of itself."""
        ...

    async def deregister(self, name: str) -> None:
        """This host leaves on purpose."""
        ...

    async def keep(self) -> None:
        """Until cancelled: this host's check stays passing."""
        ...

    async def members(self) -> tuple[Member, ...]:
        """All that are registered, by name."""
        ...

    def watch(self) -> AsyncIterator[tuple[Member, ...]]:
        """All that are registered, now and after each change."""
        ...
