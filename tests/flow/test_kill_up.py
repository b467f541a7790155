"""kill -9 of the whole `olympus up` at random points, while runs are asked for and running."""

from __future__ import annotations

import http.client
import json
import os
import random
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from olympus.testing.cluster import OlympusProcess
from olympus.testing.consul_agent import ConsulAgent
from tests.flow.killed_runs import PIPELINE, check

KILLS = int(os.environ.get("OLYMPUS_TEST_KILLS", "6"))
"""100 for the real thing: that takes some five minutes on each Hermes."""
SEED = int(os.environ.get("OLYMPUS_TEST_SEED", "11"))

PARAMS = """
  params: {type: object, required: [file, slow], properties: {file: {type: string}, slow: {type: string}}}
"""


class Asking(threading.Thread):
    """Asks for runs under keys of their own, until the program does not answer any more."""

    def __init__(
        self, olympus: OlympusProcess, wanted: dict[str, dict[str, str]], begun: dict[str, str]
    ) -> None:
        super().__init__()
        self._olympus = olympus
        self._wanted = wanted
        self._begun = begun

    def run(self) -> None:
        for key in [key for key in self._wanted if key not in self._begun]:
            try:
                answer = self._olympus.ask(
                    "POST",
                    "/api/v1/pipelines/traces/runs",
                    {"params": self._wanted[key]},
                    headers={"Idempotency-Key": key},
                )
                assert answer.status == 202, answer.text
                self._begun[key] = answer.json["id"]
            except (OSError, http.client.HTTPException, json.JSONDecodeError):
                return


@pytest.fixture(params=["embedded", pytest.param("consul", marks=pytest.mark.consul)])
def hermes(request: pytest.FixtureRequest) -> Iterator[str]:
    """As for other flows, but that a program is killed more often in a minute than Consul's default allows for."""
    if request.param == "embedded":
        yield "embedded"
        return
    settings = {"limits": {"http_max_conns_per_client": 1000}}
    with ConsulAgent(request.getfixturevalue("consul_binary"), settings=settings) as agent:
        yield f"consul://{agent.address}"


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_what_was_asked_for_is_done_once_whenever_the_program_is_killed(make_olympus, hermes, folder):
    rng = random.Random(SEED)
    out = folder / "out"
    out.mkdir()
    out.chmod(0o777)
    olympus: OlympusProcess = make_olympus(hermes=hermes)
    olympus.start()
    head = "apiVersion: olympus/v1\nkind: Pipeline\nmetadata: {name: traces}\nspec:"
    olympus.push({"traces.yaml": head + PARAMS + textwrap.indent(PIPELINE.lstrip("\n"), "  ")})
    wanted: dict[str, dict[str, str]] = {}
    begun: dict[str, str] = {}
    for kill in range(KILLS):
        for number in range(8):
            name = f"{kill}-{number}"
            wanted[name] = {"file": str(out / name), "slow": str(rng.randint(0, 9))}
        asking = Asking(olympus, wanted, begun)
        asking.start()
        time.sleep(rng.uniform(0.0, 0.6))
        olympus.kill()
        asking.join()
        olympus.start(within=60)
    asking = Asking(olympus, wanted, begun)
    asking.start()
    asking.join()
    assert begun.keys() == wanted.keys()
    runs = [olympus.finished(run, within=120) for run in begun.values()]
    assert len({run["id"] for run in runs}) == len(wanted)
    assert len(_all(olympus)) == len(wanted), "a run was started twice"
    unknown = check(runs, Path(folder))
    print(f"{KILLS} kills, {len(runs)} runs, {unknown} steps unknown")


def _all(olympus: OlympusProcess) -> list[Any]:
    found: list[Any] = []
    page = olympus.get("/api/v1/runs?limit=1000")
    found += page["items"]
    while page["next"]:
        page = olympus.get(f"/api/v1/runs?limit=1000&cursor={page['next']}")
        found += page["items"]
    return found
