"""What the coordinator does itself: wait, approve, pipeline, service; and concurrency, secrets, artifacts."""

from __future__ import annotations

from datetime import timedelta

import pytest

from olympus.hephaestus.model import (
    Approved,
    CancelAsked,
    ChildEnded,
    GroupBusy,
    NodeLost,
    NotPlaced,
    Observed,
    OrderEnded,
)
from olympus.hephaestus.orders import HttpAction, Outcome, SecretRef
from olympus.records.run import Claim
from olympus.testing.runs import RunWorld


@pytest.fixture(params=[False, True], ids=["kept", "reloaded"])
def strict(request):
    return request.param


SETTLE = """
steps:
  - {name: settled, wait: {until: {service: shop, state: healthy}, every: 5s, within: 1m}}
  - {name: b, run: [b]}
"""


def test_wait_looks_again_until_it_is_so(strict):
    world = RunWorld(SETTLE, strict=strict).begin()
    assert world.run.state == "waiting"
    assert world.said[1:] == ["looks at service=shop state=healthy"]
    world.tell(Observed("settled", "n1", value=False, because="service shop: starting on n1"))
    world.pass_time(10)
    assert world.said.count("looks at service=shop state=healthy") == 3
    world.tell(Observed("settled", "n1", value=True, because="service shop: running on n1"))
    assert world.step("settled").state == "succeeded"
    assert world.order("b").attempt == 1


def test_wait_ends_when_its_time_is_over(strict):
    world = RunWorld(SETTLE, strict=strict).begin()
    world.pass_time(1)
    world.tell(Observed("settled", "n1", value=False, because="service shop: starting on n1"))
    world.pass_time(60)
    assert world.step("settled").state == "failed"
    assert world.step("settled").message.startswith("timed out after 60 s")
    assert world.run.state == "failed"


def test_polling_writes_nothing():
    world = RunWorld(SETTLE).begin()
    before = world.stored
    world.pass_time(30)
    assert world.stored is before


def test_wait_for_an_expression_over_another_step(strict):
    world = RunWorld(
        """
        steps:
          - {name: other, run: [other]}
          - {name: hold, needs: [], wait: {until: "steps.other.state == 'succeeded'", every: 1s, within: 1h}}
        """,
        strict=strict,
    ).begin()
    world.pass_time(5)
    assert world.step("hold").state == "waiting"
    world.ok("other")
    world.pass_time(1)
    assert world.run.state == "succeeded"


ASK = """
steps:
  - {name: count, run: [count]}
  - {name: ask, approve: {role: operator, expires: 30m, message: "delete ${{ steps.count.output.n }} files?"}}
  - {name: remove, run: [rm]}
"""


def test_approve_waits_for_a_person_with_the_role(strict):
    world = RunWorld(ASK, strict=strict).begin()
    world.ok("count", {"n": 7})
    assert (world.run.state, world.step("ask").state) == ("waiting", "waiting")
    assert (world.step("ask").message, world.step("ask").role) == ("delete 7 files?", "operator")
    world.tell(Approved("ask", "eve", "viewer"))
    assert world.step("ask").state == "waiting"
    world.tell(Approved("ask", "ann", "operator", comment="fine"))
    assert (world.step("ask").state, world.step("ask").by) == ("succeeded", "ann")
    assert world.run.state == "running"
    world.ok("remove")
    assert world.run.state == "succeeded"


def test_a_rejection_fails_the_step_and_says_who(strict):
    world = RunWorld(ASK, strict=strict).begin()
    world.ok("count", {"n": 7})
    world.tell(Approved("ask", "ann", "admin", yes=False, comment="too many"))
    assert world.step("ask").message == "rejected by ann: too many"
    assert world.run.state == "failed"


def test_an_approval_that_nobody_gives_expires(strict):
    world = RunWorld(ASK, strict=strict).begin()
    world.ok("count", {"n": 7})
    world.pass_time(1800)
    assert world.step("ask").message == "nobody approved within 1800 s"


def test_cancel_while_waiting_ends_at_once(strict):
    world = RunWorld(ASK, strict=strict).begin()
    world.ok("count", {"n": 7})
    world.tell(CancelAsked("no"))
    assert (world.run.state, world.step("ask").state) == ("cancelled", "cancelled")


CALL = """
steps:
  - {name: build_more, pipeline: {name: build, params: {ref: "${{ params.ref }}"}}}
  - {name: use, run: [use, "${{ steps.build_more.output.steps.make.output.size }}"]}
"""


def test_a_pipeline_step_waits_for_its_run_and_has_its_outputs(strict):
    world = RunWorld(CALL, params={"ref": "main"}, strict=strict).begin()
    child = world.children[0]
    assert (child.pipeline, child.params) == ("build", {"ref": "main"})
    assert world.run.state == "running"
    output = {"steps": {"make": {"output": {"size": 5}}}}
    world.tell(ChildEnded(child.id, "succeeded", output))
    assert world.order("use").action.argv == ("use", "5")


def test_a_child_that_fails_fails_the_step():
    world = RunWorld(CALL, params={"ref": "main"}).begin()
    world.tell(ChildEnded(world.children[0].id, "failed", {}, "step 'make' on n1: exit 2"))
    assert "step 'make' on n1: exit 2" in world.step("build_more").message
    assert world.run.state == "failed"


def test_cancel_reaches_the_child(strict):
    world = RunWorld(CALL, params={"ref": "main"}, strict=strict).begin()
    world.tell(CancelAsked("enough"))
    assert world.said[-1] == "cancels child: enough"
    world.tell(ChildEnded(world.children[0].id, "cancelled"))
    assert world.run.state == "cancelled"


def test_runs_that_start_each_other_end():
    world = RunWorld(CALL, params={"ref": "main"})
    world.stored = world.stored.model_copy(update={"depth": 16})
    world.begin()
    assert world.children == []
    assert "have started each other" in world.step("build_more").message


def test_a_service_step_is_done_when_zeus_has_honoured_it(strict):
    world = RunWorld("steps: [{name: bounce, service: {name: shop, do: restart}}]", strict=strict).begin()
    assert (world.intents[0].service, world.intents[0].do) == ("shop", "restart")
    assert world.step("bounce").token == world.intents[0].id
    world.pass_time(2)
    assert world.said.count("looks at service=shop do=restart") == 2
    world.tell(Observed("bounce", "n1", value=True, because=""))
    assert world.run.state == "succeeded"


def test_secrets_are_only_named_in_the_order():
    world = RunWorld(
        """
        steps:
          - {name: backup, run: [restic], secrets: {RESTIC_PASSWORD: restic}, env: {A: "${{ params.a }}"}}
          - name: tell
            http:
              method: POST
              url: "https://chat/x"
              headers: {Authorization: {secret: chat, prefix: "Bearer "}, X-Run: "${{ run.id }}"}
              body: {text: "did ${{ params.a }}"}
        """,
        params={"a": 5},
    ).begin()
    order = world.order("backup")
    assert order.secrets == {"RESTIC_PASSWORD": SecretRef(secret="restic", source={})}
    assert order.env == {"A": "5"}
    world.ok("backup")
    assert world.order("tell").action == HttpAction(
        do="http",
        method="POST",
        url="https://chat/x",
        headers={"Authorization": SecretRef(secret="chat", source={}, prefix="Bearer "), "X-Run": "01"},
        body={"text": "did 5"},
    )


def test_a_header_cannot_hold_a_line_break():
    world = RunWorld(
        """steps: [{name: t, http: {url: "https://x/", headers: {A: "${{ params.a }}"}}}]""",
        params={"a": "x\r\nHost: evil"},
    ).begin()
    assert world.step("t").message == "header A would hold a line break"


def test_an_artifact_is_loaded_from_the_node_that_saved_it():
    world = RunWorld(
        """
        steps:
          - {name: build, run: [make], artifacts: {save: {app: out/app}}}
          - {name: ship, run: [ship], artifacts: {load: {app: in/app}}}
        """
    ).begin()
    world.ok("build", saved="app")
    loads = world.order("ship").load
    assert [(one.name, one.path, one.node) for one in loads] == [("app", "in/app", "n1")]


def test_an_artifact_that_nobody_saved_fails_the_step():
    world = RunWorld("steps: [{name: ship, run: [ship], artifacts: {load: {app: in/app}}}]").begin()
    assert world.step("ship").message == "no step has saved the artifact 'app'"


def test_a_run_that_its_group_turns_away_is_cancelled_and_says_why():
    world = RunWorld(CALL)
    world.hold_claims = True
    world.begin(claims=(Claim(group="g", on_busy="skip"),))
    assert world.run.state == "queued"
    world.tell(GroupBusy("g", "00"))
    assert (world.run.state, world.run.message) == (
        "cancelled",
        "skipped: run 00 is in concurrency group 'g'",
    )


def test_cancel_of_a_queued_run_ends_it():
    world = RunWorld(CALL)
    world.hold_claims = True
    world.begin(claims=(Claim(group="g"),))
    world.tell(CancelAsked("no"))
    assert world.run.state == "cancelled"
    assert world.said == ["run-finished cancelled"]


def test_a_run_without_a_node_fails_and_says_which_selector():
    world = RunWorld(CALL)
    world.hold_claims = True
    world.begin(claims=(Claim(group="g"),))
    world.tell(NotPlaced("no node matches 'role=db'"))
    assert (world.run.state, world.run.message) == ("failed", "no node matches 'role=db'")


def test_what_was_started_on_a_node_that_is_lost_is_unknown(strict):
    world = RunWorld("steps: [{name: a, run: [a]}]", strict=strict).begin()
    world.take("a")
    world.tell(NodeLost("n1", "check fails"))
    assert world.said[-1] == "withdraw a.n1.1"
    order = world.order("a")
    lost = Outcome(state="unknown", error="node n1 is lost: check fails")
    world.tell(OrderEnded(order.id, "n1", lost, keep=True))
    assert world.run.state == "unknown"
    assert world.step("a").message == "node n1 is lost: check fails: it is unknown whether it was done"
    assert order.id in world.orders


def test_expiry_is_remembered_over_a_restart():
    world = RunWorld(ASK).begin()
    world.ok("count", {"n": 7})
    world.restart()
    assert world.wake == world.step("ask").started_at + timedelta(minutes=30)
