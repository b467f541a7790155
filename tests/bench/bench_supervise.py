"""What a node pays for 200 services that are well: beside the same Olympus without any, in the same run."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import yaml

from olympus.testing.cluster import OlympusProcess, eventually
from tests.bench.aims import Aim
from tests.bench.bench_checks import share

MANY = 200


def specs() -> str:
    return yaml.safe_dump_all(
        {
            "apiVersion": "olympus/v1",
            "kind": "Service",
            "metadata": {"name": f"s{number}"},
            "spec": {"run": {"process": {"command": ["sleep", "infinity"]}}},
        }
        for number in range(MANY)
    )


def ready(olympus: OlympusProcess) -> int:
    items = olympus.get(f"/api/v1/services?limit={MANY}")["items"]
    return sum(
        any(c["type"] == "Ready" and c["status"] for c in one["status"]["conditions"]) for one in items
    )


def main() -> list[Aim]:
    with tempfile.TemporaryDirectory() as folder:
        olympus = OlympusProcess(Path(folder) / "state", node="local")
        olympus.start()
        time.sleep(10)
        before, _ = share(olympus)
        olympus.push({"services.yaml": specs()})
        eventually(lambda: ready(olympus) == MANY, within=120, what="all are ready")
        time.sleep(15)
        with_services, writes = share(olympus)
        print(f"without services: {before:.2%} of a core; with {MANY}: {with_services:.2%}")
        print(f"writes to Hermes: {writes}")
        olympus.push({}, "-o", "prune=confirm")
        olympus.stop()
    return [Aim(f"{MANY} services that are well: CPU", (with_services - before) * 100, "% of a core", 2)]


if __name__ == "__main__":
    main()
