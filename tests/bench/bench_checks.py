"""What a node pays for its checks while all is well: beside the same Olympus without any, in the same run."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import yaml

from olympus.testing.cluster import OlympusProcess, eventually
from tests.bench.aims import Aim
from tests.bench.bench_idle import cpu_of, version_of

SECONDS = 60
PROBES = (
    {"disk": {"path": "/"}, "failWhen": "value.used_percent > 101"},
    {"memory": {}, "failWhen": "value.used_percent > 101"},
    {"load": {}, "failWhen": "value.one > 10000"},
    {"file": {"path": "/etc/hostname"}},
    {"command": ["/bin/true"]},
)
MANY = 20


def specs() -> str:
    return yaml.safe_dump_all(
        {
            "apiVersion": "olympus/v1",
            "kind": "Check",
            "metadata": {"name": f"c{number}"},
            "spec": {**PROBES[number % len(PROBES)], "every": "1m"},
        }
        for number in range(MANY)
    )


def all_pass(olympus: OlympusProcess) -> bool:
    items = olympus.get("/api/v1/checks")["items"]
    return len(items) == MANY and all(one["status"]["conditions"][0]["reason"] == "Passing" for one in items)


def share(olympus: OlympusProcess) -> tuple[float, int]:
    """Of a core, with what it spawned and collected; and the writes to Hermes."""
    assert olympus.process is not None
    pid = olympus.process.pid
    writes, cpu = version_of(olympus.state), cpu_of(pid, children=True)
    time.sleep(SECONDS)
    return (cpu_of(pid, children=True) - cpu) / SECONDS, version_of(olympus.state) - writes


def main() -> list[Aim]:
    with tempfile.TemporaryDirectory() as folder:
        olympus = OlympusProcess(Path(folder) / "state", node="local")
        olympus.start()
        time.sleep(10)
        before, _ = share(olympus)
        olympus.push({"checks.yaml": specs()})
        eventually(lambda: all_pass(olympus), within=60, what="all pass")
        time.sleep(10)
        with_checks, writes = share(olympus)
        print(f"without checks: {before:.2%} of a core; with {MANY} a minute: {with_checks:.2%}")
        print(
            f"the checks: {with_checks - before:.2%} of a core (aim < 1 %); writes to Hermes: {writes} (aim 0)"
        )
        olympus.push({}, "-o", "prune=confirm")
        olympus.stop()
    return [
        Aim(f"{MANY} checks a minute: CPU", (with_checks - before) * 100, "% of a core", 1),
        Aim(f"{MANY} checks a minute: writes to Hermes", writes, "", 0),
    ]


if __name__ == "__main__":
    main()
