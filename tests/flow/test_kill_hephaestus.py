"""kill -9 of the whole program at random points of running pipelines: done once, or repeated where that is harmless,
or unknown and said so; and nothing stays running."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("hephaestus_program.py")
KILLS = int(os.environ.get("OLYMPUS_TEST_KILLS", "25"))
"""100 for the real thing: that takes some four minutes."""
SEED = int(os.environ.get("OLYMPUS_TEST_SEED", "7"))

# Each step appends one line to a file; with `slow` some of them take a while.
PIPELINE = """
steps:
  - {name: one, script: 'echo "$OLY_STEP" >> "$OLY_PARAM_FILE"'}
  - {name: two, script: 'sleep 0.0$OLY_PARAM_SLOW; echo "$OLY_STEP" >> "$OLY_PARAM_FILE"; echo "{\\"n\\": 2}"'}
  - {name: told, emit: {type: told, data: {n: "${{ steps.two.output.n }}"}}}
  - {name: again, idempotent: true, script: 'sleep 0.0$OLY_PARAM_SLOW; echo "$OLY_STEP" >> "$OLY_PARAM_FILE"'}
  - {name: beside, needs: [one], script: 'echo "$OLY_STEP" >> "$OLY_PARAM_FILE"; sleep 0.0$OLY_PARAM_SLOW'}
  - {name: last, needs: [again, beside], script: 'echo "$OLY_STEP" >> "$OLY_PARAM_FILE"'}
"""


def go(state: Path) -> subprocess.Popen[bytes]:
    with (state / "log").open("ab") as log:
        return subprocess.Popen([sys.executable, str(PROGRAM), str(state)], stdout=log, stderr=log)


def wait_for(path: Path, process: subprocess.Popen[bytes], within: float) -> bool:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline and not path.exists() and process.poll() is None:
        time.sleep(0.005)
    return path.exists()


@pytest.fixture
def folder() -> Iterator[Path]:
    """One that an unprivileged user may enter, which pytest's is not."""
    with tempfile.TemporaryDirectory(prefix="olympus-kill-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


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
        unknown += check(state, out)
    print(f"{kills} kills in {round_} rounds; {unknown} steps unknown")


def check(state: Path, out: Path) -> int:
    """What the records say is what happened; the number of steps that are unknown."""
    unknown = 0
    for run in json.loads((state / "done.json").read_text()):
        file = Path(run["params"]["file"])
        lines = Counter(file.read_text().split() if file.exists() else ())
        for step in run["steps"]:
            times, name, told = lines[step["name"]], step["name"], step["state"]
            said = f"{name}: {told}, done {times} times, attempt {step['attempt']}: {step['message']}"
            assert told in {"succeeded", "skipped", "unknown"}, said
            if name == "told":
                continue
            if told == "succeeded":
                assert times == 1 or (name == "again" and 1 <= times <= step["attempt"]), said
            elif told == "skipped":
                assert times == 0, said
            else:
                unknown += 1
                assert times <= 1, said
                assert name != "again", said
                assert "unknown" in step["message"], said
        states = {step["state"] for step in run["steps"]}
        assert run["state"] == ("unknown" if "unknown" in states else "succeeded"), run
    assert not leftovers(state), "processes of steps are left"
    return unknown


def leftovers(state: Path) -> list[str]:
    """Processes that still have a file of this test's open folder in their environment."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if f"OLY_PARAM_FILE={state}".encode() in (entry / "environ").read_bytes():
                    found.append(entry.name)
            except OSError:
                continue
    return found
