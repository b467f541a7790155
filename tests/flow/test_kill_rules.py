"""kill -9 of the whole `olympus up` at random points, while events become incidents and remedies run: each event has
its incident, each incident one run, and windows that were half full are so again."""

from __future__ import annotations

import http.client
import json
import os
import random
import threading
import time
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest

from olympus.kernel.clock import rfc3339
from olympus.testing.cluster import OlympusProcess, eventually

KILLS = int(os.environ.get("OLYMPUS_TEST_KILLS", "5"))
"""200 for the real thing: that takes some eight minutes on the embedded Hermes."""
SEED = int(os.environ.get("OLYMPUS_TEST_SEED", "5"))

RULES = """
apiVersion: olympus/v1
kind: Pipeline
metadata: {name: mend}
spec:
  params: {type: object, required: [file, name], properties: {file: {type: string}, name: {type: string}}}
  steps: [{name: mend, script: 'echo "$OLY_PARAM_NAME" >> "$OLY_PARAM_FILE"'}]
---
apiVersion: olympus/v1
kind: Rule
metadata: {name: broke}
spec:
  on: {event: thing.broke}
  ask: {last: {hephaestus: {pipeline: mend}}}
  when: "length(answers.last) < 1000"
  solve:
    - pipeline: mend
      params: {file: FILE, name: "${{ event.data.name }}"}
      verify: {absent: {event: thing.broke, where: "data.name == event.data.name"}, within: 300ms}
  limits: {by: data.name, perHour: 1}
---
apiVersion: olympus/v1
kind: Rule
metadata: {name: counted}
spec:
  correlate: {within: 1h, by: data.name, count: {of: {event: thing.counted}, atLeast: 3}}
  solve:
    - pipeline: mend
      params: {file: FILE, name: "${{ event.data.name }}"}
      verify: {until: {node: n1, state: alive}, within: 1m}
"""


class Emitting(threading.Thread):
    """Emits until the program does not answer; what was not answered for is emitted again, the same, later."""

    def __init__(self, olympus: OlympusProcess, wanted: dict[str, dict[str, Any]], told: set[str]) -> None:
        super().__init__()
        self._olympus = olympus
        self._wanted = wanted
        self._told = told

    def run(self) -> None:
        for name in [name for name in self._wanted if name not in self._told]:
            try:
                answer = self._olympus.ask("POST", "/api/v1/events", self._wanted[name])
                assert answer.status == 202, answer.text
                self._told.add(name)
            except (OSError, http.client.HTTPException, json.JSONDecodeError):
                return


def event(type_: str, id_: str, name: str) -> dict[str, Any]:
    return {"type": type_, "id": id_, "time": rfc3339(datetime.now(UTC)), "data": {"name": name}}


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_no_incident_is_lost_and_no_remedy_is_started_twice(make_olympus, hermes, folder):
    rng = random.Random(SEED)
    out = folder / "out"
    out.touch()
    out.chmod(0o666)
    olympus: OlympusProcess = make_olympus(hermes=hermes)
    olympus.start()
    olympus.push({"rules.yaml": RULES.replace("FILE", str(out))})
    wanted: dict[str, dict[str, Any]] = {}
    told: set[str] = set()
    for kill in range(KILLS):
        # More would open the breaker, at 100 runs in a minute.
        for number in range(2):
            wanted[f"b{kill}-{number}"] = event("thing.broke", f"b{kill}-{number}", f"b{kill}-{number}")
        # The third of each comes some kills after the first.
        for of in range(max(0, kill - 2), kill + 1):
            wanted[f"c{of}-{kill}"] = event("thing.counted", f"c{of}-{kill}", f"c{of}")
        emitting = Emitting(olympus, wanted, told)
        emitting.start()
        time.sleep(rng.uniform(0.0, 0.7))
        olympus.kill()
        emitting.join()
        start_again(olympus)
    emitting = Emitting(olympus, wanted, told)
    emitting.start()
    emitting.join()
    assert told == wanted.keys()

    names = [one["data"]["name"] for one in wanted.values() if one["type"] == "thing.broke"]
    names += [f"c{of}" for of in range(KILLS - 2)]
    until_over(olympus, names)
    incidents = everything(olympus, "incidents")
    assert Counter(one["key"] for one in incidents) == Counter(names)
    states = Counter(one["state"] for one in incidents)
    others = [
        f"{one['key']} {one['state']}: {'; '.join(said['because'] for said in one['decisions'][-2:])}"
        for one in incidents
        if one["state"] != "resolved"
    ]
    assert states == {"resolved": len(names)}, "\n".join(others)
    runs = everything(olympus, "runs")
    assert Counter(run["params"]["name"] for run in runs) == Counter(names), (
        "a remedy was started twice, or never"
    )
    done = Counter(out.read_text().split())
    unknown = {run["params"]["name"] for run in runs if run["state"] == "unknown"}
    assert {run["state"] for run in runs} <= {"succeeded", "unknown"}
    assert set(done.values()) <= {1}
    assert done.keys() | unknown == set(names)
    print(f"{KILLS} kills, {len(wanted)} events, {len(incidents)} incidents, {len(unknown)} runs unknown")


def start_again(olympus: OlympusProcess) -> None:
    """As a supervisor does: Consul keeps the calls of who was killed for a while, and they count against its limit."""
    for _ in range(20):
        try:
            olympus.start(within=60)
        except AssertionError as error:
            if "too many concurrent connections" not in str(error):
                raise
            time.sleep(1)
        else:
            return
    raise AssertionError("Consul takes no connection any more")


def until_over(olympus: OlympusProcess, names: list[str]) -> None:
    """Each has its incident, and that is over; else AssertionError, which says how those stand that are not."""
    try:
        eventually(lambda: not unfinished(olympus, names), within=180)
    except AssertionError:
        outcomes = {
            rule: olympus.get(f"/api/v1/rules/{rule}")["status"]["outcomes"] for rule in ("broke", "counted")
        }
        left = unfinished(olympus, names)
        listed = "\n".join(f"{name}: {how}" for name, how in left.items())
        raise AssertionError(
            f"{len(left)} of {len(names)} incidents are not over; {outcomes}\n{listed}"
        ) from None


def unfinished(olympus: OlympusProcess, names: list[str]) -> dict[str, str]:
    """Name → how its incident stands."""
    found = {one["key"]: one for one in everything(olympus, "incidents")}
    runs = {one["id"]: one for one in everything(olympus, "runs")}

    def standing(name: str) -> str:
        one = found.get(name)
        if one is None:
            return "has no incident"
        attempts = [(a["run"], a["state"], runs.get(a["run"], {}).get("state")) for a in one["attempts"]]
        return f"{one['state']} since {one['changedAt']}, runs {attempts}"

    return {name: standing(name) for name in names if name not in found or not found[name]["closedAt"]}


def everything(olympus: OlympusProcess, what: str) -> list[Any]:
    found: list[Any] = []
    page = olympus.get(f"/api/v1/{what}?limit=1000")
    found += page["items"]
    while page["next"]:
        page = olympus.get(f"/api/v1/{what}?limit=1000&cursor={page['next']}")
        found += page["items"]
    return found
