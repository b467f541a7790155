"""The coordinator on a real Hermes (embedded), with workers that a test scripts."""

from __future__ import annotations

import asyncio
import re
import secrets
from datetime import timedelta

import pytest

from olympus.hephaestus.orders import Order, Outcome
from olympus.hephaestus.ports import DeclaredNode, DeclaredSchedule, DeclaredSecret
from olympus.hephaestus.retention import Caretaker, Keep
from olympus.hephaestus.starts import Asked
from olympus.hermes import keys
from olympus.hermes.kv import CheckVersion, Put
from olympus.kernel.errors import Conflict, Invalid, NotFound, Refused
from olympus.records.instance import Instance
from olympus.records.intents import Intent
from olympus.spec.event_data import EVENT_DATA
from olympus.testing.hephaestus import hephaestus_here, succeeds

GREET = """
params: {type: object, properties: {name: {type: string, default: world}}}
steps:
  - {name: look, run: [uname]}
  - {name: say, run: [echo, "hello ${{ params.name }}"]}
  - {name: tell, emit: {type: greeting.said, data: {name: "${{ params.name }}"}}}
"""


async def test_a_run_is_readable_at_once_and_ends(tmp_path):
    async with hephaestus_here(tmp_path, {"greet": GREET}) as here:
        run_id = await here.start("greet")
        assert (await here.starts.run(run_id)).id == run_id
        run = await here.until(run_id)
        assert run.state == "succeeded"
        assert [(one.name, one.state, one.node) for one in run.steps] == [
            ("look", "succeeded", "n1"),
            ("say", "succeeded", "n1"),
            ("tell", "succeeded", "n1"),
        ]
        assert here.workers["n1"].taken[1].action.argv == ("echo", "hello world")
        events, _ = await here.bus.history(newest_first=False)
        assert [event.type.removeprefix("olympus.hephaestus.") for event in events] == [
            "run-requested", "run-started", "order-finished", "step-finished",
            "order-finished", "step-finished", "greeting.said", "step-finished", "run-finished",
        ]  # fmt: skip
        assert await here.kv.keys(keys.orders("n1")) == []
        assert await here.kv.keys(keys.LIVE_RUNS) == []


async def test_an_idempotency_key_starts_one_run(tmp_path):
    async with hephaestus_here(tmp_path, {"greet": GREET}) as here:
        asked = Asked("greet", {"name": "a"})
        first, second = await asyncio.gather(
            *(here.starts.start(asked, idempotency_key="k") for _ in range(2))
        )
        third = await here.starts.start(asked, idempotency_key="k")
        assert first.id == second.id == third.id
        assert sorted([first.created, second.created]) == [False, True]
        with pytest.raises(Conflict, match="Idempotency-Key"):
            await here.starts.start(Asked("greet", {"name": "b"}), idempotency_key="k")
        assert len(await here.runs()) == 1


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"ip": "300.1.1.1"}, "is not a 'ipv4'"),
        ({"ip": 5}, "is not of type 'string'"),
        ({}, "'ip' is a required property"),
        ({"ip": "1.2.3.4", "n": "5"}, "params.n: '5' is not of type 'integer'"),
    ],
)
async def test_params_are_checked_by_their_schema(tmp_path, params, said):
    text = """
    params: {type: object, required: [ip], properties: {ip: {type: string, format: ipv4}, n: {type: integer}}}
    steps: [{name: a, run: [a]}]
    """
    async with hephaestus_here(tmp_path, {"block": text}) as here:
        with pytest.raises(Invalid, match=re.escape(said)):
            await here.start("block", params)
        assert await here.runs() == []


async def test_an_unknown_pipeline_is_not_found(tmp_path):
    async with hephaestus_here(tmp_path, {}) as here:
        with pytest.raises(NotFound, match="'nothing'"):
            await here.start("nothing")


def by_step(**outcomes: Outcome | None):
    """What a worker answers, by the step's name; others succeed."""

    def script(order: Order) -> Outcome | None:
        return outcomes.get(order.step, succeeds(order))

    return script


HOLD = "steps: [{name: hold, run: [sleep]}]"


async def test_cancel_reaches_the_worker_and_ends_the_run(tmp_path):
    async with hephaestus_here(tmp_path, {"hold": HOLD}, script=by_step(hold=None)) as here:
        run_id = await here.start("hold")
        await here.until(run_id, "running")
        await here.starts.cancel(run_id, "ann")
        run = await here.until(run_id)
        assert (run.state, run.steps[0].state, run.message) == ("cancelled", "cancelled", "cancelled by ann")
        with pytest.raises(Conflict):
            await here.starts.cancel(run_id, "ann")


async def test_a_step_that_runs_on_is_seen_running(tmp_path):
    async with hephaestus_here(tmp_path, {"hold": HOLD}, script=by_step(hold=None)) as here:
        run_id = await here.start("hold")

        async def seen() -> str:
            while True:
                run = await here.starts.run(run_id)
                if run.steps and run.steps[0].state != "pending":
                    return run.steps[0].state
                await asyncio.sleep(0.005)

        assert await asyncio.wait_for(seen(), 10) == "running"


async def test_groups_queue_in_order_and_drop_nothing(tmp_path):
    text = "{concurrency: {group: 'g-${{ params.ip }}'}, steps: [{name: a, run: [a]}]}"
    running: list[str] = []
    most: list[int] = []

    async with hephaestus_here(tmp_path, {"p": text}, script=lambda _: None) as here:
        ids = [await here.start("p", {"ip": "x"}) for _ in range(5)]
        other = await here.start("p", {"ip": "y"})
        worker = here.workers["n1"]
        for run_id in ids:
            await here.until(run_id, "running")
            await settled(lambda run_id=run_id: any(o.startswith(run_id) for o in worker.open))
            most.append(sum(1 for o in worker.open if not o.startswith(other)))
            running.append(run_id)
            order = next(o for o in worker.open if o.startswith(run_id))
            await worker.end(order, Outcome(state="succeeded"))
            assert (await here.until(run_id)).state == "succeeded"
        assert running == ids
        assert most == [1] * 5


async def settled(condition) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.002)


async def test_skip_turns_away_and_replace_ends_the_one_before(tmp_path):
    skip = "{concurrency: {group: s, onBusy: skip}, steps: [{name: a, run: [a]}]}"
    replace = "{concurrency: {group: r, onBusy: replace}, steps: [{name: a, run: [a]}]}"
    async with hephaestus_here(tmp_path, {"skip": skip, "replace": replace}, script=lambda _: None) as here:
        first = await here.start("skip")
        await here.until(first, "running")
        second = await here.until(await here.start("skip"))
        assert second.state == "cancelled"
        assert f"run {first} is in concurrency group 's'" in second.message
        old = await here.start("replace")
        await here.until(old, "running")
        new = await here.start("replace")
        ended = await here.until(old)
        assert (ended.state, ended.message) == ("cancelled", f"replaced by run {new} in group 'r'")
        await here.until(new, "running")


async def test_approve_goes_by_role(tmp_path):
    text = "steps: [{name: ask, approve: {role: admin}}, {name: a, run: [a]}]"
    async with hephaestus_here(tmp_path, {"p": text}) as here:
        run_id = await here.start("p")
        await here.until(run_id, "waiting")
        with pytest.raises(Refused, match="wants the role admin"):
            await here.approve(run_id, "ask", "operator")
        with pytest.raises(Conflict):
            await here.approve(run_id, "other", "admin")
        await here.approve(run_id, "ask", "admin")
        run = await here.until(run_id)
        assert (run.state, run.steps[0].by) == ("succeeded", "ann")


async def test_retry_goes_on_from_the_failed_step_of_the_same_record(tmp_path):
    answers = iter([Outcome(state="succeeded", exit=0), Outcome(state="failed", exit=1)])

    def script(_order: Order) -> Outcome:
        return next(answers, Outcome(state="succeeded", exit=0))

    text = "steps: [{name: a, run: [a]}, {name: b, run: [b]}]"
    async with hephaestus_here(tmp_path, {"p": text}, script=script) as here:
        run_id = await here.start("p")
        assert (await here.until(run_id)).state == "failed"
        await here.starts.retry(run_id, "ann")
        run = await here.until(run_id, "succeeded")
        assert here.workers["n1"].steps() == ["a", "b", "b"]
        assert [one.attempt for one in run.steps] == [1, 2]
        with pytest.raises(Conflict, match="nothing to retry"):
            await here.starts.retry(run_id, "ann")


async def test_a_pipeline_step_runs_the_other_pipeline(tmp_path):
    child = "{concurrency: {group: g}, steps: [{name: make, run: [make]}]}"
    parent = """
    concurrency: {group: g}
    steps:
      - {name: call, pipeline: {name: child, params: {ref: main}}}
      - {name: use, run: [use, "${{ steps.call.output.steps.make.output.n }}"]}
    """
    made = Outcome(state="succeeded", exit=0, output={"n": 3})
    async with hephaestus_here(
        tmp_path, {"child": child, "parent": parent}, script=by_step(make=made)
    ) as here:
        run_id = await here.start("parent")
        run = await here.until(run_id)
        assert run.state == "succeeded"
        assert here.workers["n1"].taken[-1].action.argv == ("use", "3")
        other = next(one for one in await here.runs() if one.id != run_id)
        assert (other.pipeline, other.cause.kind, other.cause.name) == ("child", "run", run_id)
        assert other.cause.event == run.begun
        assert other.depth == run.depth + 1


async def test_a_child_that_cannot_be_started_fails_the_step(tmp_path):
    async with hephaestus_here(tmp_path, {"p": "steps: [{name: c, pipeline: {name: gone}}]"}) as here:
        run = await here.until(await here.start("p"))
        assert run.state == "failed"
        assert "there is no pipeline 'gone'" in run.steps[0].message


async def test_a_service_step_writes_an_intent_and_waits_for_the_instances(tmp_path):
    text = "steps: [{name: bounce, service: {name: shop, do: restart}}]"
    async with hephaestus_here(tmp_path, {"p": text}) as here:
        run_id = await here.start("p")

        async def intent() -> Intent:
            while (entry := await here.kv.get(keys.intent("service", "shop"))) is None:
                await asyncio.sleep(0.005)
            return Intent.from_bytes(entry.value)

        told = await asyncio.wait_for(intent(), 10)
        assert (told.do, told.by, told.restart) == ("restart", f"run/{run_id}", told.id)
        instance = Instance(
            service="shop",
            node="n1",
            state="running",
            healthy=True,
            since=here.clock.now(),
            restart_token=told.id,
        )
        await here.kv.transact([Put(keys.instance("n1", "shop"), instance.to_bytes())])
        assert (await here.until(run_id)).state == "succeeded"


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        (None, "there is no secret 'chat'"),
        (DeclaredSecret("chat", {"env": "X"}, ("other",)), "may not be used by pipeline 'p'"),
        (DeclaredSecret("chat", {"env": "X"}, ("p",), "role=db"), "may not be used on node n1"),
    ],
)
async def test_a_secret_is_used_only_where_it_may_be(tmp_path, declared, said):
    text = "steps: [{name: a, run: [a], secrets: {T: chat}}]"
    async with hephaestus_here(tmp_path, {"p": text}) as here:
        if declared is not None:
            here.specs.secrets["chat"] = declared
        run = await here.until(await here.start("p"))
        assert run.state == "failed"
        assert said in run.steps[0].message
        assert here.workers["n1"].taken == []


async def test_an_order_carries_epoch_sources_and_allowed_users(tmp_path):
    text = "steps: [{name: a, run: [a], user: www, secrets: {T: chat}}]"
    async with hephaestus_here(tmp_path, {"p": text}) as here:
        here.specs.secrets["chat"] = DeclaredSecret("chat", {"file": "/s/chat"}, ("p",), "role=web")
        here.specs.known_nodes["n1"] = DeclaredNode("n1", {"role": "web"}, allow_users=("www",))
        await here.until(await here.start("p"))
        order = here.workers["n1"].taken[0]
        assert order.epoch == 1
        assert order.secrets["T"].source == {"file": "/s/chat"}
        assert (order.user, order.allow_users) == ("www", ("www",))
        await here.crash()
        await here.lead()
        await here.until(await here.start("p"))
        assert here.workers["n1"].taken[1].epoch == 2


# --- events ----------------------------------------------------------------------------------------------


async def test_an_event_starts_the_pipelines_that_name_it(tmp_path):
    text = """
    on: [{event: shop.attacked, where: "data.score > 5", params: {ip: "${{ event.data.ip }}"}}]
    steps: [{name: a, run: [block, "${{ params.ip }}"]}]
    """
    async with hephaestus_here(tmp_path, {"block": text}) as here:
        await ready(here)
        await here.emit("shop.attacked", {"score": 1, "ip": "1.1.1.1"})
        event = await here.emit("shop.attacked", {"score": 9, "ip": "2.2.2.2"})
        run = await one_run(here)
        assert (run.cause.event, run.cause.kind, run.cause.name) == (event.id, "event", "shop.attacked")
        assert run.params == {"ip": "2.2.2.2"}
        assert run.depth == 1


async def ready(here) -> None:
    """The coordinator listens: an event of before would be before its time."""
    here.specs.declare("probe", "steps: [{name: a, emit: {type: probe}}]")
    await here.until(await here.start("probe"))


async def one_run(here):
    async with asyncio.timeout(10):
        while True:
            runs = [run for run in await here.runs() if run.pipeline != "probe"]
            if runs and all(run.finished for run in runs):
                assert len(runs) == 1
                return runs[0]
            await asyncio.sleep(0.005)


async def test_the_last_of_many_events_wins_within_debounce(tmp_path):
    text = """
    on: [{event: changed, params: {n: "${{ event.data.n }}"}, debounce: 200ms}]
    steps: [{name: a, run: [a]}]
    """
    async with hephaestus_here(tmp_path, {"p": text}) as here:
        await ready(here)
        for n in range(5):
            await here.emit("changed", {"n": n})
        run = await one_run(here)
        assert run.params == {"n": 4}
        assert await here.kv.keys(keys.TRIGGERS) == []


async def test_a_debounce_survives_the_leader(tmp_path):
    text = "{on: [{event: changed, debounce: 300ms}], steps: [{name: a, run: [a]}]}"
    async with hephaestus_here(tmp_path, {"p": text}) as here:
        await ready(here)
        await here.emit("changed", {})
        async with asyncio.timeout(10):
            while not await here.kv.keys(keys.TRIGGERS):
                await asyncio.sleep(0.002)
        await here.crash()
        await here.lead()
        assert (await one_run(here)).state == "succeeded"


async def test_a_firing_of_chronos_starts_its_pipeline_once(tmp_path):
    async with hephaestus_here(tmp_path, {"greet": GREET}) as here:
        await ready(here)
        data = {
            "schedule": "often",
            "slot": "x",
            "pipeline": "greet",
            "params": {"name": "s"},
            "overlap": "allow",
        }
        event = await here.emit("olympus.chronos.fired", data)
        await here.bus.publish([event])
        run = await one_run(here)
        assert (run.cause.kind, run.cause.name, run.cause.event) == ("schedule", "often", event.id)
        events, _ = await here.bus.history(types=["olympus.hephaestus.run-started"])
        assert events[0].cause == event.id


async def test_a_firing_that_cannot_start_leaves_a_failed_run(tmp_path):
    async with hephaestus_here(tmp_path, {}) as here:
        await ready(here)
        await here.emit("olympus.chronos.fired", {"schedule": "s", "pipeline": "gone", "params": {}})
        run = await one_run(here)
        assert (run.state, run.message) == ("failed", "there is no pipeline 'gone'")
        with pytest.raises(Conflict, match="never began"):
            await here.starts.retry(run.id, "ann")


async def test_a_pipeline_that_triggers_itself_ends(tmp_path):
    text = "{on: [{event: loop}], steps: [{name: again, emit: {type: loop}}]}"
    async with hephaestus_here(tmp_path, {"p": text}) as here:
        await ready(here)
        await here.emit("loop", {})
        seen = -1
        async with asyncio.timeout(20):
            while seen != len(runs := [r for r in await here.runs() if r.pipeline == "p"]) or not all(
                r.finished for r in runs
            ):
                seen = len(runs)
                await asyncio.sleep(0.2)
        assert max(run.depth for run in runs) <= 17
        assert 2 <= len(runs) <= 17


async def test_what_did_not_succeed_in_time_is_told_once(tmp_path):
    async with hephaestus_here(tmp_path, {"greet": GREET}) as here:
        await ready(here)
        here.specs.known_schedules["nightly"] = DeclaredSchedule(
            "nightly", "greet", timedelta(milliseconds=100)
        )
        await here.specs.tell()
        told = await overdue(here, 1)
        assert (told[0].data["schedule"], told[0].data["pipeline"]) == ("nightly", "greet")
        await here.crash()
        await here.lead()
        await here.emit("olympus.chronos.fired", {"schedule": "nightly", "pipeline": "greet", "params": {}})
        await overdue(here, 2)
        await asyncio.sleep(0.3)
        assert len(await overdue(here, 2)) == 2


async def overdue(here, count):
    async with asyncio.timeout(10):
        while True:
            events, _ = await here.bus.history(types=["olympus.hephaestus.overdue"])
            if len(events) >= count:
                return events
            await asyncio.sleep(0.01)


# --- leaders ---------------------------------------------------------------------------------------------


async def test_a_new_leader_goes_on_where_the_old_one_was(tmp_path):
    text = "steps: [{name: a, run: [a]}, {name: hold, run: [hold]}, {name: c, run: [c]}]"
    async with hephaestus_here(tmp_path, {"p": text}, script=by_step(hold=None)) as here:
        run_id = await here.start("p")
        worker = here.workers["n1"]
        await settled(lambda: worker.open)
        await here.crash()
        # The answer comes while nobody leads.
        await worker.end(next(iter(worker.open)), Outcome(state="succeeded"))
        await here.lead()
        assert (await here.until(run_id)).state == "succeeded"
        assert worker.steps() == ["a", "hold", "c"]


async def test_what_was_asked_while_nobody_led_is_done(tmp_path):
    async with hephaestus_here(tmp_path, {"greet": GREET, "hold": HOLD}, script=by_step(hold=None)) as here:
        held = await here.start("hold")
        await here.until(held, "running")
        await here.crash()
        run_id = await here.start("greet")
        await here.starts.cancel(held, "ann")
        await here.lead()
        assert (await here.until(run_id)).state == "succeeded"
        assert (await here.until(held)).state == "cancelled"


async def test_steps_on_a_lost_node_are_unknown(tmp_path):
    text = "{nodes: {selector: role=web}, steps: [{name: a, run: [a]}]}"
    async with hephaestus_here(tmp_path, {"p": text}, nodes=("n1", "n2"), script=lambda _: None) as here:
        run_id = await here.start("p")
        await settled(lambda: here.workers["n1"].open and here.workers["n2"].open)
        here.specs.lose("n2")
        await here.emit("olympus.zeus.node-lost", {"node": "n2", "reason": "its check fails"})
        await settled(lambda: True)
        await here.workers["n1"].end(next(iter(here.workers["n1"].open)), Outcome(state="succeeded"))
        run = await here.until(run_id)
        assert {one.node: one.state for one in run.steps} == {"n1": "succeeded", "n2": "unknown"}
        assert run.state == "unknown"


async def test_a_node_that_is_lost_gets_no_orders(tmp_path):
    async with hephaestus_here(tmp_path, {"p": "{nodes: {}, steps: [{name: a, run: [a]}]}"}) as here:
        here.specs.known_nodes["n2"] = DeclaredNode("n2", alive=False)
        run = await here.until(await here.start("p"))
        assert {one.node: one.state for one in run.steps} == {"n1": "succeeded", "n2": "failed"}
        assert "node n2 is not there" in run.message


async def test_a_crowd_of_nodes_needs_more_than_one_transaction(tmp_path):
    names = tuple(f"n{i}" for i in range(1, 121))
    text = "{nodes: {}, steps: [{name: a, run: [a]}, {name: b, run: [b]}]}"
    async with hephaestus_here(tmp_path, {"p": text}, nodes=names) as here:
        run = await here.until(await here.start("p"))
        assert run.state == "succeeded"
        assert len(run.steps) == 240
        assert all(one.state == "succeeded" for one in run.steps)


async def test_finished_runs_cost_a_new_leader_nothing(tmp_path):
    async with hephaestus_here(tmp_path, {"greet": GREET}) as here:
        await here.until(await here.start("greet"))
        read = []
        get = here.kv.get
        await here.crash()

        async def counting(key):
            read.append(key)
            return await get(key)

        here.kv.get = counting  # type: ignore[method-assign]
        await here.lead()
        await here.until(await here.start("greet"))
        assert len([key for key in read if key.startswith(keys.RUNS)]) == 1


async def test_retention_removes_the_oldest_finished_runs(tmp_path):
    async with hephaestus_here(tmp_path, {"greet": GREET, "hold": HOLD}, script=by_step(hold=None)) as here:
        held = await here.start("hold")
        ids = [await here.start("greet") for _ in range(5)]
        for run_id in ids:
            await here.until(run_id)
        caretaker = Caretaker(
            here.kv, here.clock, Keep(count=2), CheckVersion(keys.epoch("hephaestus"), await epoch(here))
        )
        assert await caretaker.sweep() == 3
        assert sorted(run.id for run in await here.runs()) == sorted([held, *ids[3:]])


async def epoch(here) -> int:
    return (await here.kv.get(keys.epoch("hephaestus"))).version


async def test_an_event_that_is_too_large_is_kept_without_its_data(tmp_path):
    text = "{on: [{event: big}], steps: [{name: a, run: [a]}]}"
    async with hephaestus_here(tmp_path, {"p": text}) as here:
        await ready(here)
        await here.emit("big", {"x": "y" * 100_000})
        run = await one_run(here)
        assert run.event["data"] == {}


async def test_outputs_too_large_for_the_record_are_dropped_and_said(tmp_path):
    noise = [Outcome(state="succeeded", output=secrets.token_hex(30_000)) for _ in range(12)]
    text = "steps:\n" + "".join(f"  - {{name: s{i}, run: [a]}}\n" for i in range(12))
    answers = iter(noise)
    async with hephaestus_here(tmp_path, {"p": text}, script=lambda _: next(answers)) as here:
        run = await here.until(await here.start("p"))
        assert run.state == "succeeded"
        assert any("output was dropped" in one.message for one in run.steps)
        assert any(one.output for one in run.steps)


async def test_events_are_as_their_schemas_say(tmp_path):
    text = "steps: [{name: a, run: [a]}, {name: b, on: failure, run: [b]}]"
    failing = by_step(a=Outcome(state="failed", exit=2))
    async with hephaestus_here(tmp_path, {"p": text}, script=failing) as here:
        await here.until(await here.start("p"))
        here.specs.known_schedules["s"] = DeclaredSchedule("s", "p", timedelta(milliseconds=10))
        await here.specs.tell()
        await overdue(here, 1)
        events, _ = await here.bus.history()
        assert {event.type.rpartition(".")[2] for event in events} == {
            "run-requested", "run-started", "order-finished", "step-finished", "run-finished", "overdue",
        }  # fmt: skip
        for event in events:
            model = EVENT_DATA[event.type]
            model.model_validate(dict(event.data))
            assert set(event.data) <= {field.alias for field in model.model_fields.values()}


async def test_orders_that_nobody_took_are_given_again_by_the_new_leader(tmp_path):
    async with hephaestus_here(tmp_path, {"p": HOLD}, nodes=("n1",)) as here:
        here.workers["n1"].pause()
        run_id = await here.start("p")
        await here.until(run_id, "running")
        await here.crash()
        await here.lead()
        order = keys.order("n1", f"{run_id}.hold.n1.1")

        async def epoch_of() -> int:
            return Order.from_bytes((await here.kv.get(order)).value).epoch

        async with asyncio.timeout(10):
            while await epoch_of() != 2:
                await asyncio.sleep(0.005)
        here.workers["n1"].resume()
        assert (await here.until(run_id)).state == "succeeded"
        assert [(o.attempt, o.epoch) for o in here.workers["n1"].taken] == [(1, 2)]
