"""The LogWatches of this node: those that a controller tells of are kept at work, and others are not."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from olympus.argos.notices_watchdog import Notices
from olympus.argos.places import Places
from olympus.argos.recent import Recent
from olympus.argos.unmatched import Sample
from olympus.argos.watcher import Means, Watcher
from olympus.hermes import keys
from olympus.hermes.bus import Bus
from olympus.hermes.kv import DeletePrefix, Kv
from olympus.kernel.clock import Clock
from olympus.kernel.errors import Invalid
from olympus.records.desired import WatchDesired
from olympus.records.news import News
from olympus.spec.kinds.logwatch import LogWatchSpec

log = logging.getLogger("olympus.argos")

_FOLDER: Final = "argos"
_SERVICES: Final = "services"


class Watches:
    """Of one node; `state` is the folder that outlives us. `take` says which, `run` keeps them at work."""

    def __init__(  # noqa: PLR0913 - what boot wires
        self, kv: Kv, bus: Bus, clock: Clock, node: str, *, state: Path, recent: Recent
    ) -> None:
        self._kv = kv
        self._bus = bus
        self._clock = clock
        self._node = node
        self._state = state
        self._recent = recent
        self._news = News(bus)
        self._wanted: dict[str, WatchDesired] | None = None
        self._changed = asyncio.Event()
        self._tasks: dict[str, tuple[WatchDesired, asyncio.Task[None]]] = {}
        self._watchers: dict[str, Watcher] = {}

    def take(self, watches: Iterable[WatchDesired]) -> None:
        """From now on these and no others."""
        self._wanted = {watch.name: watch for watch in watches}
        self._changed.set()

    async def unmatched(self, name: str, most: int) -> list[Sample]:
        """Shapes of the watch's last lines that none of its patterns matches. Raises Invalid where it is not here."""
        watcher = self._watchers.get(name)
        if watcher is None:
            raise Invalid(f"logwatch {name} is not at work here")
        return await watcher.unmatched(most)

    async def run(self) -> None:
        """Until cancelled."""
        folder = self._state / _FOLDER
        places = Places(folder / "places.db")
        notices = Notices()
        means = Means(
            kv=self._kv,
            bus=self._bus,
            clock=self._clock,
            node=self._node,
            state=folder,
            services=self._state / _SERVICES,
            places=places,
            notices=notices,
            recent=self._recent,
            news=self._news,
        )
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._news.run())
                while True:
                    await self._changed.wait()
                    self._changed.clear()
                    await self._follow(group, means)
        finally:
            notices.close()
            places.close()

    async def _follow(self, group: asyncio.TaskGroup, means: Means) -> None:
        if self._wanted is None:
            return
        wanted = dict(self._wanted)
        for name in [name for name, (watch, _) in self._tasks.items() if wanted.get(name) != watch]:
            _, task = self._tasks.pop(name)
            self._watchers.pop(name, None)
            task.cancel()
            # It writes how far it read before another one goes on from there.
            await asyncio.wait([task])
        for name in {*means.places.watches()} - wanted.keys():
            means.places.forget(name)
            self._news.note(keys.watch(self._node, name), None)
            await self._news.publish([], [DeletePrefix(keys.told(self._node, name))])
        for name in wanted.keys() - self._tasks.keys():
            try:
                spec = LogWatchSpec.model_validate(wanted[name].spec)
            except ValidationError as exc:
                log.warning("watch_not_read", extra={"watch": name, "why": str(exc)})
                continue
            self._watchers[name] = watcher = Watcher(means, name, spec)
            self._tasks[name] = wanted[name], group.create_task(watcher.run())
