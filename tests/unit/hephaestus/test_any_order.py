"""Whatever happens in whatever order, with leaders that come and go: every run ends, and nothing is done twice."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import hypothesis.strategies as st
from hypothesis import given, settings

from olympus.hephaestus.model import Approved, CancelAsked, ChildEnded, NodeLost, Observed, OrderEnded
from olympus.hephaestus.orders import Outcome
from olympus.records.run import Run
from olympus.testing.runs import RunWorld

NAMES = ("a", "b", "c", "d", "e")
BODIES: dict[str, Any] = {
    "run": ["x"],
    "script": "x",
    "emit": {"type": "told"},
    "wait": {"until": {"service": "s", "state": "healthy"}, "every": "5s", "within": "1m"},
    "approve": {"expires": "10m"},
    "pipeline": {"name": "other"},
    "service": {"name": "s", "do": "restart"},
}
KINDS = ("run", "run", "run", "run", *BODIES)


def pipeline(rng: random.Random) -> dict[str, Any]:
    steps = []
    for i, name in enumerate(NAMES[: rng.randint(1, 5)]):
        kind = rng.choice(KINDS)
        step = {"name": name, kind: BODIES[kind], "idempotent": rng.random() < 0.4}
        step["on"] = rng.choice(["success", "success", "success", "failure", "always"])
        if rng.random() < 0.4:
            step["needs"] = [other for other in NAMES[:i] if rng.random() < 0.5]
        if rng.random() < 0.4:
            step["retry"] = {"attempts": rng.randint(1, 3), "delay": "1s", "backoff": 2}
        if rng.random() < 0.2:
            step["when"] = rng.choice(["params.x == 1", "params.x == 2", "params.none == 1"])
        steps.append(step)
    spec: dict[str, Any] = {"steps": steps}
    if rng.random() < 0.3:
        spec["timeout"] = "1h"
    if rng.random() < 0.5:
        more = rng.choice([{}, {"stopAfterFailures": 1}, {"stopAfterFailures": 2}])
        spec["nodes"] = {"order": rng.choice(["node", "step"]), "batch": rng.randint(1, 3), **more}
    return spec


class Walk:
    """One run, and what really happened on its nodes."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        spec = pipeline(self.rng)
        count = self.rng.randint(1, 3) if "nodes" in spec else 1
        strict = self.rng.random() < 0.5
        self.world = RunWorld(spec, params={"x": 1}, nodes=[f"n{i}" for i in range(count)], strict=strict)
        self.done: Counter[tuple[str, str]] = Counter()
        self.lost: Counter[tuple[str, str]] = Counter()
        self.failed: Counter[tuple[str, str]] = Counter()
        self.retries = 0

    def go(self, steps: int = 40) -> None:
        self.world.begin()
        self.look()
        actions = {
            self.take: 10, self.end: 20, self.repeat_an_answer: 5, self.answer: 4, self.observe: 6, self.child: 6,
            self.cancel: 1, self.wait: 6, self.change_leader: 5, self.lose_node: 1, self.retry: 2,
        }  # fmt: skip
        for _ in range(steps):
            self.rng.choices(list(actions), list(actions.values()))[0]()
            self.look()

    def _order(self):
        orders = sorted(self.world.orders.values(), key=lambda order: order.id)
        return self.rng.choice(orders) if orders else None

    def take(self) -> None:
        order = self._order()
        if order is not None and order.id not in self.world.started:
            self.world.started.add(order.id)
            self.done[order.step, order.id.split(".")[2]] += 1

    def end(self) -> None:
        order = self._order()
        if order is None:
            return
        key = (order.step, order.id.split(".")[2])
        if order.id not in self.world.started:
            self.world.started.add(order.id)
            self.done[key] += 1
        state = self.rng.choice(["succeeded", "succeeded", "failed", "unknown", "cancelled"])
        if state == "unknown":
            self.lost[key] += 1
        elif state != "succeeded":
            self.failed[key] += 1
        self.world.tell(OrderEnded(order.id, order.node, Outcome(state=state, exit=0)))

    def repeat_an_answer(self) -> None:
        """At least once is how events come."""
        over = [
            e for e in self.world.effects if type(e).__name__ == "Clear" and e.order not in self.world.orders
        ]
        if over:
            effect, before = self.rng.choice(over), self.world.stored
            self.world.tell(OrderEnded(effect.order, effect.node, Outcome(state="failed")))
            assert self.world.stored == before

    def _open(self, *kinds: str):
        recipe = self.world.recipe
        entries = self.world.run.steps if self.world.state is not None else ()
        return [one for one in entries if not one.ended and recipe.step(one.name).kind in kinds]

    def answer(self) -> None:
        for entry in self._open("approve")[:1]:
            self.world.tell(Approved(entry.name, "ann", "admin", yes=self.rng.random() < 0.7))

    def observe(self) -> None:
        for entry in self._open("wait", "service")[:1]:
            self.world.tell(
                Observed(entry.name, entry.target, value=self.rng.random() < 0.6, because="it is so")
            )

    def child(self) -> None:
        if self.world.children:
            state = self.rng.choice(["succeeded", "succeeded", "failed", "cancelled", "unknown"])
            self.world.tell(ChildEnded(self.rng.choice(self.world.children).id, state))

    def cancel(self) -> None:
        self.world.tell(CancelAsked("enough"))

    def wait(self) -> None:
        self.world.pass_time(self.rng.choice([1, 1, 6, 6, 70, 4000]))

    def change_leader(self) -> None:
        self.world.restart()

    def lose_node(self) -> None:
        self.world.tell(NodeLost("n0", "gone"))

    def retry(self) -> None:
        if self.world.stored.finished and self.world.stored.state != "succeeded" and self.retries < 2:
            self.retries += 1
            self.world.retry()

    def look(self) -> None:
        world = self.world
        assert Run.from_bytes(world.stored.to_bytes()) == world.stored
        for key, times in self.done.items():
            again = self.failed[key] + (self.lost[key] if world.recipe.step(key[0]).idempotent else 0)
            # `retry` by a person begins anew what failed or is unknown, and handlers.
            assert times <= 1 + again + self.retries, f"{key} was done {times} times: {world.said}"
        if world.stored.finished:
            assert all(entry.ended for entry in world.stored.steps)
            assert world.state is None
        elif world.state is not None:
            # For a worker, a person, a child or the time: never for nothing.
            going = [entry for entry in world.run.steps if not entry.ended]
            assert any(entry.order or entry.wake_at or entry.deadline or entry.token for entry in going)

    def bring_to_an_end(self) -> None:
        """From wherever it is: workers answer, children end, time passes, and the run is over."""
        world = self.world
        for _ in range(400):
            if world.state is None:
                break
            for order in list(world.orders.values()):
                world.tell(OrderEnded(order.id, order.node, Outcome(state="succeeded", exit=0)))
            for child in world.children:
                world.tell(ChildEnded(child.id, "succeeded"))
            world.pass_time(4000)
        assert world.stored.finished, world.states()
        assert world.stored.finished_at is not None
        assert not any(entry.state in {"pending", "running", "waiting"} for entry in world.stored.steps)
        ends = [event for event in world.events if event.type == "olympus.hephaestus.run-finished"]
        assert len(ends) == 1 + self.retries
        assert len({event.id for event in world.events}) == len(world.events)


@given(st.integers(0, 2**40))
@settings(max_examples=500, deadline=None)
def test_every_run_ends_and_no_step_is_done_twice(seed):
    walk = Walk(seed)
    walk.go()
    walk.bring_to_an_end()


@given(st.integers(0, 2**40))
@settings(max_examples=200, deadline=None)
def test_a_run_where_all_goes_well_succeeds(seed):
    world = Walk(seed).world.begin()
    for _ in range(100):
        if world.state is None:
            break
        for order in list(world.orders.values()):
            world.tell(OrderEnded(order.id, order.node, Outcome(state="succeeded", exit=0)))
        for child in world.children:
            world.tell(ChildEnded(child.id, "succeeded"))
        for entry in world.run.steps:
            if entry.state == "waiting" and entry.role:
                world.tell(Approved(entry.name, "ann", "admin"))
            elif not entry.ended:
                world.tell(Observed(entry.name, entry.target, value=True, because=""))
    assert world.stored.state == "succeeded", world.stored.message
