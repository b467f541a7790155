"""Checks at work on this node: looked at in turn, decided purely, told when a state changes."""

from __future__ import annotations

import asyncio
import logging
import os
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from olympus.argos.check_core import NotLooked, Record, Rule, Standing, decide, default_condition
from olympus.argos.check_probes import Tools, look
from olympus.hermes import keys
from olympus.hermes.bus import Bus
from olympus.hermes.kv import Kv
from olympus.host import probes
from olympus.host.http_aiohttp import HttpClient
from olympus.kernel.clock import Clock, rfc3339
from olympus.kernel.errors import HermesUnreachable
from olympus.kernel.events import Event
from olympus.kernel.ids import new_id
from olympus.records.check import CheckRecord, checks_of
from olympus.records.desired import CheckDesired
from olympus.records.news import News
from olympus.spec.expression import ExpressionError

log = logging.getLogger("olympus.argos")

_AT_ONCE: Final = 16
"""Probes under way: a node is not to be busy with being looked at."""

_FIRST: Final = 10.0
_JITTER: Final = 0.05
_RETRY: Final = 1.0


class Checks:
    """Of one node; `state` is the folder that outlives us. `take` says which, `run` makes them."""

    def __init__(  # noqa: PLR0913 - what boot wires
        self, kv: Kv, bus: Bus, clock: Clock, node: str, *, state: Path, client: HttpClient
    ) -> None:
        self._kv = kv
        self._clock = clock
        self._node = node
        self._news = News(bus)
        self._tools = Tools(client, clock, state / "checks")
        self._wanted: dict[str, CheckDesired] | None = None
        self._changed = asyncio.Event()
        self._standings: dict[str, Standing] = {}
        self._tasks: dict[str, tuple[CheckDesired, asyncio.Task[None]]] = {}
        self._turns = asyncio.Semaphore(_AT_ONCE)

    def take(self, checks: Iterable[CheckDesired]) -> None:
        """From now on these and no others."""
        self._wanted = {check.name: check for check in checks}
        self._changed.set()

    async def run(self) -> None:
        """Until cancelled."""
        self._tools.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        await self._remember()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._news.run())
            while True:
                await self._changed.wait()
                self._changed.clear()
                await self._follow(group)

    async def _remember(self) -> None:
        """How the checks stood before our restart, so that nothing is told twice."""
        while True:
            try:
                found = await self._kv.scan(keys.checks(self._node))
                break
            except HermesUnreachable:
                await asyncio.sleep(_RETRY)
        for name, record in checks_of(found.entries).get(self._node, {}).items():
            self._standings[name] = Standing(record.state, record.since, record.judged)

    async def _follow(self, group: asyncio.TaskGroup) -> None:
        if self._wanted is None:
            return
        wanted = dict(self._wanted)
        for name in [name for name, (check, _) in self._tasks.items() if wanted.get(name) != check]:
            _, task = self._tasks.pop(name)
            task.cancel()
            # Its command has to be gone before the next one of that name begins.
            await asyncio.wait([task])
        for name in self._standings.keys() - wanted.keys():
            del self._standings[name]
            self._news.note(keys.check(self._node, name), None)
        for name in wanted.keys() - self._tasks.keys():
            self._tasks[name] = wanted[name], group.create_task(self._keep(wanted[name]))

    async def _keep(self, check: CheckDesired) -> None:
        if check.command:
            await probes.clear(self._tools.scope(check.name))
        rule = _rule(check)
        # All of them begin when a commit comes, on all nodes: they must not go on together.
        await asyncio.sleep(random.uniform(0, min(check.every, _FIRST)))  # noqa: S311 - no secret
        while True:
            async with self._turns:
                fact = NotLooked(rule) if isinstance(rule, str) else await look(check, self._tools)
            before = self._standings.get(check.name, Standing())
            asked = Rule() if isinstance(rule, str) else rule
            decision = decide(before, fact, asked, self._clock.now())
            self._standings[check.name] = decision.state
            for effect in decision.effects:
                self._tell(check.name, effect)
            await asyncio.sleep(check.every * random.uniform(1 - _JITTER, 1 + _JITTER))  # noqa: S311 - no secret

    def _tell(self, name: str, effect: Record) -> None:
        record = CheckRecord(
            check=name,
            node=self._node,
            state=effect.state,
            since=effect.since,
            value=dict(effect.value),
            message=effect.message,
            judged=effect.judged,
        )
        events = [] if effect.tell is None else [self._event(name, effect)]
        self._news.note(keys.check(self._node, name), record.to_bytes(), events)
        if effect.tell is not None:
            log.info(effect.tell.replace("-", "_"), extra={"check": name, "why": effect.message})

    def _event(self, name: str, effect: Record) -> Event:
        return Event(
            id=new_id(),
            type=f"olympus.argos.{effect.tell}",
            source=f"olympus/argos/{self._node}",
            time=effect.since,
            data={
                "check": name,
                "value": dict(effect.value),
                "since": rfc3339(effect.since),
                "reason": effect.message,
            },
            subject=name,
            node=self._node,
        )


def _rule(check: CheckDesired) -> Rule | str:
    """What it asks; or why that can't be said, where another version of Olympus wrote the condition."""
    fail = check.fail_when or default_condition(check.probe, os.cpu_count() or 1)
    try:
        return Rule.of(fail, check.lasts, check.clear)
    except ExpressionError as error:
        return str(error)
