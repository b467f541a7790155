"""The coordinator at work: one leader, one actor, a key for each run that is not finished."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from olympus.actor import Actor, Decided
from olympus.hephaestus import recipe as recipes
from olympus.hephaestus.concurrency import Groups
from olympus.hephaestus.core import decide
from olympus.hephaestus.followup import FollowUps
from olympus.hephaestus.model import (
    Approved,
    CancelAsked,
    ChildEnded,
    Clear,
    CommitCursor,
    Dispatch,
    Effect,
    Emit,
    Fact,
    Intend,
    NodeLost,
    OrderEnded,
    OrderStarted,
    Requested,
    Resumed,
    RetryAsked,
    RunState,
    Seen,
    StartChild,
    Store,
    Unreadable,
    Woken,
)
from olympus.hephaestus.noting import Noting
from olympus.hephaestus.orders import ORDER_FINISHED, ORDER_STARTED, Order, Outcome, read_order
from olympus.hephaestus.placement import complete
from olympus.hephaestus.ports import Signer
from olympus.hephaestus.reactions import Reactions
from olympus.hephaestus.recipe import Recipe
from olympus.hephaestus.retention import Caretaker, Keep
from olympus.hephaestus.starts import (
    APPROVAL_GIVEN,
    CANCEL_REQUESTED,
    RETRY_REQUESTED,
    RUN_REQUESTED,
    SOURCE,
    Asked,
    Means,
)
from olympus.hephaestus.writes import Unit, order_gone, pack
from olympus.hermes import keys
from olympus.hermes.bus import Cursor
from olympus.hermes.kv import Cas, Entry, Op, Put, TransactionConflict
from olympus.hermes.lease import Term
from olympus.kernel.clock import parse_rfc3339
from olympus.kernel.errors import Invalid, NotFound, Refused
from olympus.kernel.events import Event
from olympus.records.intents import Intent, ordered
from olympus.records.run import Cause, Parent, Run

log = logging.getLogger("olympus.hephaestus")

CONSUMER: Final = "hephaestus"
ROLE: Final = "hephaestus"
NODE_LOST: Final = "olympus.zeus.node-lost"

LAZY: Final = 0.025
"""Seconds within which what is merely worth knowing (that a step began) is stored."""

Made = Decided[str, RunState, Effect]


class Hephaestus:
    """`lead` is run while this host holds the lease `hephaestus` (see `hermes.lease.lead`)."""

    def __init__(self, means: Means, signer: Signer, *, keep: Keep | None = None) -> None:
        self._means = means
        self._signer = signer
        self._keep = keep or Keep()

    async def lead(self, term: Term) -> None:
        """Until cancelled, or until another leader has written: then Conflict is raised."""
        await self._means.specs.ready()
        leadership = _Leadership(self._means, term, self._signer)
        bus = self._means.bus
        # Before anything is read: what happens from now on is told, what was before is in the records.
        cursor = await bus.stored_cursor(CONSUMER)
        if cursor is None:
            cursor = await bus.now()
            # Else what is asked between two leaders would be nobody's, where the first was gone at once.
            await self._means.kv.transact([term.guard, bus.cursor_op(CONSUMER, cursor)])
        await leadership.load()
        caretaker = Caretaker(self._means.kv, self._means.clock, self._keep, term.guard)
        async with asyncio.TaskGroup() as group:
            group.create_task(leadership.actor.run())
            group.create_task(leadership.follow(cursor))
            group.create_task(leadership.store_lazily())
            group.create_task(leadership.reactions.run())
            group.create_task(leadership.noting.run())
            group.create_task(caretaker.run())


class _Leadership:
    """What lasts as long as one term."""

    def __init__(self, means: Means, term: Term, signer: Signer) -> None:
        self._means = means
        self._kv, self._bus, self._clock = means.kv, means.bus, means.clock
        self._term = term
        self._signer = signer
        self._recipes: dict[str, Recipe] = {}
        self._dirty: dict[str, Run] = {}
        self._cursor: Cursor | None = None
        self._stirred = asyncio.Event()
        self._writing = asyncio.Lock()
        self._later: list[tuple[str, Fact]] = []
        self.actor: Actor[str, RunState, Fact, Effect] = Actor(
            clock=means.clock, decide=decide, perform=self._perform, wake=lambda _: Woken()
        )
        self._routes: Mapping[str, Callable[[Event], Awaitable[None]]] = {
            RUN_REQUESTED: self._requested,
            ORDER_STARTED: self._order_started,
            ORDER_FINISHED: self._order_finished,
            CANCEL_REQUESTED: self._cancel_asked,
            RETRY_REQUESTED: self._retry_asked,
            APPROVAL_GIVEN: self._approved,
        }
        self.reactions = Reactions(means, term.guard)
        self.noting = Noting(means.notes, self.actor)
        self._follow_ups = FollowUps(means, term.guard, Groups(), self.actor, self.noting)

    # --- what is there -----------------------------------------------------------------------------------

    async def load(self) -> None:
        """Take over: only runs that are not finished are read, however many there are."""
        ids = [key.removeprefix(keys.LIVE_RUNS) for key in await self._kv.keys(keys.LIVE_RUNS)]
        runs = [run for one in ids if (run := await self._read(one)) is not None]
        # Those under way hold their groups; the others stand in line in the order of their ids.
        for run in sorted(runs, key=lambda run: (run.state == "queued", run.id)):
            if not run.finished:
                await self._adopt(run)
        await self._go_through_orders({run.id for run in runs if not run.finished})
        await self.reactions.load()
        log.info("loaded", extra={"runs": len(runs)})

    async def _read(self, run_id: str) -> Run | None:
        entry = await self._kv.get(keys.run(run_id))
        return Run.from_bytes(entry.value) if entry is not None else None

    async def _adopt(self, run: Run) -> None:
        try:
            recipe = await self._recipe(run)
        except (Invalid, NotFound) as exc:
            self.actor.tell(run.id, Unreadable(run, str(exc)))
            return
        self.actor.tell(run.id, Requested(run, recipe) if run.state == "queued" else Resumed(run, recipe))
        for node in self._means.specs.nodes():
            if not node.alive:
                self.actor.tell(run.id, NodeLost(node.name, "it is not there"))

    async def _recipe(self, run: Run) -> Recipe:
        known = self._recipes.get(run.spec)
        if known is None:
            entry = await self._kv.get(keys.pipeline(run.spec))
            if entry is None:
                raise NotFound(f"the pipeline that run {run.id} was started with is gone")
            known = recipes.read(entry.value)
            while len(self._recipes) >= 1024:
                self._recipes.pop(next(iter(self._recipes)))
            self._recipes[run.spec] = known
        return known

    async def _go_through_orders(self, live: set[str]) -> None:
        """Orders of runs that are over go; those that nobody has taken yet are given again, as ours.

        Before anything else is ordered: a worker that has seen the new epoch refuses the old one.
        """
        for node in self._means.specs.nodes():
            for key in await self._kv.keys(keys.orders(node.name)):
                name = key.removeprefix(keys.orders(node.name)).removesuffix("/cancel")
                entry = await self._kv.get(keys.order(node.name, name))
                order = read_order(entry)
                if name.partition(".")[0] not in live:
                    if order is None or order.state != "started":
                        await self._kv.transact([self._term.guard, *order_gone(node.name, name)])
                elif entry is not None and order is not None and order.state == "pending":
                    await self._give_again(order, entry, node.name)

    async def _give_again(self, order: Order, entry: Entry, node: str) -> None:
        """As ours; but what no controller signed for that node is not signed by us either."""
        reason = await self._signer.objection(order)
        if reason is None and entry.key != keys.order(order.node, order.id):
            reason = f"it is order {order.id} for node {order.node}"
        if reason is not None:
            name = entry.key.removeprefix(keys.orders(node))
            log.warning("order_refused", extra={"order": name, "node": node, "why": reason})
            never = Outcome(state="failed", error=f"the order was refused by a new coordinator: {reason}")
            self.actor.tell(name.partition(".")[0], OrderEnded(name, node, never))
            return
        ours = self._signer.sign(order.model_copy(update={"epoch": self._term.epoch}))
        try:
            ops: list[Op] = [self._term.guard, Cas(entry.key, ours.to_bytes(), entry.version)]
            await self._kv.transact(ops)
        except TransactionConflict as conflict:
            if 0 in conflict.failed:
                raise
            # It was taken just now.

    # --- what happens ------------------------------------------------------------------------------------

    async def follow(self, cursor: Cursor) -> None:
        async for batch in self._bus.subscribe(cursor):
            for event in batch.events:
                await self._route(event)
            # Behind them in the inbox: when it is decided, so are they.
            self.actor.tell("", Seen(batch.cursor))

    async def _route(self, event: Event) -> None:
        try:
            await self._take_in(event)
        except (KeyError, TypeError, ValueError) as exc:
            # A node tells what it likes, and stops nobody by it.
            log.warning("event_not_read", extra={"event": event.id, "of": event.node, "why": repr(exc)})

    async def _take_in(self, event: Event) -> None:
        handler = self._routes.get(event.type)
        if handler is not None:
            await handler(event)
        elif event.type == NODE_LOST:
            for run in self.actor.states():
                self.actor.tell(
                    run, NodeLost(str(event.data.get("node")), str(event.data.get("reason") or ""))
                )
        await self.reactions.on_event(event)

    async def _requested(self, event: Event) -> None:
        run_id = str(event.data["run"])
        if self.actor.state(run_id) is None:
            run = await self._read(run_id)
            if run is not None and not run.finished:
                await self._adopt(run)

    async def _order_started(self, event: Event) -> None:
        data = event.data
        self.actor.tell(data["run"], OrderStarted(data["order"], parse_rfc3339(data["startedAt"])))

    async def _order_finished(self, event: Event) -> None:
        data = event.data
        outcome = Outcome.model_validate(data["outcome"])
        self.actor.tell(data["run"], OrderEnded(data["order"], data["node"], outcome))

    async def _cancel_asked(self, event: Event) -> None:
        data = event.data
        self.actor.tell(data["run"], CancelAsked(data["reason"], data.get("by") or ""))

    async def _approved(self, event: Event) -> None:
        names = ("step", "by", "role", "yes", "comment")
        self.actor.tell(event.data["run"], Approved(**{n: event.data[n] for n in names if n in event.data}))

    async def _retry_asked(self, event: Event) -> None:
        run = await self._read(event.data["run"])
        if run is None or not run.finished or self.actor.state(run.id) is not None:
            return
        try:
            recipe = await self._recipe(run)
        except (Invalid, NotFound) as exc:
            log.warning("retry_refused", extra={"run": run.id, "why": str(exc)})
            return
        self.actor.tell(run.id, RetryAsked(run, recipe, event.data.get("by") or "", event.id))

    # --- what is done ------------------------------------------------------------------------------------

    async def _perform(self, decided: Sequence[Made]) -> None:
        units: dict[str, Unit] = {}
        for made in decided:
            for effect in made.effects:
                await self._collect(effect, units.setdefault(made.key, Unit()), made.key)
        async with self._writing:
            await self._write(units)
        later, self._later = self._later, []
        for key, fact in later:
            self.actor.tell(key, fact)
        for made in decided:
            for effect in made.effects:
                await self._follow_ups.do(made.key, effect)

    async def _collect(self, effect: Effect, unit: Unit, run_id: str) -> None:
        match effect:
            case Store(run, lazy):
                unit.run, unit.lazy = run, unit.lazy and lazy
            case Emit():
                unit.events.append(self._event(effect, run_id))
            case Dispatch(order):
                try:
                    order = self._signer.sign(complete(order, self._term.epoch, self._means.specs))
                except Invalid as exc:
                    refused = Outcome(state="failed", error=str(exc))
                    self._later.append((run_id, OrderEnded(order.id, order.node, refused)))
                else:
                    unit.ops.append(Put(keys.order(order.node, order.id), order.to_bytes()))
            case Clear(order_id, node):
                unit.ops.extend(order_gone(node, order_id))
            case StartChild():
                self._start_child(effect, unit)
            case Intend():
                unit.ops.append(await self._intent(effect))
            case CommitCursor(cursor):
                self._cursor = cursor
                self._stirred.set()

    def _event(self, effect: Emit, run_id: str) -> Event:
        now = self._clock.now()
        return Event(
            effect.id,
            effect.type,
            SOURCE,
            now,
            effect.data,
            run_id,
            node=effect.node,
            cause=effect.cause,
            depth=effect.depth,
        )

    def _start_child(self, effect: StartChild, unit: Unit) -> None:
        parent = effect.parent
        asked = Asked(
            pipeline=effect.pipeline,
            params=effect.params,
            cause=Cause(event=parent.begun, kind="run", name=parent.id),
            run=effect.id,
            depth=parent.depth + 1,
            parent=Parent(run=parent.id, step=effect.step, target=effect.target),
        )
        try:
            prepared = self._means.starts.prepare(asked)
        except (Invalid, NotFound, Refused) as exc:
            self._later.append((parent.id, ChildEnded(effect.id, "failed", message=str(exc))))
        else:
            unit.ops.extend(prepared.ops)
            unit.events.append(prepared.event)

    async def _intent(self, effect: Intend) -> Op:
        key = keys.intent("service", effect.service)
        entry = await self._kv.get(key)
        before = Intent.from_bytes(entry.value) if entry is not None else None
        intent = ordered(before, effect.do, effect.id, self._clock.now(), f"run/{effect.run}")
        intent = intent.model_copy(update={"cause": effect.cause})
        return Cas(key, intent.to_bytes(), entry.version if entry is not None else 0)

    async def _write(self, units: Mapping[str, Unit]) -> None:
        urgent: dict[str, Unit] = {}
        for key, unit in units.items():
            if unit.idle():
                if unit.run is not None:
                    self._dirty[key] = unit.run
                    self._stirred.set()
                continue
            urgent[key] = unit
            if unit.run is not None:
                self._dirty.pop(key, None)
        if not urgent:
            return
        parts = list(pack(urgent, self._term.guard))
        cursor = self._cursor
        for i, (events, ops) in enumerate(parts):
            if cursor is not None and i == len(parts) - 1:
                ops.append(self._bus.cursor_op(CONSUMER, cursor))
            await self._bus.publish(events, ops, durable=False)
        if self._cursor is cursor:
            self._cursor = None

    async def store_lazily(self) -> None:
        """What nobody waits for, a moment later and all together."""
        while True:
            await self._stirred.wait()
            self._stirred.clear()
            await asyncio.sleep(LAZY if self._dirty else LAZY * 20)
            async with self._writing:
                dirty, self._dirty = self._dirty, {}
                units = {key: Unit(run, lazy=False) for key, run in dirty.items()}
                for events, ops in pack(units, self._term.guard):
                    if len(ops) > 1:
                        await self._bus.publish(events, ops, durable=False)
                if self._cursor is not None:
                    cursor, self._cursor = self._cursor, None
                    await self._bus.publish(
                        [], [self._term.guard, self._bus.cursor_op(CONSUMER, cursor)], durable=False
                    )
