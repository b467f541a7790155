"""Hephaestus's coordinator with the embedded Hermes, in this process, and a worker that a test scripts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from olympus.hephaestus.model import Approved, WriteNote
from olympus.hephaestus.orders import (
    ORDER_FINISHED,
    ORDER_STARTED,
    Order,
    Outcome,
    cancel_key,
    read_order,
)
from olympus.hephaestus.ports import (
    DeclaredNode,
    DeclaredPipeline,
    DeclaredSchedule,
    DeclaredSecret,
    Signer,
)
from olympus.hephaestus.retention import Keep
from olympus.hephaestus.service import ROLE, Hephaestus
from olympus.hephaestus.starts import Asked, Means, Starts
from olympus.hermes import keys
from olympus.hermes.bus import Bus
from olympus.hermes.kv import Cas, CheckAbsent, Op, TransactionConflict
from olympus.hermes.kv_embedded import EmbeddedKv
from olympus.hermes.lease import Lease, lead
from olympus.kernel.clock import Clock, SystemClock, rfc3339
from olympus.kernel.errors import RetryLater
from olympus.kernel.events import Event
from olympus.kernel.ids import new_id
from olympus.records.run import Run
from olympus.testing.runs import YamlLoader
from olympus.testing.trust import signer_of


class SpecsGiven:
    """`Specs` that a test sets; each change is told."""

    def __init__(self, pipelines: Mapping[str, str] | None = None, nodes: Sequence[str] = ("n1",)) -> None:
        self._pipelines: dict[str, DeclaredPipeline] = {}
        self.known_nodes = {name: DeclaredNode(name, {"role": "web"}) for name in nodes}
        self.secrets: dict[str, DeclaredSecret] = {}
        self.known_schedules: dict[str, DeclaredSchedule] = {}
        self.known_remedies: dict[str, str] = {}
        self.known_checks: set[str] = set()
        self._version = 0
        self._stirred = asyncio.Condition()
        for name, text in (pipelines or {}).items():
            self.declare(name, text)

    def declare(self, name: str, text: str) -> None:
        """A Pipeline's spec, in YAML."""
        spec = yaml.load(text, Loader=YamlLoader)  # noqa: S506 - a SafeLoader
        self._pipelines[name] = DeclaredPipeline(name, "rev1", spec)
        self._version += 1

    async def tell(self) -> None:
        async with self._stirred:
            self._version += 1
            self._stirred.notify_all()

    async def ready(self) -> None:
        """It always is."""

    async def current(self) -> None:
        """It always is."""

    def version(self) -> int:
        return self._version

    async def changed(self, version: int) -> int:
        async with self._stirred:
            await self._stirred.wait_for(lambda: self._version != version)
            return self._version

    def pipeline(self, name: str) -> DeclaredPipeline | None:
        return self._pipelines.get(name)

    def pipelines(self) -> Sequence[DeclaredPipeline]:
        return tuple(self._pipelines.values())

    def secret(self, name: str) -> DeclaredSecret | None:
        return self.secrets.get(name)

    def schedules(self) -> Sequence[DeclaredSchedule]:
        return tuple(self.known_schedules.values())

    def nodes(self) -> Sequence[DeclaredNode]:
        return tuple(self.known_nodes.values())

    def checked(self, check: str) -> Sequence[DeclaredNode]:
        return self.nodes() if check in self.known_checks else ()

    def remedies(self) -> Mapping[str, str]:
        return dict(self.known_remedies)

    def lose(self, node: str) -> None:
        self.known_nodes[node] = replace(self.known_nodes[node], alive=False)


Script = Callable[[Order], Outcome | None]
"""What becomes of an order; None: it runs on, until it is cancelled or the test ends it."""


def succeeds(_order: Order) -> Outcome:
    return Outcome(state="succeeded", exit=0)


@dataclass(slots=True)
class ScriptedWorker:
    """Takes a node's orders as `hephaestus.orders` says, and answers what `script` says, without a process."""

    kv: EmbeddedKv
    bus: Bus
    node: str
    clock: Clock
    script: Script = succeeds
    taken: list[Order] = field(default_factory=list)
    open: dict[str, tuple[Order, int]] = field(default_factory=dict)
    going: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.going.set()

    def pause(self) -> None:
        """Takes no orders until `resume`."""
        self.going.clear()

    def resume(self) -> None:
        self.going.set()

    async def run(self) -> None:
        async for snapshot in self.kv.watch(keys.orders(self.node)):
            await self.going.wait()
            marks = {e.key for e in snapshot.entries if e.key.endswith("/cancel")}
            for entry in snapshot.entries:
                if entry.key in marks:
                    continue
                order = read_order(entry)
                if order is None:
                    continue
                if cancel_key(self.node, order.id) in marks:
                    if order.id in self.open:
                        await self.end(order.id, Outcome(state="cancelled", exit=-15))
                elif order.state == "pending":
                    await self._take(order, entry.version)

    async def _take(self, order: Order, version: int) -> None:
        now = self.clock.now()
        started = order.model_copy(update={"state": "started", "started_at": now})
        key = keys.order(self.node, order.id)
        ops: list[Op] = [Cas(key, started.to_bytes(), version), CheckAbsent(cancel_key(self.node, order.id))]
        try:
            versions = await self.kv.transact(ops)
        except TransactionConflict:
            return
        self.taken.append(order)
        self.open[order.id] = (started, versions[key])
        outcome = self.script(order)
        if outcome is not None:
            await self.end(order.id, outcome)
        else:
            event = self._event(ORDER_STARTED, order, {"startedAt": rfc3339(now)})
            await self.bus.publish([event], durable=False)

    async def end(self, order_id: str, outcome: Outcome) -> None:
        order, version = self.open.pop(order_id)
        now = self.clock.now()
        outcome = outcome.model_copy(update={"started_at": order.started_at, "finished_at": now})
        finished = order.model_copy(update={"state": "finished", "outcome": outcome})
        op = Cas(keys.order(self.node, order.id), finished.to_bytes(), version)
        event = self._event(ORDER_FINISHED, order, {"outcome": outcome.to_json()})
        await self.bus.publish([event], [op], durable=False)

    def _event(self, type_: str, order: Order, more: Mapping[str, Any]) -> Event:
        said = {"order": order.id, "run": order.run, "step": order.step, "node": self.node}
        data = {**said, "attempt": order.attempt, **more}
        source = f"olympus/hephaestus/{self.node}"
        now = self.clock.now()
        return Event(new_id(), type_, source, now, data, order.run, self.node, order.cause, order.depth)

    def steps(self) -> list[str]:
        return [order.step for order in self.taken]


@dataclass(slots=True)
class HephaestusHere:
    """A running coordinator. Stop and start it with `crash` and `lead`."""

    kv: EmbeddedKv
    bus: Bus
    clock: Clock
    specs: SpecsGiven
    starts: Starts
    means: Means
    workers: dict[str, ScriptedWorker]
    keep: Keep
    signer: Signer
    _leading: asyncio.Task[None] | None = None

    async def lead(self) -> None:
        """Become the leader; returns at once."""
        hephaestus = Hephaestus(self.means, self.signer, keep=self.keep)
        self._leading = asyncio.create_task(lead(Lease(self.kv, ROLE, "n1"), hephaestus.lead))

    async def crash(self) -> None:
        """The leader is gone in the middle of whatever it does; Hermes and the workers stay."""
        if self._leading is not None:
            self._leading.cancel()
            await asyncio.wait([self._leading])
            self._leading = None

    async def start(self, pipeline: str, params: dict[str, Any] | None = None, **more: Any) -> str:
        return (await self.starts.start(Asked(pipeline, params or {}, **more))).id

    async def until(self, run: str, *states: str) -> Run:
        """The record as soon as it is in one of `states`; without: as soon as it is finished."""

        async def watch() -> Run:
            async for snapshot in self.kv.watch(keys.run(run)):
                for entry in snapshot.entries:
                    found = Run.from_bytes(entry.value)
                    if found.state in states if states else found.finished:
                        return found
            raise AssertionError("a watch ends never")

        return await asyncio.wait_for(watch(), 20)

    async def approve(self, run: str, step: str, role: str = "operator") -> None:
        await self.starts.approve(run, Approved(step, "ann", role))

    async def emit(self, type_: str, data: Mapping[str, Any], **more: Any) -> Event:
        event = Event(new_id(), type_, "test", self.clock.now(), data, **more)
        await self.bus.publish([event])
        return event

    async def runs(self) -> list[Run]:
        return [Run.from_bytes(entry.value) for entry in (await self.kv.scan(keys.RUNS)).entries]


class NotesKept:
    """Keeps what is written, by mark; `down`: nobody answers."""

    def __init__(self) -> None:
        self.written: dict[str, WriteNote] = {}
        self.down = False

    async def write(self, order: WriteNote) -> str:
        if self.down:
            raise RetryLater("nobody has the notes")
        self.written.setdefault(order.mark, order)
        return f"r{len(self.written)}"


@asynccontextmanager
async def hephaestus_here(
    state: Path,
    pipelines: Mapping[str, str],
    *,
    nodes: Sequence[str] = ("n1",),
    script: Script = succeeds,
    keep: Keep | None = None,
) -> AsyncIterator[HephaestusHere]:
    """Bus, coordinator and a scripted worker for each node run while the context is open."""
    clock = SystemClock()
    kv = EmbeddedKv.open(state / "hermes.db", clock)
    bus = Bus(kv, "n1", clock=clock)
    specs = SpecsGiven(pipelines, nodes)
    starts = Starts(kv, bus, clock, specs)
    means = Means(kv, bus, clock, specs, starts, "n1", NotesKept())
    workers = {name: ScriptedWorker(kv, bus, name, clock, script) for name in nodes}
    signer = await signer_of(kv, state)
    here = HephaestusHere(kv, bus, clock, specs, starts, means, workers, keep or Keep(), signer)
    try:
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(bus.run())]
            running += [group.create_task(worker.run()) for worker in workers.values()]
            await here.lead()
            try:
                yield here
            finally:
                await here.crash()
            for task in running:
                task.cancel()
    finally:
        await kv.close()
