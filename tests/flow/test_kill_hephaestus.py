"""kill -9 of coordinator, worker and Hermes alone, very often, at random points of running pipelines."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.flow.killed_runs import PIPELINE, check

PROGRAM = Path(__file__).with_name("hephaestus_program.py")
KILLS = int(os.environ.get("OLYMPUS_TEST_KILLS", "25"))
"""100 for the real thing: that takes some four minutes."""
SEED = int(os.environ.get("OLYMPUS_TEST_SEED", "7"))


def go(state: Path) -> subprocess.Popen[bytes]:
    with (state / "log").open("ab") as log:
        return subprocess.Popen([sys.executable, str(PROGRAM), str(state)], stdout=log, stderr=log)


def wait_for(path: Path, process: subprocess.Popen[bytes], within: float) -> bool:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline and not path.exists() and process.poll() is None:
        time.sleep(0.005)
    return path.exists()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_kills_lose_nothing_and_repeat_nothing(folder):
    rng = random.Random(SEED)
    kills = unknown = 0
    round_ = 0
    while kills < KILLS:
        round_ += 1
        state = folder / f"state{round_}"
        state.mkdir(mode=0o755)
        out = state / "out"
        out.mkdir()
        out.chmod(0o777)
        runs = [["p", {"file": str(out / f"{i}"), "slow": str(rng.randint(0, 9))}] for i in range(25)]
        (state / "runs.json").write_text(json.dumps({"pipelines": {"p": PIPELINE}, "runs": runs}))
        done = state / "done.json"
        while not done.exists():
            up = state / "up"
            up.unlink(missing_ok=True)
            process = go(state)
            # Not before it is at work: the point is to hit it there.
            assert wait_for(up, process, 60), (state / "log").read_text()[-5000:]
            killed = not wait_for(done, process, rng.uniform(0.0, 0.3)) and process.poll() is None
            if killed and kills < KILLS:
                process.send_signal(signal.SIGKILL)
                process.wait()
                kills += 1
            else:
                assert wait_for(done, process, 60), (state / "log").read_text()[-5000:]
                assert process.wait(30) == 0, (state / "log").read_text()[-5000:]
        unknown += check(json.loads((state / "done.json").read_text()), state)
    print(f"{kills} kills in {round_} rounds; {unknown} steps unknown")
