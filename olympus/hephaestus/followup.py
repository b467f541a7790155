"""What follows a decision once it is stored: looks, answers and marks. Doing one twice does no harm."""

from __future__ import annotations

from collections import Counter
from typing import Any

from olympus.actor import Actor
from olympus.hephaestus.concurrency import Groups
from olympus.hephaestus.model import (
    Admitted,
    CancelAsked,
    CancelChild,
    CheckChild,
    CheckOrder,
    ChildEnded,
    Claims,
    Effect,
    Fact,
    GroupBusy,
    Observe,
    Observed,
    OrderEnded,
    OrderMissing,
    OrderStarted,
    Place,
    Release,
    RunState,
    Store,
    WakeAt,
    Withdraw,
    WriteNote,
)
from olympus.hephaestus.noting import Noting
from olympus.hephaestus.observation import observe
from olympus.hephaestus.orders import Cancel, Order, Outcome, cancel_key, read_order
from olympus.hephaestus.placement import place
from olympus.hephaestus.starts import Means
from olympus.hermes import keys
from olympus.hermes.kv import CheckVersion, Delete, Op, Put, TransactionConflict
from olympus.records.run import Run


class FollowUps:
    """Each method is named for its effect."""

    def __init__(
        self,
        means: Means,
        guard: Op,
        groups: Groups,
        actor: Actor[str, RunState, Fact, Effect],
        noting: Noting,
    ) -> None:
        self._means = means
        self._kv = means.kv
        self._guard = guard
        self._groups = groups
        self._noting = noting
        self._actor = actor

    async def do(self, run: str, effect: Effect) -> None:
        """`run` is whose effect it is."""
        match effect:
            case WakeAt(when):
                self._actor.wake_at(run, when)
            case Place(recipe):
                self._actor.tell(
                    run, place(recipe, self._means.specs.nodes(), self._means.node, self._busy())
                )
            case Claims():
                self._claim(effect)
            case Release():
                for other in self._groups.leave(run):
                    self._actor.tell(other, Admitted())
            case Withdraw():
                await self._withdraw(run, effect)
            case CheckOrder(order, node):
                await self._check_order(run, order, node)
            case CheckChild(child):
                await self._check_child(run, child)
            case CancelChild(child, reason):
                self._actor.tell(child, CancelAsked(reason, f"run/{run}"))
            case Observe(step, target, what, intent):
                seen = await observe(self._kv, self._means.specs, what, intent)
                self._actor.tell(run, Observed(step, target, seen.value, seen.because, seen.over))
            case WriteNote():
                self._noting.ask(run, effect)
            case Store(stored):
                self._tell_parent(stored)

    def _busy(self) -> Counter[str]:
        """Open orders by node."""
        return Counter(
            entry.node for state in self._actor.states().values() for entry in state.run.steps if entry.order
        )

    # --- concurrency -------------------------------------------------------------------------------------

    def _claim(self, effect: Claims) -> None:
        turned_away, replaced = self._groups.join(
            effect.run, effect.claims, self._ancestors(effect.parent), holds=effect.holds
        )
        if turned_away is not None:
            self._actor.tell(effect.run, GroupBusy(*turned_away))
            return
        for group, other in replaced:
            self._actor.tell(other, CancelAsked(f"replaced by run {effect.run} in group '{group}'"))
        if not effect.holds and self._groups.first(effect.run):
            self._actor.tell(effect.run, Admitted())

    def _ancestors(self, parent: str | None) -> frozenset[str]:
        found: set[str] = set()
        while parent is not None and parent not in found:
            found.add(parent)
            state = self._actor.state(parent)
            above = state.run.parent if state is not None else None
            parent = above.run if above is not None else None
        return frozenset(found)

    # --- orders ------------------------------------------------------------------------------------------

    async def _order(self, node: str, order: str) -> tuple[Order, int] | None:
        entry = await self._kv.get(keys.order(node, order))
        found = read_order(entry)
        return (found, entry.version) if entry is not None and found is not None else None

    async def _check_order(self, run: str, order_id: str, node: str) -> None:
        found = await self._order(node, order_id)
        if found is None:
            self._actor.tell(run, OrderMissing(order_id))
            return
        order, _ = found
        if order.state == "finished" and order.outcome is not None:
            self._actor.tell(run, OrderEnded(order_id, node, order.outcome))
        elif order.state == "started":
            self._actor.tell(run, OrderStarted(order_id, order.started_at or self._means.clock.now()))

    async def _withdraw(self, run: str, effect: Withdraw) -> None:
        order_id, node = effect.order, effect.node
        alive = next((one.alive for one in self._means.specs.nodes() if one.name == node), False)
        never = Outcome(state="cancelled" if alive else "failed", error=effect.reason)
        while True:
            found = await self._order(node, order_id)
            if found is None:
                self._actor.tell(run, OrderEnded(order_id, node, never))
                return
            order, version = found
            if order.state == "finished" and order.outcome is not None:
                self._actor.tell(run, OrderEnded(order_id, node, order.outcome))
                return
            key = keys.order(node, order_id)
            mark = Cancel(at=self._means.clock.now(), reason=effect.reason).to_bytes()
            guards = [self._guard, CheckVersion(key, version)]
            pending = order.state == "pending"
            op = Delete(key) if pending else Put(cancel_key(node, order_id), mark)
            try:
                await self._kv.transact([*guards, op])
            except TransactionConflict as conflict:
                if 0 in conflict.failed:
                    raise
                # The worker took it, or ended it, just now.
                continue
            if pending:
                self._actor.tell(run, OrderEnded(order_id, node, never))
            elif not alive:
                lost = Outcome(state="unknown", error=effect.reason, started_at=order.started_at)
                self._actor.tell(run, OrderEnded(order_id, node, lost, keep=True))
            return

    # --- children ----------------------------------------------------------------------------------------

    def _tell_parent(self, run: Run) -> None:
        if run.finished and run.parent is not None:
            self._actor.tell(run.parent.run, _answer(run))

    async def _check_child(self, run: str, child: str) -> None:
        entry = await self._kv.get(keys.run(child))
        if entry is None:
            self._actor.tell(run, ChildEnded(child, "failed", message="it was never started"))
            return
        found = Run.from_bytes(entry.value)
        if found.finished:
            self._actor.tell(run, _answer(found))


def _answer(run: Run) -> ChildEnded:
    state: Any = run.state
    steps = {one.name: {"state": one.state, "exit": one.exit, "output": one.output} for one in run.steps}
    return ChildEnded(run.id, state, {"run": run.id, "state": run.state, "steps": steps}, run.message)
