"""Why a run, a service, a schedule is as it is: from real records and events."""

from __future__ import annotations

from datetime import UTC, datetime

import orjson

from olympus.hermes import keys
from olympus.hermes.kv import Put
from olympus.kernel.events import Event
from olympus.kernel.ids import new_id
from olympus.records.instance import CheckResult, Instance, LastExit
from olympus.records.run import Cause, Claim, Run, StepRun

NOW = datetime.now(UTC)


def event(type_, after=None, **data) -> Event:
    return Event(id=new_id(), type=type_, source="test", time=datetime.now(UTC), data=data, cause=after)


async def explained(here, query, status=200):
    answer = await here.ask("GET", f"/api/v1/explain?{query}", role="viewer")
    assert answer.status_code == status, await answer.get_data()
    return orjson.loads(await answer.get_data())


async def test_a_failed_run_is_explained_from_its_first_cause_on(here):
    alarm = event("shop.attacked", score=9)
    begun = event("olympus.hephaestus.run-started", alarm.id, run="r1", pipeline="block", state="running")
    ended = event(
        "olympus.hephaestus.step-finished", begun.id, run="r1", pipeline="block", step="a", state="failed"
    )
    await here.bus.publish([alarm])
    await here.bus.publish([begun, ended, event("olympus.hephaestus.step-finished", run="r2", step="b")])
    run = Run(
        id="r1", pipeline="block", revision="r", spec="s", created_at=NOW, state="failed", begun=begun.id,
        message="step 'a' failed", cause=Cause(event=alarm.id, kind="event", name="shop.attacked"),
        steps=(
            StepRun(name="a", node="web-1", target="web-1", state="failed", exit=2, attempt=3, message="no such table"),
            StepRun(name="b", node="web-1", target="web-1", state="skipped", message="a did not succeed"),
            StepRun(name="c", node="web-1", target="web-1", state="succeeded", exit=0),
        ),
    )  # fmt: skip
    await here.kv.transact([Put(keys.run("r1"), run.to_bytes())])
    found = await explained(here, "run=r1")
    assert found["says"][:3] == [
        "run r1 of pipeline 'block' is failed: step 'a' failed",
        "step 'a' on web-1 is failed, exit 2, attempt 3: no such table",
        "step 'b' on web-1 is skipped: a did not succeed",
    ]
    assert f"by event 'shop.attacked', through event {alarm.id}" in found["says"][3]
    assert [one["event"] for one in found["chain"]] == [alarm.id, begun.id, ended.id]
    assert found["chain"][0]["says"] == "shop.attacked (score=9)"


async def test_a_run_that_waits_says_for_what(here):
    waits = StepRun(name="ask", node="n", target="n", state="waiting", role="operator", deadline=NOW)
    run = Run(
        id="r2", pipeline="p", revision="r", spec="s", created_at=NOW, state="queued", steps=(waits,),
        claims=(Claim(group="block-1"),), cause=Cause(kind="user", name="ann"),
    )  # fmt: skip
    await here.kv.transact([Put(keys.run("r2"), run.to_bytes())])
    says = (await explained(here, "run=r2"))["says"]
    assert says[1].startswith("step 'ask' on n waits for the approval of an operator until ")
    assert says[2] == "it waits for its turn in block-1"
    assert says[3].endswith("by user 'ann'")


async def test_a_service_is_explained_by_its_instances_checks_and_what_it_depends_on(here):
    run = {"process": {"command": ["x"]}}
    await here.declare(
        ("Service", "shop", {"run": run, "dependsOn": ["db"]}),
        ("Service", "db", {"run": run}),
    )
    instance = Instance(
        service="shop", node="n1", state="crashlooping", restarts=7, since=NOW, reason="Exited",
        message="with 3", last_exit=LastExit(code=3, at=NOW),
        checks=(CheckResult(name="http", passing=False, failures=3, message="refused"),),
    )  # fmt: skip
    await here.kv.transact([Put(keys.instance("n1", "shop"), instance.to_bytes())])
    failed = event(
        "olympus.zeus.service-failed", service="shop", node="n1", state="backoff", reason="Exited", restarts=1
    )
    other = event(
        "olympus.zeus.service-failed", service="db", node="n1", state="backoff", reason="x", restarts=1
    )
    await here.bus.publish([failed, other])
    found = await explained(here, "service=shop")
    said = "\n".join(found["says"])
    assert found["says"][0].startswith("service 'shop' is not ready since")
    assert "it depends on service 'db' is not ready since" in said
    assert "on n1 its process ended with 3" in said
    assert "on n1 check http failed 3 times: refused" in said
    assert [one["says"] for one in found["chain"]] == ["service 'shop' failed on n1: Exited"]


async def test_a_schedule_is_explained_by_its_last_slots_and_runs(here):
    await here.declare(
        ("Schedule", "tick", {"every": "1m", "pipeline": "p", "paused": True}),
    )
    cause = {"kind": "schedule", "name": "tick"}
    await here.bus.publish(
        [
            event("olympus.chronos.fired", schedule="tick", slot="s1"),
            event(
                "olympus.hephaestus.run-finished",
                run="r",
                pipeline="p",
                state="failed",
                reason="no",
                cause=cause,
            ),
            event("olympus.chronos.skipped", schedule="tick", slot="s2", reason="paused"),
            event("olympus.chronos.fired", schedule="tock", slot="s3"),
        ]
    )
    found = await explained(here, "schedule=tick")
    said = "\n".join(found["says"])
    assert "it is paused by its spec: each slot is skipped" in said
    assert "schedule 'tick' fired for s1" in said
    assert "schedule 'tick' skipped s2: paused" in said
    assert "last run: run r of pipeline 'p' is failed: no" in said
    assert len(found["chain"]) == 3


async def test_what_is_not_there_or_not_named_is_said(here):
    await explained(here, "run=nope", 404)
    await explained(here, "service=nope", 404)
    await explained(here, "schedule=nope", 404)
    await explained(here, "", 400)
    await explained(here, "run=a&service=b", 400)
