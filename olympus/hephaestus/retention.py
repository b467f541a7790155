"""Old runs go: by age and by number, never one that is not finished; and what only they needed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import orjson

from olympus.hermes import keys
from olympus.hermes.kv import Delete, DeleteCas, Kv, Op, TransactionConflict
from olympus.kernel.clock import Clock
from olympus.kernel.ids import milliseconds_of
from olympus.records.run import Run

log = logging.getLogger("olympus.hephaestus")

_AT_ONCE: Final = 40
_SOME_PIPELINES: Final = 200


@dataclass(frozen=True, slots=True)
class Keep:
    """Finished runs are kept for `age`, and no more than `count` of them; looked after each `every` seconds.

    carried: how long what steps saved for other nodes stays after its run began, if that did not succeed
    """

    age: timedelta = timedelta(days=30)
    count: int = 10_000
    every: float = 3600.0
    carried: timedelta = timedelta(days=1)


def outdated(ids: Sequence[str], live: frozenset[str], keep: Keep, now: datetime) -> list[str]:
    """Which of the runs go; `ids` in order. Ids tell their time, so that no record is read."""
    finished = [one for one in ids if one not in live]
    limit = (now - keep.age).timestamp() * 1000
    over = len(finished) - keep.count
    return [
        one
        for i, one in enumerate(finished)
        if i < over or ((made := milliseconds_of(one)) is not None and made < limit)
    ]


class Caretaker:
    """One per term."""

    def __init__(self, kv: Kv, clock: Clock, keep: Keep, guard: Op) -> None:
        self._kv = kv
        self._clock = clock
        self._keep = keep
        self._guard = guard

    async def run(self) -> None:
        while True:
            await asyncio.sleep(self._keep.every)
            await self.sweep()

    async def sweep(self) -> int:
        """How many runs were removed."""
        live = frozenset(key.removeprefix(keys.LIVE_RUNS) for key in await self._kv.keys(keys.LIVE_RUNS))
        ids = [key.removeprefix(keys.RUNS) for key in await self._kv.keys(keys.RUNS)]
        gone = outdated(ids, live, self._keep, self._clock.now())
        for i in range(0, len(gone), _AT_ONCE):
            part = gone[i : i + _AT_ONCE]
            await self._kv.transact([self._guard, *(Delete(keys.run(one)) for one in part)])
        if gone:
            log.info("runs_removed", extra={"count": len(gone)})
            await self._sweep_starts(frozenset(ids).difference(gone))
        await self._sweep_pipelines(ids)
        await self._sweep_artifacts(live)
        return len(gone)

    async def _sweep_artifacts(self, live: frozenset[str]) -> None:
        """What is carried for runs that ended: nodes remove what succeeded, a retry may want the rest for a while."""
        limit = (self._clock.now() - self._keep.carried).timestamp() * 1000
        gone = []
        for key in await self._kv.keys(keys.ARTIFACTS):
            run = key.removeprefix(keys.ARTIFACTS).split("/")[1:2]
            made = milliseconds_of(run[0]) if run else None
            if (not run or run[0] not in live) and (made is None or made < limit):
                gone.append(key)
        for i in range(0, len(gone), _AT_ONCE):
            await self._kv.transact([self._guard, *(Delete(key) for key in gone[i : i + _AT_ONCE])])

    async def _sweep_starts(self, kept: frozenset[str]) -> None:
        for entry in (await self._kv.scan(keys.STARTS)).entries:
            if orjson.loads(entry.value)["run"] not in kept:
                await self._kv.transact([self._guard, Delete(entry.key)])

    async def _sweep_pipelines(self, ids: Sequence[str]) -> None:
        stored = await self._kv.keys(keys.PIPELINES)
        if len(stored) <= _SOME_PIPELINES:
            return
        versions = {entry.key: entry.version for entry in (await self._kv.scan(keys.PIPELINES)).entries}
        used = set()
        for one in ids:
            entry = await self._kv.get(keys.run(one))
            if entry is not None:
                used.add(keys.pipeline(Run.from_bytes(entry.value).spec))
        for key in versions.keys() - used:
            # Who starts a run writes its pipeline anew: then the version is another one, and it stays.
            try:
                await self._kv.transact([self._guard, DeleteCas(key, versions[key])])
            except TransactionConflict as conflict:
                if 0 in conflict.failed:
                    raise
