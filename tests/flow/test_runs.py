"""Runs over HTTP: cancelled, approved, retried, queued, started by events, seen running."""

from __future__ import annotations

from olympus.testing.cluster import OlympusProcess, eventually

HEAD = "apiVersion: olympus/v1\nkind: Pipeline\nmetadata: {name: NAME}\nspec:\n"
PIPELINES = {
    "slow": """
  steps:
    - {name: hold, script: 'setsid sleep 3600 & echo "$!"; sleep 3600'}
    - {name: clean, on: always, run: [echo, cleaned]}
""",
    "ask": """
  params: {type: object, required: [what], properties: {what: {type: string}}}
  steps:
    - {name: sure, approve: {role: operator, message: "really ${{ params.what }}?"}}
    - {name: did, run: [echo, "did ${{ params.what }}"]}
""",
    "flaky": """
  steps:
    - {name: first, run: [echo, one]}
    - {name: second, script: 'test "$OLY_ATTEMPT" -ge 2'}
""",
    "hears": """
  params: {type: object, properties: {times: {type: integer}}}
  on: [{event: bell.rung, where: "data.times > 2", params: {times: "${{ event.data.times }}"}}]
  steps: [{name: count, run: [echo, "${{ params.times }}"]}]
""",
}


def push(olympus: OlympusProcess, *names: str) -> None:
    olympus.push(
        {f"{name}.yaml": HEAD.replace("NAME", name) + PIPELINES[name].lstrip("\n") for name in names}
    )


def start(olympus: OlympusProcess, name: str, params: dict | None = None, **headers: str) -> str:
    answer = olympus.ask("POST", f"/api/v1/pipelines/{name}/runs", {"params": params or {}}, headers=headers)
    assert answer.status == 202, answer.text
    return answer.json["id"]


def until(olympus: OlympusProcess, run: str, *states: str) -> dict:
    ended = states or ("succeeded", "failed", "cancelled", "unknown")
    return eventually(
        lambda: found if (found := olympus.get(f"/api/v1/runs/{run}"))["state"] in ended else None, what=run
    )


def test_cancel_ends_the_whole_tree_and_cleans_up(olympus):
    push(olympus, "slow")
    run = start(olympus, "slow")
    pid = eventually(lambda: logs(olympus, run, "hold").strip())
    assert until(olympus, run, "running")["steps"][0]["state"] in {"pending", "running"}
    assert olympus.ask("POST", f"/api/v1/runs/{run}/cancel", {}).status in {200, 202}
    ended = until(olympus, run)
    assert [(s["name"], s["state"]) for s in ended["steps"]] == [
        ("hold", "cancelled"),
        ("clean", "succeeded"),
    ]
    assert ended["state"] == "cancelled"
    eventually(lambda: not exists(pid), what="the child that called setsid is gone")


def logs(olympus: OlympusProcess, run: str, step: str) -> str:
    return olympus.ask("GET", f"/api/v1/runs/{run}/logs?step={step}").text


def exists(pid: str) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_person_approves_and_the_run_goes_on(olympus):
    push(olympus, "ask")
    run = start(olympus, "ask", {"what": "delete"})
    waiting = until(olympus, run, "waiting")
    assert (waiting["steps"][0]["state"], waiting["steps"][0]["message"]) == ("waiting", "really delete?")
    answer = olympus.ask("POST", f"/api/v1/runs/{run}/approve", {"step": "sure"})
    assert answer.status in {200, 202}, answer.text
    assert until(olympus, run)["state"] == "succeeded"
    assert logs(olympus, run, "did") == "did delete\n"


def test_retry_goes_on_from_the_failed_step(olympus):
    push(olympus, "flaky")
    run = start(olympus, "flaky")
    assert until(olympus, run)["state"] == "failed"
    assert olympus.ask("POST", f"/api/v1/runs/{run}/retry", {}).status in {200, 202}
    ended = until(olympus, run, "succeeded")
    assert [(s["name"], s["attempt"]) for s in ended["steps"]] == [("first", 1), ("second", 2)]


def test_an_event_starts_what_names_it_and_the_run_tells_its_cause(olympus):
    push(olympus, "hears")
    for times in (1, 5):
        event = {
            "specversion": "1.0", "id": f"bell-{times}", "type": "bell.rung", "source": "test",
            "time": "2026-01-01T00:00:00Z", "data": {"times": times},
        }  # fmt: skip
        assert olympus.ask("POST", "/api/v1/events", event).status in {200, 202}
    (run,) = eventually(lambda: [r for r in olympus.get("/api/v1/runs")["items"] if r["pipeline"] == "hears"])
    ended = until(olympus, run["id"])
    assert (ended["params"], ended["cause"]["kind"], ended["cause"]["name"]) == (
        {"times": 5},
        "event",
        "bell.rung",
    )


def test_an_idempotency_key_answers_with_the_first_run(olympus):
    push(olympus, "flaky")
    first = start(olympus, "flaky", **{"Idempotency-Key": "k"})
    answer = olympus.ask(
        "POST", "/api/v1/pipelines/flaky/runs", {"params": {}}, headers={"Idempotency-Key": "k"}
    )
    assert answer.json["id"] == first
    assert len(olympus.get("/api/v1/runs")["items"]) == 1
