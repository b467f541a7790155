"""Numbers, durations and choices of steps may be expressions: they become what they are before anything is done."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from typing import Any

import pytest

from olympus.hephaestus.settling import settled_group, settled_spec, try_out
from olympus.hermes import keys
from olympus.kernel.errors import Invalid
from olympus.records.run import Run
from olympus.testing.hephaestus import hephaestus_here
from olympus.testing.runs import RunWorld

ROOTS: dict[str, Any] = {
    "params": {"t": "5m", "n": 3, "yes": True, "role": "web", "share": "20%", "busy": "skip"},
    "event": {},
    "cause": {},
    "run": {"id": "01"},
}


@pytest.fixture(params=[False, True], ids=["kept", "reloaded"])
def strict(request):
    return request.param


def test_an_order_carries_what_the_fields_of_its_step_became(strict):
    world = RunWorld(
        """
        steps:
          - {name: look, run: [look]}
          - name: act
            run: [act]
            timeout: "${{ steps.look.output.seconds }}s"
            idempotent: "${{ params.again }}"
            user: "${{ params.user }}"
            artifacts: {save: {report: "out/${{ params.user }}.json"}}
        """,
        params={"again": True, "user": "www-data"},
        strict=strict,
    ).begin()
    world.ok("look", {"seconds": 90})
    order = world.order("act")
    assert (order.timeout, order.idempotent, order.user, order.save) == (
        90.0, True, "www-data", {"report": "out/www-data.json"},
    )  # fmt: skip


def test_what_a_field_became_is_never_looked_at_again():
    world = RunWorld(
        '{steps: [{name: a, run: [a], artifacts: {save: {x: "out/${{ params.x }}"}}}]}',
        params={"x": "${{ params.secret }}", "secret": "s3cret"},
    ).begin()
    assert world.order("a").save == {"x": "out/${{ params.secret }}"}


def test_a_retry_goes_by_what_its_numbers_became(strict):
    world = RunWorld(
        """
        steps:
          - name: a
            run: [a]
            retry: {attempts: "${{ params.n }}", delay: "${{ params.wait }}s", backoff: "${{ params.factor }}"}
        """,
        params={"n": 3, "wait": 10, "factor": 2},
        strict=strict,
    ).begin()
    begun = world.clock.now()
    world.fail("a")
    assert world.wake == begun + timedelta(seconds=10)
    world.pass_time(10)
    world.fail("a")
    assert world.wake == begun + timedelta(seconds=30)
    world.pass_time(20)
    world.fail("a")
    assert world.run.state == "failed"
    assert world.step("a").attempt == 3


def test_a_lost_step_is_begun_anew_where_it_became_idempotent(strict):
    text = '{steps: [{name: a, run: [a], idempotent: "${{ params.again }}"}]}'
    again = RunWorld(text, params={"again": True}, strict=strict).begin()
    again.lose("a")
    assert again.order("a").attempt == 2
    once = RunWorld(text, params={"again": False}, strict=strict).begin()
    once.lose("a")
    assert once.run.state == "unknown"


def test_a_wait_looks_and_ends_when_its_durations_say(strict):
    world = RunWorld(
        """
        steps:
          - name: settled
            wait:
              until: {service: shop, state: "${{ params.state }}"}
              every: "${{ params.every }}"
              within: "${{ params.within }}"
        """,
        params={"state": "running", "every": "3s", "within": "10s"},
        strict=strict,
    ).begin()
    assert world.said[-1] == "looks at service=shop state=running"
    begun = world.clock.now()
    assert world.wake == begun + timedelta(seconds=3)
    world.pass_time(10)
    assert world.step("settled").state == "failed"
    assert world.step("settled").message.startswith("timed out after 10 s")


def test_an_approval_asks_whom_it_became_to_ask(strict):
    world = RunWorld(
        '{steps: [{name: ask, approve: {role: "${{ params.who }}", expires: "${{ params.t }}", message: "ok?"}}]}',
        params={"who": "admin", "t": "2m"},
        strict=strict,
    ).begin()
    assert (world.step("ask").role, world.step("ask").message) == ("admin", "ok?")
    assert world.step("ask").deadline == world.clock.now() + timedelta(minutes=2)


def test_services_and_events_go_by_what_their_fields_became(strict):
    world = RunWorld(
        """
        steps:
          - {name: stop, service: {name: shop, do: "${{ params.do }}"}, needs: []}
          - {name: tell, emit: {type: "shop.${{ params.do }}", data: {}}, needs: []}
        """,
        params={"do": "stop"},
        strict=strict,
    ).begin()
    assert "intends stop shop" in world.said
    assert "emits shop.stop" in world.said


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ('timeout: "${{ steps.look.output }}"', "soon", "timeout: 'soon' is no duration"),
        ('timeout: "${{ steps.look.output }}"', 5, "timeout: 5 has no unit: write 5s, 5m or 5h"),
        ('timeout: "${{ steps.look.output }}s"', "5s; rm -rf /", "timeout: '5s; rm -rf /s' is no duration"),
        ('timeout: "${{ steps.look.output }}"', "${{ params.t }}", "timeout: '${{ params.t }}' is no duration"),
        ('timeout: "${{ steps.look.output }}"', None, "timeout: this is empty"),
        ('timeout: "${{ steps.look.output.nothing }}"', {}, "timeout: steps.look.output.nothing is missing"),
        ('retry: {attempts: "${{ steps.look.output }}"}', "3", "retry.attempts: '3' is a text, not a whole number"),
        ('retry: {attempts: "${{ steps.look.output }}"}', 0, "retry.attempts: 0 is too small: 1 at least"),
        ('retry: {attempts: "${{ steps.look.output }}"}', True, "retry.attempts: true is true or false"),
        ('idempotent: "${{ steps.look.output }}"', "true", "idempotent: 'true' is a text, not true or false"),
        ('user: "${{ steps.look.output }}"', "root; id", "user: 'root; id'"),
        ('artifacts: {save: {x: "${{ steps.look.output }}"}}', "/etc/shadow", "artifacts.save.x: '/etc/shadow' is no"),
    ],
)  # fmt: skip
def test_what_does_not_fit_its_field_fails_the_step_before_anything_of_it_is_done(field, value, said):
    world = RunWorld(f"{{steps: [{{name: look, run: [look]}}, {{name: act, run: [act], {field}}}]}}").begin()
    world.ok("look", value)
    assert world.step("act").state == "failed"
    assert world.step("act").message.startswith(said)
    assert world.run.message == f"step 'act' on n1: {world.step('act').message}"
    assert not any(line.startswith("order act") for line in world.said)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ('wait: {until: a == b, every: "${{ params.x }}"}', "wait.every: 'x y' is no duration"),
        ('wait: {until: {service: s, state: "${{ params.x }}"}}', "wait.until.state: 'x y' is not one of healthy"),
        ('approve: {role: "${{ params.x }}"}', "approve.role: 'x y' is not one of viewer, operator, admin"),
        ('service: {name: s, do: "${{ params.x }}"}', "service.do: 'x y' is not one of restart, start, stop"),
        ('emit: {type: "${{ params.x }}"}', "emit.type: 'x y'"),
        ('http: {url: "http://h/", method: "${{ params.x }}"}', "http.method: 'x y' is not one of GET"),
    ],
)  # fmt: skip
def test_so_it_is_in_every_kind_of_step(kind, said):
    world = RunWorld(f"{{steps: [{{name: act, {kind}}}]}}", params={"x": "x y"}).begin()
    assert world.step("act").state == "failed"
    assert world.step("act").message.startswith(said)
    assert world.said[-2:] == ["step-finished act n1 failed", "run-finished failed"]


# --- what a run's start settles --------------------------------------------------------------------------


def test_nodes_time_and_delegates_are_settled_by_the_start():
    spec = {
        "timeout": "${{ params.t }}",
        "nodes": {
            "selector": "role=${{ params.role }}",
            "batch": "${{ params.n }}",
            "max": "${{ params.share }}",
        },
        "steps": [
            {
                "name": "a",
                "run": ["a", "${{ params.t }}"],
                "delegate": {"selector": "role=${{ params.role }}"},
            },
            {"name": "b", "run": ["b"], "timeout": "${{ steps.a.output }}"},
        ],
    }
    assert settled_spec("p", spec, ROOTS) == {
        "timeout": "5m",
        "nodes": {"selector": "role=web", "batch": 3, "max": "20%"},
        "steps": [
            {"name": "a", "run": ["a", "${{ params.t }}"], "delegate": {"selector": "role=web"}},
            {"name": "b", "run": ["b"], "timeout": "${{ steps.a.output }}"},
        ],
    }


def test_a_group_is_what_its_expressions_yield():
    said = {"group": "g-${{ params.n }}", "onBusy": "${{ params.busy }}"}
    assert settled_group("p", said, ROOTS) == ("g-3", "skip")
    assert settled_group("p", {"group": "${{ params.n }}"}, ROOTS) == ("3", "queue")
    with pytest.raises(Invalid, match=r"pipeline 'p': concurrency\.onBusy: 'web' is not one of queue"):
        settled_group("p", {"group": "g", "onBusy": "${{ params.role }}"}, ROOTS)
    with pytest.raises(Invalid, match=r"pipeline 'p': concurrency\.group: params\.gone is missing"):
        settled_group("p", {"group": "${{ params.gone }}"}, ROOTS)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (
            {"timeout": "${{ params.n }}", "steps": []},
            "pipeline 'p': timeout: 3 has no unit: write 3s, 3m or 3h",
        ),
        (
            {"nodes": {"batch": "${{ params.role }}"}, "steps": []},
            "pipeline 'p': nodes.batch: 'web' is a text",
        ),
        (
            {"nodes": {"selector": "a in ${{ params.role }}"}, "steps": []},
            "pipeline 'p': nodes.selector: selector",
        ),
        (
            {"steps": [{"name": "a", "run": ["a"], "timeout": "${{ params.role }}"}]},
            "pipeline 'p': step 'a': timeout: 'web' is no duration",
        ),
        (
            {"steps": [{"name": "a", "run": ["a"], "delegate": {"selector": "!!${{ params.role }}"}}]},
            "pipeline 'p': step 'a': delegate.selector: selector",
        ),
        (
            {"steps": [{"name": "a", "run": ["a"], "retry": {"attempts": "${{ event.data.n }}"}}]},
            "pipeline 'p': step 'a': retry.attempts: event.data.n is missing",
        ),
    ],
)
def test_a_run_that_can_not_end_well_never_begins(spec, said):
    with pytest.raises(Invalid, match=re.escape(said)):
        settled_spec("p", spec, ROOTS)


@pytest.mark.parametrize("perhaps", [{"when": "params.t == '5m'"}, {"on": "failure"}])
def test_a_step_that_perhaps_never_runs_does_not_keep_a_run_from_beginning(perhaps):
    spec = {"steps": [{"name": "a", "run": ["a"], "timeout": "${{ params.role }}", **perhaps}]}
    assert settled_spec("p", spec, ROOTS) == spec


def test_only_what_is_known_is_tried():
    spec = {
        "timeout": "${{ event.data.t }}",
        "steps": [{"name": "a", "run": [], "timeout": "${{ params.t }}"}],
    }
    try_out("p", spec, {"params": {"t": "5m"}})
    with pytest.raises(Invalid, match=r"step 'a': timeout: params\.t is missing"):
        try_out("p", spec, {"params": {}})


TYPED = """
params: {type: object, properties: {t: {type: string}, n: {type: integer, default: 1}}}
nodes: {selector: "role=web", batch: "${{ params.n }}"}
steps: [{name: a, run: [a], timeout: "${{ params.t }}"}]
"""


async def test_a_start_with_what_does_not_fit_is_refused_and_leaves_nothing(tmp_path):
    async with hephaestus_here(tmp_path, {"p": TYPED}, nodes=("n1", "n2")) as here:
        with pytest.raises(Invalid, match="pipeline 'p': step 'a': timeout: 'soon' is no duration"):
            await here.start("p", {"t": "soon"})
        assert await here.runs() == []
        run = await here.until(await here.start("p", {"t": "90s", "n": 2}))
        assert (run.state, run.batch) == ("succeeded", 2)
        assert [order.timeout for worker in here.workers.values() for order in worker.taken] == [90.0, 90.0]
        again = await here.until(await here.start("p", {"t": "90s"}))
        assert again.batch == 1


async def test_an_event_whose_run_can_not_begin_leaves_a_failed_run_that_says_why(tmp_path):
    on = 'on: [{event: shop.attacked, params: {t: "${{ event.data.t }}"}}]'
    async with hephaestus_here(tmp_path, {"p": f"{on}\n{TYPED}"}) as here:
        # The coordinator listens as soon as a run of it is over.
        await here.until(await here.start("p", {"t": "1s"}))
        event = await here.emit("shop.attacked", {"t": "soon"})
        run = await run_of(here, event.id)
        assert run.state == "failed"
        assert "step 'a': timeout: 'soon' is no duration" in run.message


async def run_of(here: Any, event: str) -> Run:
    async with asyncio.timeout(20):
        async for snapshot in here.kv.watch(keys.RUNS):
            for run in (Run.from_bytes(entry.value) for entry in snapshot.entries):
                if run.cause.event == event:
                    return run
    raise AssertionError("a watch ends never")
