"""What each host's steward says of its services, as it lies in Hermes; a watch for each host that there is."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from typing import Final

from olympus.hermes import keys
from olympus.hermes.kv import Kv, TooLarge
from olympus.records.instance import Instance, instances_of

log = logging.getLogger("olympus.zeus")

_BETTER: Final = 60.0
"""Seconds until a host that wrote too much is looked at again."""


class Observed:
    """`instances`: node → service → what its steward answered."""

    def __init__(self, kv: Kv) -> None:
        self._kv = kv
        self.instances: dict[str, dict[str, Instance]] = {}
        self._hosts: frozenset[str] = frozenset()
        self._others = asyncio.Event()

    async def load(self) -> None:
        """Everything as it lies in Hermes."""
        self.instances = instances_of((await self._kv.scan(keys.INSTANCES)).entries)

    def watch_those(self, hosts: Collection[str]) -> None:
        """From now on these hosts, and no others."""
        self._hosts = frozenset(hosts)
        self._others.set()

    async def watch(self, changed: Callable[[Collection[str]], None]) -> None:
        """For ever; tells the services that have changed."""
        watching: dict[str, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as group:
            while True:
                for name in self._hosts - watching.keys():
                    watching[name] = group.create_task(self._watch_node(name, changed))
                for name in watching.keys() - self._hosts:
                    watching.pop(name).cancel()
                    self.instances.pop(name, None)
                self._others.clear()
                await self._others.wait()

    async def _watch_node(self, node: str, changed: Callable[[Collection[str]], None]) -> None:
        while True:
            try:
                await self._follow_node(node, changed)
            except TooLarge as exc:
                # A node writes there what it likes: it is not seen any more, and stops nobody.
                log.warning("instances_not_read", extra={"node": node, "reason": str(exc)})
                await asyncio.sleep(_BETTER)

    async def _follow_node(self, node: str, changed: Callable[[Collection[str]], None]) -> None:
        async for found in self._kv.watch(keys.instances(node)):
            after = instances_of(found.entries).get(node, {})
            before = self.instances.get(node, {})
            self.instances[node] = after
            others = {name for name in {*before, *after} if before.get(name) != after.get(name)}
            if others:
                changed(others)
