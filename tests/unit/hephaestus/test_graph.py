"""Needs, batches of nodes, order by node and by step, delegation."""

from __future__ import annotations

import pytest

from olympus.hephaestus.graph import batch_size
from olympus.hephaestus.recipe import Nodes
from olympus.records.run import Target
from olympus.testing.runs import RunWorld


@pytest.fixture(params=[False, True], ids=["kept", "reloaded"])
def strict(request):
    return request.param


def outstanding(world: RunWorld) -> list[str]:
    return [f"{order.step}@{order.node}" for order in world.orders.values()]


DIAMOND = """
steps:
  - {name: a, run: [a]}
  - {name: b, needs: [a], run: [b]}
  - {name: c, needs: [a], run: [c]}
  - {name: d, needs: [b, c], run: [d]}
  - {name: e, needs: [], run: [e]}
"""


def test_steps_run_beside_each_other_as_needs_allow(strict):
    world = RunWorld(DIAMOND, strict=strict).begin()
    assert outstanding(world) == ["a@n1", "e@n1"]
    world.ok("a")
    assert outstanding(world) == ["e@n1", "b@n1", "c@n1"]
    world.ok("b")
    assert outstanding(world) == ["e@n1", "c@n1"]
    world.ok("c")
    world.ok("d")
    world.ok("e")
    assert world.run.state == "succeeded"


def test_only_what_needs_the_failed_step_is_skipped(strict):
    world = RunWorld(DIAMOND, strict=strict).begin()
    world.ok("a")
    world.fail("b")
    world.ok("c")
    world.ok("e")
    assert world.states() == {
        "a": "succeeded", "b": "failed", "c": "succeeded", "d": "skipped", "e": "succeeded",
    }  # fmt: skip
    assert world.run.state == "failed"


def test_a_handler_without_needs_is_for_all_above_it(strict):
    world = RunWorld(
        """
        steps:
          - {name: a, needs: [], run: [a]}
          - {name: b, needs: [], run: [b]}
          - {name: alarm, on: failure, run: [alarm]}
        """,
        strict=strict,
    ).begin()
    world.fail("a")
    assert outstanding(world) == ["b@n1"]
    world.ok("b")
    assert outstanding(world) == ["alarm@n1"]


def test_a_handler_with_needs_is_for_those():
    world = RunWorld(
        """
        steps:
          - {name: a, needs: [], run: [a]}
          - {name: b, needs: [], run: [b]}
          - {name: alarm, on: failure, needs: [b], run: [alarm]}
        """
    ).begin()
    world.fail("a")
    world.ok("b")
    assert world.states()["alarm"] == "skipped"


THREE_NODES = ("w1", "w2", "w3")


def test_order_node_ends_a_batch_before_the_next(strict):
    world = RunWorld(
        "{nodes: {selector: role=web, batch: 2}, steps: [{name: a, run: [a]}, {name: b, run: [b]}]}",
        nodes=THREE_NODES,
        strict=strict,
    ).begin()
    assert outstanding(world) == ["a@w1", "a@w2"]
    world.ok("a", node="w2")
    assert outstanding(world) == ["a@w1", "b@w2"]
    world.ok("b", node="w2")
    world.ok("a", node="w1")
    assert outstanding(world) == ["b@w1"]
    world.ok("b", node="w1")
    assert outstanding(world) == ["a@w3"]
    world.ok("a")
    world.ok("b")
    assert world.run.state == "succeeded"
    assert len(world.run.steps) == 6


def test_order_step_ends_a_step_on_all_nodes_before_the_next(strict):
    world = RunWorld(
        """
        nodes: {selector: role=web, order: step}
        steps:
          - {name: a, run: [a]}
          - {name: b, run: [b, '${{ steps.a.nodes."w1".output.v }}', "${{ steps.a.output.v }}", "${{ node.name }}"]}
        """,
        nodes=THREE_NODES,
        strict=strict,
    ).begin()
    assert outstanding(world) == ["a@w1", "a@w2", "a@w3"]
    world.ok("a", {"v": 1}, node="w1")
    world.ok("a", {"v": 3}, node="w3")
    assert outstanding(world) == ["a@w2"]
    world.ok("a", {"v": 2}, node="w2")
    assert [order.action.argv for order in world.orders.values()] == [
        ("b", "1", "1", "w1"),
        ("b", "1", "2", "w2"),
        ("b", "1", "3", "w3"),
    ]


def test_order_step_goes_through_the_nodes_in_batches(strict):
    world = RunWorld(
        "{nodes: {order: step, batch: 2}, steps: [{name: a, run: [a]}, {name: b, run: [b]}]}",
        nodes=THREE_NODES,
        strict=strict,
    ).begin()
    assert outstanding(world) == ["a@w1", "a@w2"]
    world.ok("a", node="w1")
    assert outstanding(world) == ["a@w2"]
    world.ok("a", node="w2")
    assert outstanding(world) == ["a@w3"]
    world.ok("a")
    assert outstanding(world) == ["b@w1", "b@w2"]


def test_a_node_that_fails_drops_out_and_the_others_go_on():
    world = RunWorld(
        "{nodes: {order: step}, steps: [{name: a, run: [a]}, {name: b, run: [b]}]}", nodes=THREE_NODES
    ).begin()
    world.ok("a", node="w1")
    world.fail("a", node="w2")
    world.ok("a", node="w3")
    assert outstanding(world) == ["b@w1", "b@w3"]
    world.ok("b", node="w1")
    world.ok("b", node="w3")
    assert world.states()["b@w2"] == "skipped"
    assert world.run.state == "failed"


def test_no_further_node_begins_after_so_many_failures(strict):
    world = RunWorld(
        """
        nodes: {batch: 1, stopAfterFailures: 1}
        steps:
          - {name: a, run: [a]}
          - {name: b, run: [b]}
          - {name: undo, on: failure, run: [undo]}
          - {name: clean, on: always, run: [clean]}
        """,
        nodes=THREE_NODES,
        strict=strict,
    ).begin()
    world.ok("a")
    world.fail("b")
    world.ok("undo")
    world.ok("clean")
    assert world.orders == {}
    assert world.states()["a@w2"] == "skipped"
    assert world.states()["clean@w2"] == "skipped"
    assert world.step("a", "w2").message == "stopped: 1 node failed (w1)"
    assert world.run.state == "failed"


def test_by_default_a_batch_that_failed_whole_ends_the_rollout():
    world = RunWorld(
        "{nodes: {batch: 2}, steps: [{name: a, run: [a]}]}", nodes=("w1", "w2", "w3", "w4", "w5")
    ).begin()
    world.fail("a", node="w1")
    world.ok("a", node="w2")
    assert outstanding(world) == ["a@w3", "a@w4"]
    world.fail("a", node="w3")
    world.fail("a", node="w4")
    assert world.states()["a@w5"] == "skipped"
    assert "every node of a batch failed" in world.step("a", "w5").message


@pytest.mark.parametrize(
    ("batch", "most", "count", "size"),
    [
        (None, None, 7, 7),
        (5, None, 7, 5),
        (5, "20%", 10, 2),
        (None, "20%", 4, 1),
        ("50%", None, 9, 4),
        (9, None, 3, 3),
    ],
)
def test_a_batch_is_the_smaller_of_batch_and_max_and_at_least_one(batch, most, count, size):
    assert batch_size(Nodes(batch=batch, max=most), count) == size


def test_a_delegated_step_runs_elsewhere_for_its_target(strict):
    world = RunWorld(
        """
        nodes: {selector: role=web, batch: 1}
        steps:
          - name: drain
            delegate: {selector: role=lb, pick: one}
            run: [lbctl, disable, "${{ target.name }}", "${{ node.name }}"]
          - {name: work, run: [work]}
        """,
        nodes=("w1", "w2"),
        strict=strict,
    )
    world.delegates = {"drain": (Target(name="lb1"),)}
    world.begin()
    order = world.order("drain")
    assert (order.node, order.action.argv) == ("lb1", ("lbctl", "disable", "w1", "lb1"))
    assert order.id.endswith(".drain.w1.1")
    world.ok("drain")
    assert world.order("work").node == "w1"
    world.ok("work")
    assert world.order("drain").action.argv[2] == "w2"
    assert (world.step("drain", "w2").node, world.step("drain", "w2").target) == ("lb1", "w2")


def test_a_node_that_is_not_there_fails_and_the_rest_is_done():
    world = RunWorld(
        "{nodes: {}, steps: [{name: a, run: [a]}, {name: b, on: always, run: [b]}]}", nodes=("w1", "w2")
    )
    world.unfit = {"w2": "node w2 is not there"}
    world.begin()
    world.ok("a", node="w1")
    world.ok("b", node="w1")
    assert world.states() == {
        "a@w1": "succeeded", "b@w1": "succeeded", "a@w2": "failed", "b@w2": "skipped",
    }  # fmt: skip
    assert world.run.message == "step 'a' on w2: node w2 is not there"
