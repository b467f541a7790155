"""A node's worker: takes its orders from Hermes, has Huey execute them, and tells how they ended.

Each order is taken once (compare-and-set of its version), begun only after that is stored, and its end is in one
transaction with the event that tells of it. After a restart it finds its orders again: what still runs is
accompanied further, what ended left its exit code, what was never begun is begun, and the rest is `unknown`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from olympus.hephaestus import execute_http, execute_process
from olympus.hephaestus.attempt import Attempt
from olympus.hephaestus.execute_process import Tools
from olympus.hephaestus.orders import (
    ORDER_FINISHED,
    ORDER_STARTED,
    STARTED_AFTER,
    HttpAction,
    Order,
    Outcome,
    cancel_key,
    read_order,
)
from olympus.hephaestus.queue_huey import StepQueue
from olympus.hermes import keys
from olympus.hermes.bus import Bus
from olympus.hermes.kv import Cas, CheckAbsent, Entry, Kv, Op, Snapshot, TransactionConflict
from olympus.host.http_aiohttp import HttpClient
from olympus.kernel.clock import rfc3339
from olympus.kernel.errors import HermesUnreachable, OlympusError
from olympus.kernel.events import Event
from olympus.kernel.ids import new_id

log = logging.getLogger("olympus.hephaestus")

_CANCEL: Final = "/cancel"
_RETRY: Final = 1.0
WORKERS: Final = 32
RUN_FINISHED: Final = "olympus.hephaestus.run-finished"
_KEPT: Final = 86_400.0


@dataclass(slots=True)
class _Live:
    """An order that is taken, or was. newer: what was told of it in the meantime, its version and itself."""

    order: Order
    version: int
    newer: tuple[int, Order] | None = None
    cancel: asyncio.Event = field(default_factory=asyncio.Event)
    adopted: bool = False


class Worker:
    """Of one node. `objection` says why an order is not to be carried out (who signed it?), or nothing."""

    def __init__(  # noqa: PLR0913 - a worker's surroundings
        self,
        kv: Kv,
        bus: Bus,
        node: str,
        tools: Tools,
        *,
        state: Path,
        client: HttpClient,
        objection: Callable[[Order], Awaitable[str | None]],
        workers: int = WORKERS,
    ) -> None:
        self._kv = kv
        self._bus = bus
        self._node = node
        self._tools = tools
        self._client = client
        self._objection = objection
        self._workers = workers
        self._state = state
        self._epoch_file = state / "worker.epoch"
        self._epoch: int | None = None
        self._live: dict[str, _Live] = {}

    async def run(self) -> None:
        """Until cancelled. What runs then goes on, and is found at the next start."""
        first = True
        async with asyncio.TaskGroup() as group:
            group.create_task(self._tidy())
            queue = StepQueue(
                self._state / "huey.db",
                lambda name: group.create_task(self._carry_out(name)),
                hands=self._workers,
            )
            try:
                async for snapshot in self._kv.watch(keys.orders(self._node)):
                    self._look(snapshot, queue, group, first=first)
                    first = False
            finally:
                queue.close()

    async def _tidy(self) -> None:
        """Workspaces of runs that succeeded go at once; the others are kept a while for a retry."""
        await asyncio.to_thread(self._tools.workspaces.remove_older, _KEPT)
        async for batch in self._bus.subscribe():
            for event in batch.events:
                if event.type == RUN_FINISHED and event.data.get("state") == "succeeded":
                    run = str(event.data.get("run"))
                    await asyncio.to_thread(self._tools.workspaces.remove_run, run)
                    await self._forget_carried(run)

    async def _forget_carried(self, run: str) -> None:
        """What stays because Hermes is away just now, the coordinator removes."""
        with suppress(HermesUnreachable):
            await self._tools.workspaces.artifacts.forget(run)

    def _look(self, snapshot: Snapshot, queue: StepQueue, group: asyncio.TaskGroup, *, first: bool) -> None:
        prefix = keys.orders(self._node)
        cancelled = {e.key.removesuffix(_CANCEL) for e in snapshot.entries if e.key.endswith(_CANCEL)}
        seen: set[str] = set()
        for entry in snapshot.entries:
            if entry.key.endswith(_CANCEL):
                continue
            name = entry.key.removeprefix(prefix)
            seen.add(name)
            live = self._live.get(name)
            if live is not None and entry.key in cancelled:
                live.cancel.set()
            if live is not None and entry.version <= live.version:
                continue
            order = read_order(entry)
            if order is None:
                continue
            if live is not None:
                live.newer = (entry.version, order)
                continue
            if order.state == "pending" and entry.key not in cancelled:
                self._live[name] = _Live(order, entry.version)
                group.create_task(self._take(name, queue))
            elif order.state == "started" and first:
                live = self._live[name] = _Live(order, entry.version, adopted=True)
                if entry.key in cancelled:
                    live.cancel.set()
                group.create_task(self._take_over(name, queue))
        for name, live in self._live.items():
            if name not in seen:
                # Withdrawn while it runs: nobody waits for it any more.
                live.cancel.set()

    async def _take(self, name: str, queue: StepQueue) -> None:
        while True:
            live = self._live[name]
            order = live.order.model_copy(update={"state": "started", "started_at": self._tools.clock.now()})
            refusal = self._misplaced(name, order) or await self._objection(order)
            if refusal is not None:
                await self._refuse(name, refusal, "failed")
                return
            version = None if self._is_outdated(order) else await self._store_taken(live, order)
            if version is not None:
                break
            if live.newer is None or live.newer[1].state != "pending":
                # Withdrawn or cancelled, or it changes yet: then we are told of it again.
                del self._live[name]
                return
            self._live[name] = _Live(live.newer[1], live.newer[0], cancel=live.cancel)
        # An order that is given twice, or that Hermes has forgotten to be taken, is not carried out twice.
        live.adopted = self._was_begun(order)
        live.order, live.version = order, version
        queue.submit(name)
        # Who waits for a quick step hears of its end soon enough.
        await asyncio.sleep(STARTED_AFTER)
        if self._live.get(name) is live:
            await self._bus.publish([self._event(ORDER_STARTED, order)], durable=False)

    async def _store_taken(self, live: _Live, order: Order) -> int | None:
        """The version of the order as we took it; None where it is not ours to take, as it was."""
        key = keys.order(self._node, order.id)
        ops: list[Op] = [
            Cas(key, order.to_bytes(), live.version),
            CheckAbsent(cancel_key(self._node, order.id)),
        ]
        while True:
            try:
                return (await self._kv.transact(ops))[key]
            except TransactionConflict:
                # Perhaps with ourselves: it was stored, but we were not told.
                entry = await self._read(key)
                return entry.version if entry is not None and entry.value == order.to_bytes() else None
            except HermesUnreachable as error:
                log.info("taking_waits", extra={"order": order.id, "why": str(error)})
                await asyncio.sleep(_RETRY)

    async def _read(self, key: str) -> Entry | None:
        while True:
            try:
                return await self._kv.get(key)
            except HermesUnreachable as error:
                log.info("reading_waits", extra={"key": key, "why": str(error)})
                await asyncio.sleep(_RETRY)

    async def _take_over(self, name: str, queue: StepQueue) -> None:
        """What is said to be taken by us before we were restarted."""
        order = self._live[name].order
        refusal = self._misplaced(name, order) or await self._objection(order)
        if refusal is None:
            queue.submit(name)
        else:
            await self._refuse(name, refusal, "unknown")

    async def _refuse(self, name: str, why: str, state: Literal["failed", "unknown"]) -> None:
        log.warning("order_refused", extra={"order": name, "why": why})
        live = self._live[name]
        live.order = live.order.model_copy(update={"id": name})
        await self._finish(live, Outcome(state=state, error=f"node {self._node} refused it: {why}"))

    def _misplaced(self, name: str, order: Order) -> str | None:
        """Signed it may be, but not as what it is given for."""
        if order.node != self._node:
            return f"it is for node {order.node}"
        return None if order.id == name else f"it is order {order.id}"

    def _is_outdated(self, order: Order) -> bool:
        """Whether its coordinator was replaced, as far as we saw, also before a restart of ours.

        Such orders are left: the coordinator of now gives them again as its own, or takes them away.
        """
        if self._epoch is None:
            try:
                self._epoch = int(self._epoch_file.read_text())
            except (FileNotFoundError, ValueError):
                self._epoch = 0
        if order.epoch < self._epoch:
            log.warning(
                "order_outdated", extra={"order": order.id, "epoch": order.epoch, "highest": self._epoch}
            )
            return True
        if order.epoch > self._epoch:
            part = self._epoch_file.with_suffix(".part")
            part.write_text(str(order.epoch))
            part.rename(self._epoch_file)
            self._epoch = order.epoch
        return False

    async def _carry_out(self, name: str) -> None:
        """The step from its beginning to its end."""
        live = self._live.get(name)
        if live is None:
            return
        try:
            await self._finish(live, await self._outcome(live))
        except Exception:
            # A fault in one step's handling is no reason to let go of all the others.
            log.exception("step_broke", extra={"order": name})

    async def _outcome(self, live: _Live) -> Outcome:
        order = live.order
        started = order.started_at
        try:
            if isinstance(order.action, HttpAction):
                if live.adopted and self._was_begun(order):
                    error = "Olympus was restarted while the request was under way"
                    return Outcome(state="unknown", error=error, started_at=started)
                return await execute_http.execute(order, live.cancel, self._tools, self._client)
            if live.adopted:
                found = await execute_process.adopt(order, live.cancel, self._tools)
                if found is not None:
                    return found
            return await execute_process.execute(order, live.cancel, self._tools)
        except OlympusError as error:
            now = self._tools.clock.now()
            return Outcome(state="failed", error=str(error), started_at=started, finished_at=now)
        except OSError as error:
            log.exception("step_broke", extra={"order": order.id})
            now = self._tools.clock.now()
            said = f"{error.strerror or error}" + (f": {error.filename}" if error.filename else "")
            return Outcome(state="failed", error=said, started_at=started, finished_at=now)

    def _was_begun(self, order: Order) -> bool:
        return Attempt.of(order, self._tools.runs).read()[0]

    async def _finish(self, live: _Live, outcome: Outcome) -> None:
        order = live.order.model_copy(update={"state": "finished", "outcome": outcome})
        key = keys.order(self._node, order.id)
        event = self._event(ORDER_FINISHED, order)
        while True:
            try:
                await self._bus.publish([event], [Cas(key, order.to_bytes(), live.version)], durable=False)
                break
            except TransactionConflict:
                entry = await self._kv.get(key)
                if entry is None or Order.from_bytes(entry.value).state == "finished":
                    break
                live.version = entry.version
            except HermesUnreachable as error:
                log.info("outcome_waits", extra={"order": order.id, "why": str(error)})
                await asyncio.sleep(_RETRY)
        self._live.pop(order.id, None)

    def _event(self, type_: str, order: Order) -> Event:
        data = {
            "order": order.id,
            "run": order.run,
            "pipeline": order.pipeline,
            "step": order.step,
            "node": self._node,
            "attempt": order.attempt,
            "startedAt": rfc3339(order.started_at) if order.started_at else None,
        }
        if order.outcome is not None:
            data["outcome"] = order.outcome.to_json()
        source = f"olympus/hephaestus/{self._node}"
        now = self._tools.clock.now()
        return Event(
            new_id(), type_, source, now, data, order.run, self._node, cause=order.cause, depth=order.depth
        )
