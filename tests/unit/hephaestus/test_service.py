"""The coordinator on a real Hermes (embedded), with workers that a test scripts."""

from __future__ import annotations

from olympus.hermes import keys
from olympus.testing.hephaestus import hephaestus_here

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
