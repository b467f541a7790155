"""One node, one step after the other: what is decided, as a transcript."""

from __future__ import annotations

from datetime import timedelta

import pytest

from olympus.hephaestus.begin import NOTE_POLL, NOTE_WITHIN
from olympus.hephaestus.model import CancelAsked, NoteAnswered, Woken
from olympus.records.run import Claim, Run
from olympus.testing.runs import RunWorld

THREE = """
steps:
  - {name: look, run: [uname, -n]}
  - {name: say, run: [echo, "hello ${{ params.name }} on ${{ steps.look.output.host }}"]}
  - {name: tell, emit: {type: greeting.said, data: {name: "${{ params.name }}", exit: "${{ steps.say.exit }}"}}}
"""


@pytest.fixture(params=[False, True], ids=["kept", "reloaded"])
def strict(request):
    return request.param


def test_steps_follow_each_other_and_use_outputs(strict):
    world = RunWorld(THREE, params={"name": "ann"}, strict=strict).begin()
    world.take("look")
    assert world.states() == {"look": "running", "say": "pending", "tell": "pending"}
    world.ok("look", {"host": "n1"})
    assert world.order("say").action.argv == ("echo", "hello ann on n1")
    world.ok("say")
    assert world.said == [
        "run-started running",
        "order look n1 #1",
        "step-finished look n1 succeeded",
        "order say n1 #1",
        "step-finished say n1 succeeded",
        "emits greeting.said",
        "step-finished tell n1 succeeded",
        "run-finished succeeded",
    ]
    assert world.events[-3].data == {"name": "ann", "exit": 0}
    assert world.run.state == "succeeded"
    assert world.orders == {}
    assert world.state is None


def test_events_name_their_cause_and_grow_deeper(strict):
    world = RunWorld(THREE, params={"name": "ann"}, strict=strict, event={"id": "e0"}).begin()
    world.ok("look", {"host": "n1"})
    world.ok("say")
    started, *others = world.events
    assert (started.cause, started.depth) == ("e0", 0)
    assert {(event.cause, event.depth) for event in others} == {(started.id, 1)}
    assert len({event.id for event in world.events}) == len(world.events)


def test_a_failure_skips_what_follows_and_runs_the_handlers(strict):
    world = RunWorld(
        """
        steps:
          - {name: one, run: ["false"]}
          - {name: two, run: [two]}
          - {name: undo, on: failure, script: "echo back"}
          - {name: always, on: always, run: [clean]}
          - {name: last, run: [last]}
        """,
        strict=strict,
    ).begin()
    world.fail("one", 3)
    world.ok("undo")
    world.ok("always")
    assert world.states() == {
        "one": "failed", "two": "skipped", "undo": "succeeded", "always": "succeeded", "last": "skipped",
    }  # fmt: skip
    assert world.run.state == "failed"
    assert world.run.message == "step 'one' on n1: exit 3"
    assert world.step("two").message == "step 'one' did not succeed"


def test_a_handler_of_failure_is_skipped_when_all_is_well(strict):
    world = RunWorld(
        """
        steps:
          - {name: one, run: [one]}
          - {name: undo, on: failure, run: [undo]}
          - {name: two, run: [two]}
        """,
        strict=strict,
    ).begin()
    world.ok("one")
    assert world.step("undo").message == "nothing failed"
    world.ok("two")
    assert world.run.state == "succeeded"


def test_when_false_skips_with_the_clause_and_breaks_nothing(strict):
    world = RunWorld(
        """
        steps:
          - {name: look, run: [look]}
          - {name: fix, when: "steps.look.output.size > 10", run: [fix]}
          - {name: after, run: [after]}
        """,
        strict=strict,
    ).begin()
    world.ok("look", {"size": 3})
    assert world.step("fix").state == "skipped"
    assert "steps.look.output.size > 10" in world.step("fix").message
    world.ok("after")
    assert world.run.state == "succeeded"


def test_a_missing_output_makes_when_false_with_its_reason():
    world = RunWorld(
        """
        steps:
          - {name: look, run: [look]}
          - {name: fix, when: "steps.look.output.size == null || steps.look.output.n == 1", run: [fix]}
        """
    ).begin()
    world.ok("look", {})
    assert world.step("fix").state == "skipped"
    assert "missing" in world.step("fix").message


def test_a_missing_value_in_a_template_fails_the_step_and_says_which():
    world = RunWorld(THREE, params={"name": "ann"}).begin()
    world.ok("look")
    assert world.step("say").state == "failed"
    assert "steps.look.output.host" in world.step("say").message
    assert world.run.state == "failed"


def test_retries_wait_longer_each_time_and_count_attempts(strict):
    world = RunWorld(
        """
        steps:
          - {name: pack, run: [pack], retry: {attempts: 3, delay: 1s, backoff: 2}}
          - {name: after, run: [after]}
        """,
        strict=strict,
    ).begin()
    start = world.clock.now()
    world.fail("pack")
    assert world.step("pack").wake_at == start + timedelta(seconds=1)
    world.pass_time(1)
    assert world.order("pack").attempt == 2
    world.fail("pack")
    world.pass_time(1.9)
    assert world.orders == {}
    world.pass_time(0.1)
    assert world.order("pack").attempt == 3
    world.ok("pack")
    world.ok("after")
    assert world.run.state == "succeeded"
    assert world.step("pack").attempt == 3


def test_the_last_attempt_that_fails_fails_the_step(strict):
    world = RunWorld("steps: [{name: a, run: [a], retry: {attempts: 2, delay: 1s}}]", strict=strict).begin()
    world.fail("a")
    world.pass_time(5)
    world.fail("a", 7)
    assert (world.step("a").state, world.step("a").exit, world.step("a").attempt) == ("failed", 7, 2)


def test_a_template_is_rendered_once():
    hostile = "${{ steps.look.output }} $(id) ; rm -rf / {{7*7}} -oProxyCommand=x"
    world = RunWorld(THREE, params={"name": hostile}).begin()
    world.ok("look", {"host": "${{ params.name }}"})
    argv = world.order("say").action.argv
    assert argv == ("echo", f"hello {hostile} on ${{{{ params.name }}}}")


def test_arguments_that_are_no_text_are_given_as_json():
    world = RunWorld(
        """steps: [{name: a, run: [x, "${{ params.n }}", "${{ params.b }}", "${{ params.o }}"]}]""",
        params={"n": 5, "b": True, "o": {"k": [1]}},
    ).begin()
    assert world.order("a").action.argv == ("x", "5", "true", '{"k":[1]}')


def test_a_run_with_a_time_limit_ends_what_runs_and_still_runs_its_handlers(strict):
    world = RunWorld(
        """
        timeout: 10s
        steps:
          - {name: slow, run: [slow]}
          - {name: two, run: [two]}
          - {name: undo, on: failure, run: [undo]}
        """,
        strict=strict,
    ).begin()
    world.take("slow")
    world.pass_time(11)
    assert world.said[-1] == "withdraw slow.n1.1"
    world.end("slow", "cancelled")
    assert world.step("slow").state == "failed"
    world.ok("undo")
    assert world.run.state == "failed"
    assert world.run.message == "the run's time limit of 10 s is over"


def test_handlers_that_hang_after_the_time_limit_are_ended_too(strict):
    world = RunWorld(
        "{timeout: 10s, steps: [{name: slow, run: [slow]}, {name: undo, on: always, run: [undo]}]}",
        strict=strict,
    ).begin()
    world.take("slow")
    world.pass_time(10)
    world.end("slow", "cancelled")
    world.take("undo")
    world.pass_time(60)
    world.end("undo", "cancelled")
    assert world.run.state == "failed"


def test_cancel_ends_what_runs_and_runs_only_always(strict):
    world = RunWorld(
        """
        steps:
          - {name: slow, run: [slow], retry: {attempts: 5}}
          - {name: two, run: [two]}
          - {name: undo, on: failure, run: [undo]}
          - {name: clean, on: always, run: [clean]}
        """,
        strict=strict,
    ).begin()
    world.take("slow")
    world.tell(CancelAsked("cancelled by ann", "ann"))
    assert world.said[-1] == "withdraw slow.n1.1"
    world.end("slow", "cancelled", exit_code=-15)
    world.ok("clean")
    assert world.states() == {
        "slow": "cancelled", "two": "skipped", "undo": "skipped", "clean": "succeeded",
    }  # fmt: skip
    assert (world.run.state, world.run.message) == ("cancelled", "cancelled by ann")


def test_a_second_cancel_ends_the_handlers_too(strict):
    world = RunWorld(
        "steps: [{name: a, run: [a]}, {name: clean, on: always, run: [c]}]", strict=strict
    ).begin()
    world.take("a")
    world.tell(CancelAsked("one"))
    world.end("a", "cancelled")
    world.take("clean")
    world.tell(CancelAsked("two"))
    world.end("clean", "cancelled")
    assert world.run.state == "cancelled"


def test_an_order_that_was_never_taken_is_withdrawn_by_cancel(strict):
    world = RunWorld("steps: [{name: a, run: [a]}]", strict=strict).begin()
    world.tell(CancelAsked("no more"))
    assert world.run.state == "cancelled"
    assert world.step("a").state == "cancelled"


def test_cancel_while_a_retry_waits_ends_the_run_at_once(strict):
    world = RunWorld("steps: [{name: a, run: [a], retry: {attempts: 3, delay: 1h}}]", strict=strict).begin()
    world.fail("a")
    world.tell(CancelAsked("no more"))
    assert world.run.state == "cancelled"


def test_what_is_lost_is_unknown_and_said_so(strict):
    world = RunWorld("steps: [{name: pay, run: [pay]}, {name: b, run: [b]}]", strict=strict).begin()
    world.lose("pay")
    assert world.states() == {"pay": "unknown", "b": "skipped"}
    assert world.run.state == "unknown"
    assert "unknown whether it was done" in world.step("pay").message


def test_what_is_lost_and_idempotent_is_done_again(strict):
    world = RunWorld("steps: [{name: a, idempotent: true, run: [a]}]", strict=strict).begin()
    world.lose("a")
    assert world.order("a").attempt == 2
    world.ok("a")
    assert world.run.state == "succeeded"


def test_an_idempotent_step_that_kills_its_host_each_time_ends():
    world = RunWorld("steps: [{name: a, idempotent: true, run: [a]}]").begin()
    for _ in range(50):
        if world.orders:
            world.lose("a")
    assert world.run.state == "unknown"


@pytest.mark.parametrize(
    ("output", "state"), [({"done": True}, "succeeded"), ({"done": False}, "again"), ({}, "unknown")]
)
def test_verify_decides_what_became_of_a_lost_step(output, state):
    world = RunWorld(
        "steps: [{name: look, run: [l]}, {name: pay, verify: 'steps.look.output.done == `true`', run: [pay]}]"
    ).begin()
    world.ok("look", output)
    world.lose("pay")
    if state == "again":
        assert world.order("pay").attempt == 2
    else:
        assert world.step("pay").state == state


def test_retry_goes_on_from_what_failed_and_keeps_what_succeeded(strict):
    world = RunWorld(
        """
        steps:
          - {name: one, run: [one]}
          - {name: two, run: [two, "${{ steps.one.output.x }}"]}
          - {name: three, run: [three]}
          - {name: undo, on: failure, run: [undo]}
        """,
        strict=strict,
    ).begin()
    world.ok("one", {"x": 1})
    world.fail("two")
    world.ok("undo")
    assert world.run.state == "failed"
    world.retry("ann")
    assert world.run.state == "running"
    assert world.order("two").attempt == 2
    assert world.order("two").action.argv == ("two", "1")
    world.ok("two")
    world.ok("three")
    assert world.states() == {
        "one": "succeeded", "two": "succeeded", "three": "succeeded", "undo": "skipped",
    }  # fmt: skip
    assert (world.run.state, world.run.message, world.run.retries) == ("succeeded", "", 1)
    assert world.step("one").attempt == 1


def test_a_restart_finds_orders_that_never_reached_hermes():
    world = RunWorld("steps: [{name: a, run: [a]}]").begin()
    world.orders.clear()
    world.restart()
    assert world.order("a").attempt == 1
    world.ok("a")
    assert world.run.state == "succeeded"


def test_a_restart_sets_the_timers_again():
    world = RunWorld("{timeout: 1h, steps: [{name: a, run: [a], retry: {attempts: 2, delay: 5m}}]}").begin()
    world.fail("a")
    world.restart()
    assert world.wake == world.clock.now() + timedelta(minutes=5)
    world.pass_time(300)
    assert world.order("a").attempt == 2


def test_an_answer_to_an_order_that_is_over_changes_nothing():
    world = RunWorld("steps: [{name: a, run: [a]}, {name: b, run: [b]}]").begin()
    order = world.order("a")
    world.ok("a")
    before = world.stored
    world.orders[order.id] = order
    world.fail("a")
    assert world.stored == before


def test_being_woken_for_nothing_changes_nothing():
    world = RunWorld("steps: [{name: a, run: [a]}]").begin()
    before, count = world.stored, len(world.effects)
    world.tell(Woken())
    assert world.stored == before
    assert [type(e).__name__ for e in world.effects[count:]] == ["WakeAt"]


NOTE = "params: {type: object}\nsteps: [{name: n, note: {path: a, append: 'x ${{ params.p }}'}}, {name: b, run: [b]}]"


def test_a_note_is_written_once_for_its_run_and_step_also_over_leaders_and_waits_for_who_has_the_notes():
    world = RunWorld(NOTE, params={"p": "1"}, strict=True).begin()
    world.restart()
    world.pass_time(NOTE_POLL + 1)
    assert len(world.notes) >= 2
    assert {(one.mark, one.path, one.text, one.whole) for one in world.notes} == {
        ("01/n/n1", "a", "x 1", False)
    }
    world.tell(NoteAnswered("n", "n1", message="nobody is there"))
    assert world.step("n").state == "running"
    world.tell(NoteAnswered("n", "n1", {"path": "a", "revision": "r"}))
    assert (world.step("n").state, world.step("n").output) == ("succeeded", {"path": "a", "revision": "r"})
    world.tell(NoteAnswered("n", "n1", message="late", over=True))
    world.ok("b")
    assert world.run.state == "succeeded"


def test_a_note_that_can_not_be_written_fails_and_one_that_nobody_takes_times_out():
    world = RunWorld(NOTE, params={"p": "1"}).begin()
    world.tell(NoteAnswered("n", "n1", message="no path", over=True))
    assert (world.run.state, world.step("n").message) == ("failed", "no path")
    world = RunWorld(NOTE, params={"p": "1"}).begin()
    world.tell(NoteAnswered("n", "n1", message="nobody is there"))
    world.pass_time(NOTE_WITHIN + 1)
    assert "nobody is there" in world.step("n").message
    assert world.run.state == "failed"


def test_user_events_cannot_pose_as_olympus():
    world = RunWorld("steps: [{name: e, emit: {type: olympus.hephaestus.run-finished, data: {}}}]").begin()
    assert world.step("e").state == "failed"
    assert [event.type for event in world.events if "run-finished" in event.type] == [
        "olympus.hephaestus.run-finished"
    ]


def test_an_output_over_the_limit_is_dropped_and_said():
    world = RunWorld("steps: [{name: a, run: [a]}]").begin()
    world.ok("a", "x" * 70_000)
    assert world.step("a").output is None
    assert "over the limit" in world.step("a").message
    assert world.run.state == "succeeded"


def test_a_run_that_never_began_can_be_retried():
    world = RunWorld("steps: [{name: a, run: [a]}]")
    world.hold_claims = True
    world.begin(claims=(Claim(group="g"),))
    world.tell(CancelAsked("not now"))
    assert (world.run.state, world.run.steps) == ("cancelled", ())
    world.hold_claims = False
    world.retry()
    world.ok("a")
    assert world.run.state == "succeeded"


def test_a_large_record_is_stored_compressed_and_read_again():
    world = RunWorld(
        "{nodes: {}, steps: [{name: a, run: [a]}]}", nodes=[f"node-{i}" for i in range(300)]
    ).begin()
    raw = world.stored.to_bytes()
    assert not raw.startswith(b"{")
    assert len(raw) < 20_000
    assert Run.from_bytes(raw) == world.stored
