"""Argos of one node: what a controller tells this node to look at is handed to those who look."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Final

from olympus.argos.ask import Answering
from olympus.argos.check_service import Checks
from olympus.argos.watches import Watches
from olympus.hermes import keys
from olympus.hermes.kv import Kv
from olympus.kernel.errors import HermesUnreachable, Invalid, NotFound, Refused
from olympus.records.desired import NodeDesired
from olympus.records.kept import Kept
from olympus.records.seals import Seals

log = logging.getLogger("olympus.argos")

_RETRY: Final = 1.0


class Argos:
    """`state` is the folder that outlives us."""

    def __init__(  # noqa: PLR0913 - what boot wires
        self,
        kv: Kv,
        node: str,
        *,
        state: Path,
        seals: Seals,
        checks: Checks,
        watches: Watches,
        answering: Answering,
    ) -> None:
        self._kv = kv
        self._node = node
        self._seals = seals
        self._checks = checks
        self._watches = watches
        self._answering = answering
        self._kept = Kept(state / "argos.desired", node)

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._checks.run())
            group.create_task(self._watches.run())
            group.create_task(self._answering.run())
            group.create_task(self._follow())

    async def _follow(self) -> None:
        if self._kept.desired is not None:
            # Who was looked after goes on being looked after, also while Hermes is away.
            self._take(self._kept.desired)
        key = keys.desired(self._node)
        async for snapshot in self._kv.watch(key):
            entry = next((entry for entry in snapshot.entries if entry.key == key), None)
            told = await self._believed(entry.value) if entry is not None else None
            if told is not None:
                self._take(told)

    def _take(self, desired: NodeDesired) -> None:
        self._checks.take(desired.checks)
        self._watches.take(desired.watches)

    async def _believed(self, value: bytes) -> NodeDesired | None:
        """What a controller signed for this node, no older than what was taken. The steward tells of refusals."""
        while True:
            try:
                desired = await self._seals.opened(value)
                self._kept.keep(desired)
            except HermesUnreachable:
                await asyncio.sleep(_RETRY)
            except (Refused, Invalid, NotFound) as why:
                log.warning("desired_state_refused", extra={"why": str(why)})
                return None
            else:
                return desired
