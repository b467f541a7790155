"""The registry of a single machine: whoever registers is alive as long as the process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from olympus.hermes.registry import Member


class EmbeddedRegistry:
    """In memory: a host that does not run Olympus has nobody to tell about."""

    def __init__(self) -> None:
        self._members: dict[str, Member] = {}
        self._changed = asyncio.Condition()

    async def register(self, member: Member) -> None:
        await self._set(self._members | {member.name: member})

    async def deregister(self, name: str) -> None:
        await self._set({key: member for key, member in self._members.items() if key != name})

    async def keep(self) -> None:
        """Whoever could ask whether we live is a part of us."""

    async def members(self) -> tuple[Member, ...]:
        return tuple(self._members[name] for name in sorted(self._members))

    async def watch(self) -> AsyncIterator[tuple[Member, ...]]:
        known: tuple[Member, ...] | None = None
        while True:
            async with self._changed:
                while (now := await self.members()) == known:
                    await self._changed.wait()
            known = now
            yield now

    async def _set(self, members: dict[str, Member]) -> None:
        async with self._changed:
            self._members = members
            self._changed.notify_all()
