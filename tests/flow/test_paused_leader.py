"""A leader that is paused for longer than its lease lasts wakes up to others that lead, and writes nothing any more."""

from __future__ import annotations

import signal

import pytest

from olympus.hermes import keys
from olympus.testing.cluster import OlympusProcess, eventually

SPECS = """
apiVersion: olympus/v1
kind: Schedule
metadata: {name: tick}
spec: {every: 1s, pipeline: say, overlap: allow}
---
apiVersion: olympus/v1
kind: Pipeline
metadata: {name: say}
spec: {steps: [{name: say, run: [echo, tick]}]}
---
apiVersion: olympus/v1
kind: Pipeline
metadata: {name: hello}
spec: {nodes: {order: step}, steps: [{name: say, run: [echo, hello]}]}
---
apiVersion: olympus/v1
kind: Service
metadata: {name: each}
spec: {nodes: {replicas: each}, run: {process: {command: [sleep, "86403"]}}}
"""


def fired(olympus: OlympusProcess) -> list[str]:
    return [one["data"]["slot"] for one in olympus.events("type=olympus.chronos.fired&limit=1000")]


def started(olympus: OlympusProcess) -> list[str]:
    return [one["cause"]["event"] for one in olympus.get("/api/v1/runs?limit=1000")["items"]]


@pytest.mark.consul
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_leader_that_slept_writes_nothing_when_it_wakes(make_olympus, fresh_consul_agent):
    agent = fresh_consul_agent
    first = make_olympus("first", node="n1", hermes=f"consul://{agent.address}")
    first.start()
    first.push({"specs.yaml": SPECS})
    eventually(lambda: len(fired(first)) > 1, what="schedules fire")
    second = make_olympus("second", node="n2", hermes=f"consul://{agent.address}")
    second.start()
    eventually(lambda: len(second.get("/api/v1/nodes")["items"]) == 2, what="both registered")

    def epoch_of(role: str) -> bytes:
        return agent.call("GET", f"/v1/kv/{keys.epoch(role)}?raw")

    before = {role: epoch_of(role) for role in ("zeus", "chronos", "hephaestus")}
    assert first.process is not None
    first.process.send_signal(signal.SIGSTOP)
    try:
        eventually(
            lambda: all(epoch_of(role) != epoch for role, epoch in before.items()),
            within=90,
            what="the other leads",
        )
        since = len(fired(second))
        eventually(lambda: len(fired(second)) > since + 2, within=60, what="the schedule goes on")
        epochs = {role: epoch_of(role) for role in before}
    finally:
        first.process.send_signal(signal.SIGCONT)
    since = len(fired(second))
    eventually(lambda: len(fired(second)) > since + 5, within=60, what="both live on")
    assert {role: epoch_of(role) for role in before} == epochs, "it led again, while another did"
    slots, causes = fired(second), started(second)
    assert len(slots) == len(set(slots)), "a slot fired twice"
    assert len(causes) == len(set(causes)), "an event started two runs"
    # It is of use again: told by the one that leads now.
    eventually(lambda: first.ask("GET", "/readyz", token=None).status == 200, within=60, what="ready")
    assert first.run("hello", within=60)["state"] == "succeeded"
