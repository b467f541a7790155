"""From a line in a log to the first step of its remedy, through the whole `olympus up`: beside `tail -F`, a shell that
reads it and starts a program, which decides, keeps and verifies nothing."""

from __future__ import annotations

import os
import random
import signal
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from olympus.testing.cluster import OlympusProcess, eventually
from olympus.testing.consul_agent import ConsulAgent, find_consul
from tests.bench.aims import Aim

LINES = 60
"""In a minute: of more, the breaker of the rule would open, at 100 runs."""

SPECS = """
apiVersion: olympus/v1
kind: LogWatch
metadata: {name: sshd}
spec:
  source: {files: [LOG]}
  match: [{name: bad-login, pattern: 'Failed password for (?P<user>\\S+) from (?P<ip>\\S+)', types: {ip: ip}}]
---
apiVersion: olympus/v1
kind: Pipeline
metadata: {name: block}
spec:
  params: {type: object, required: [ip], properties: {ip: {type: string}}}
  steps: [{name: block, run: [/bin/true, "${{ params.ip }}"]}]
---
apiVersion: olympus/v1
kind: Asset
metadata: {name: office}
spec: {type: network, fields: {addresses: [192.0.2.0/24]}}
---
apiVersion: olympus/v1
kind: Rule
metadata: {name: guard}
spec:
  on: {event: olympus.argos.match, where: "data.name == 'bad-login'"}
ASK
  solve:
    - pipeline: block
      params: {ip: "${{ event.data.groups.ip }}"}
      verify: {absent: {event: olympus.argos.match, where: "data.groups.ip == event.data.groups.ip"}, within: 1m}
  limits: {by: data.groups.ip}
"""

ASK = """
  ask:
    whose: {apollo: {asset: "${{ event.data.groups.ip }}"}, unknown: proceed}
    lines: {argos: {node: "${{ event.node }}", contains: "${{ event.data.groups.ip }}"}}
  when: not_null(answers.whose.type, 'nobody') == 'nobody'
"""


KINDS = {"no-questions": "", "two-questions": ASK}


def attack(log: Path, number: int) -> float:
    """Append a line; when, in seconds since 1970."""
    line = (
        f"Nov 26 10:00:00 web-1 sshd[712]: Failed password for root from 203.0.113.{number} port 4022 ssh2\n"
    )
    with log.open("a") as file:
        now = time.time()
        file.write(line)
    return now


def watch(log: Path, started: Callable[[int], float | None]) -> list[float]:
    """Milliseconds of each line, one after the other, at times that nothing is in step with."""
    found = []
    for number in range(LINES):
        time.sleep(random.uniform(0.05, 0.35))
        begun = attack(log, number)
        found.append((eventually(lambda n=number: started(n), what="a first step") - begun) * 1e3)
    return found


def olympus(state: Path, hermes: str, ask: str) -> list[float]:
    log = state.with_suffix(".auth")
    log.touch()
    with OlympusProcess(state, hermes=hermes) as process:
        process.push({"guard.yaml": SPECS.replace("LOG", str(log)).replace("ASK", ask)})
        path = "/api/v1/logwatches/sshd"
        eventually(lambda: process.get(path)["status"]["conditions"][0]["reason"] == "Watching")

        def started(number: int) -> float | None:
            (run,) = process.get("/api/v1/runs?limit=1")["items"] or [None]
            if run is None or run["params"]["ip"] != f"203.0.113.{number}" or not run["finishedAt"]:
                return None
            run = process.get(f"/api/v1/runs/{run['id']}")
            return datetime.fromisoformat(run["steps"][0]["startedAt"]).timestamp()

        found = watch(log, started)
        process.push({}, "-o", "prune=confirm")
        return found


def shell(folder: Path) -> list[float]:
    log, out = folder / "shell.auth", folder / "shell.out"
    log.touch()
    out.touch()
    script = f"tail -n 0 -F {log} | while read -r line; do date +%s.%N >> {out}; done"
    loop = subprocess.Popen(["/bin/sh", "-c", script], stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        time.sleep(0.5)

        def started(number: int) -> float | None:
            lines = out.read_text().splitlines()
            return float(lines[number]) if len(lines) > number else None

        return watch(log, started)
    finally:
        os.killpg(loop.pid, signal.SIGKILL)
        loop.wait()


def told(what: str, found: list[float]) -> float:
    """The median, printed."""
    ordered = sorted(found)
    median = statistics.median(ordered)
    print(f"{what:<34} p50 {median:6.1f} ms  p95 {ordered[int(LINES * 0.95)]:6.1f} ms", flush=True)
    return median


def main() -> list[Aim]:
    aims = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        told("tail -F | while read; do date", shell(folder))
        for what, ask in KINDS.items():
            found = told(f"embedded, {what}", olympus(folder / f"embedded-{what}", "embedded", ask))
            aims.append(Aim(f"log line → first step, embedded, {what}", found, "ms", 50))
        binary = find_consul()
        if binary is None:
            print("Consul is not here: make consul")
            return aims
        for what, ask in KINDS.items():
            with ConsulAgent(binary) as agent:
                state = folder / f"consul-{what}"
                found = told(f"Consul, {what}", olympus(state, f"consul://{agent.address}", ask))
            aims.append(Aim(f"log line → first step, Consul, {what}", found, "ms", 80))
    return aims


if __name__ == "__main__":
    main()
