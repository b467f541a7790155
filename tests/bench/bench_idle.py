"""What `olympus up` costs while nothing happens, with the specs that `make up` begins with."""

from __future__ import annotations

import os
import sqlite3
import tempfile
import time
from pathlib import Path

from olympus.testing.cluster import OlympusProcess
from tests.bench.aims import Aim
from tests.flow.support import REPOSITORY

SECONDS = 60


def version_of(state: Path) -> int:
    """It grows with each transaction."""
    with sqlite3.connect(f"file:{state / 'hermes.db'}?mode=ro", uri=True) as db:
        return int(db.execute("SELECT version FROM store").fetchone()[0])


def cpu_of(pid: int, *, children: bool = False) -> float:
    """Seconds; children: also of those that have ended and were waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11 : 15 if children else 13])) / os.sysconf("SC_CLK_TCK")


def main() -> list[Aim]:
    with tempfile.TemporaryDirectory() as folder:
        olympus = OlympusProcess(
            Path(folder) / "state", node="local", args=("--specs", str(REPOSITORY / "specs"))
        )
        begun = time.perf_counter()
        olympus.start()
        ready = time.perf_counter() - begun
        # Its own schedule is an event: it is not to fall into the minute.
        olympus.post("/api/v1/schedules/self-check/orders", {"do": "suspend"})
        time.sleep(10)
        assert olympus.process is not None
        pid = olympus.process.pid
        writes, cpu = version_of(olympus.state), cpu_of(pid)
        time.sleep(SECONDS)
        share = (cpu_of(pid) - cpu) / SECONDS
        resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6
        print(f"ready after {ready:.2f} s")
        print(f"idle for {SECONDS} s: {share:.2%} of a core (aim < 1 %), {resident:.0f} MB (aim < 100)")
        wrote = version_of(olympus.state) - writes
        print(f"writes to Hermes: {wrote} (aim 0)")
        olympus.push({}, "-o", "prune=confirm")
        olympus.stop()
    return [
        Aim("idle: memory", resident, "MB", 100),
        Aim("idle: CPU", share * 100, "% of a core", 1),
        Aim("idle: writes to Hermes in a minute", wrote, "", 0),
    ]


if __name__ == "__main__":
    main()
