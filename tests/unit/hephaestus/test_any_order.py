"""Whatever happens in whatever order, with leaders that come and go: every run ends, and nothing is done twice."""

from __future__ import annotations

from collections import Counter

import hypothesis.strategies as st
from hypothesis import HealthCheck, given, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from olympus.hephaestus.model import Approved, CancelAsked, ChildEnded, NodeLost, Observed, OrderEnded
from olympus.hephaestus.orders import Outcome
from olympus.records.run import Run
from olympus.testing.runs import RunWorld

NAMES = ("a", "b", "c", "d", "e")
WAITING = {"wait", "approve", "pipeline", "service"}


@st.composite
def pipelines(draw) -> dict:
    steps = []
    for i, name in enumerate(NAMES[: draw(st.integers(1, 5))]):
        step: dict = {"name": name}
        kind = draw(
            st.sampled_from(["run", "run", "run", "script", "emit", "wait", "approve", "pipeline", "service"])
        )
        step[kind] = {
            "run": ["x"],
            "script": "x",
            "emit": {"type": "told"},
            "wait": {"until": {"service": "s", "state": "healthy"}, "every": "5s", "within": "1m"},
            "approve": {"expires": "10m"},
            "pipeline": {"name": "other"},
            "service": {"name": "s", "do": "restart"},
        }[kind]
        if draw(st.booleans()):
            step["needs"] = draw(st.lists(st.sampled_from(NAMES[:i]), unique=True)) if i else []
        step["on"] = draw(st.sampled_from(["success", "success", "success", "failure", "always"]))
        step["idempotent"] = draw(st.booleans())
        if draw(st.booleans()):
            step["retry"] = {"attempts": draw(st.integers(1, 3)), "delay": "1s", "backoff": 2}
        if draw(st.integers(0, 4)) == 0:
            step["when"] = draw(st.sampled_from(["params.x == 1", "params.x == 2", "params.none == 1"]))
        steps.append(step)
    spec: dict = {"steps": steps}
    if draw(st.booleans()):
        spec["timeout"] = "1h"
    if draw(st.booleans()):
        spec["nodes"] = {
            "order": draw(st.sampled_from(["node", "step"])),
            "batch": draw(st.integers(1, 3)),
            **draw(st.sampled_from([{}, {"stopAfterFailures": 1}, {"stopAfterFailures": 2}])),
        }
    return spec


class RunMachine(RuleBasedStateMachine):
    """The world of one run. `done` counts what really happened on nodes, `told` what leaders were told of it."""

    def __init__(self) -> None:
        super().__init__()
        self.world: RunWorld | None = None
        self.done: Counter[tuple[str, str]] = Counter()
        self.lost: Counter[tuple[str, str]] = Counter()
        self.failed: Counter[tuple[str, str]] = Counter()
        self.retries = 0

    @precondition(lambda self: self.world is None)
    @rule(spec=pipelines(), nodes=st.integers(1, 3), strict=st.booleans())
    def begin(self, spec, nodes, strict):
        count = nodes if "nodes" in spec else 1
        self.world = RunWorld(
            spec, params={"x": 1}, nodes=[f"n{i}" for i in range(count)], strict=strict
        ).begin()

    def _order(self, data):
        orders = sorted(self.world.orders.values(), key=lambda order: order.id)
        return data.draw(st.sampled_from(orders)) if orders else None

    @precondition(lambda self: self.world and self.world.orders)
    @rule(data=st.data())
    def take(self, data):
        order = self._order(data)
        if order.id not in self.world.started:
            self.world.started.add(order.id)
            self.done[order.step, order.id.split(".")[2]] += 1

    @precondition(lambda self: self.world and self.world.orders)
    @rule(data=st.data(), state=st.sampled_from(["succeeded", "succeeded", "failed", "unknown", "cancelled"]))
    def end(self, data, state):
        order = self._order(data)
        key = (order.step, order.id.split(".")[2])
        if order.id not in self.world.started:
            self.world.started.add(order.id)
            self.done[key] += 1
        if state == "unknown":
            self.lost[key] += 1
        elif state != "succeeded":
            self.failed[key] += 1
        self.world.tell(OrderEnded(order.id, order.node, Outcome(state=state, exit=0)))

    @precondition(lambda self: self.world and self.world.effects)
    @rule(data=st.data())
    def repeat_an_answer(self, data):
        """At least once is how events come."""
        over = [e for e in self.world.effects if type(e).__name__ == "Clear"]
        if over:
            effect = data.draw(st.sampled_from(over))
            before = self.world.stored
            if effect.order not in self.world.orders:
                self.world.tell(OrderEnded(effect.order, effect.node, Outcome(state="failed")))
                assert self.world.stored == before

    def _open(self, kinds):
        if self.world.state is None:
            return []
        recipe = self.world.recipe
        return [e for e in self.world.run.steps if not e.ended and recipe.step(e.name).kind in kinds]

    @precondition(lambda self: self.world and self._open({"approve"}))
    @rule(yes=st.booleans())
    def answer(self, yes):
        self.world.tell(Approved(self._open({"approve"})[0].name, "ann", "admin", yes=yes))

    @precondition(lambda self: self.world and self._open({"wait", "service"}))
    @rule(value=st.booleans())
    def observe(self, value):
        entry = self._open({"wait", "service"})[0]
        self.world.tell(Observed(entry.name, entry.target, value=value, because="so it is"))

    @precondition(lambda self: self.world and self.world.children)
    @rule(data=st.data(), state=st.sampled_from(["succeeded", "failed", "cancelled", "unknown"]))
    def end_child(self, data, state):
        child = data.draw(st.sampled_from(self.world.children))
        self.world.tell(ChildEnded(child.id, state))

    @precondition(lambda self: self.world)
    @rule()
    def cancel(self):
        self.world.tell(CancelAsked("enough"))

    @precondition(lambda self: self.world)
    @rule(seconds=st.sampled_from([1, 6, 70, 4000]))
    def wait(self, seconds):
        self.world.pass_time(seconds)

    @precondition(lambda self: self.world)
    @rule()
    def change_leader(self):
        self.world.restart()

    @precondition(lambda self: self.world)
    @rule()
    def lose_node(self):
        self.world.tell(NodeLost("n0", "gone"))

    @precondition(lambda self: self.world and self.world.stored.finished and self.retries < 2)
    @rule()
    def retry(self):
        if self.world.stored.state != "succeeded":
            self.retries += 1
            self.world.retry()

    @invariant()
    def what_is_stored_is_what_is_known(self):
        if self.world is not None:
            assert Run.from_bytes(self.world.stored.to_bytes()) == self.world.stored

    @invariant()
    def each_step_is_done_once_unless_it_failed_or_may_be_repeated(self):
        if self.world is None:
            return
        for (name, target), times in self.done.items():
            step = self.world.recipe.step(name)
            again = self.failed[name, target] + (self.lost[name, target] if step.idempotent else 0)
            # `retry` by a person begins anew what failed or is unknown, and handlers.
            allowed = 1 + again + self.retries
            assert times <= allowed, f"{name} on {target} was done {times} times"

    @invariant()
    def a_finished_run_has_nothing_open(self):
        if self.world is not None and self.world.stored.finished:
            assert all(entry.ended for entry in self.world.stored.steps)
            assert self.world.state is None

    @invariant()
    def a_run_that_goes_on_waits_for_something(self):
        """For a worker, a person, a child or the time: never for nothing."""
        if self.world is None or self.world.state is None:
            return
        entries = [entry for entry in self.world.run.steps if not entry.ended]
        assert any(entry.order or entry.wake_at or entry.deadline or entry.token for entry in entries)

    def teardown(self):
        """From wherever it is: workers answer, children end, time passes, and the run is over."""
        if self.world is None:
            return
        for _ in range(400):
            if self.world.state is None:
                break
            for order in list(self.world.orders.values()):
                self.world.tell(OrderEnded(order.id, order.node, Outcome(state="succeeded", exit=0)))
            for child in self.world.children:
                self.world.tell(ChildEnded(child.id, "succeeded"))
            self.world.pass_time(4000)
        assert self.world.stored.finished, self.world.states()
        assert self.world.stored.finished_at is not None
        assert self.world.said[-1].startswith("run-finished") or self.world.orders == {}
        finished = [event for event in self.world.events if event.type == "olympus.hephaestus.run-finished"]
        assert len(finished) == 1 + self.retries


def test_every_run_ends_and_no_step_is_done_twice():
    run_state_machine_as_test(
        RunMachine,
        settings=settings(
            max_examples=150,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@given(pipelines(), st.integers(1, 3))
@settings(max_examples=100, deadline=None)
def test_a_run_where_all_goes_well_succeeds(spec, nodes):
    count = nodes if "nodes" in spec else 1
    world = RunWorld(spec, params={"x": 1}, nodes=[f"n{i}" for i in range(count)]).begin()
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
