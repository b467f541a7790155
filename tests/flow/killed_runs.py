"""A pipeline whose steps leave traces, and whether these are what the records say after kills: each step was done
once, or repeated where that is harmless, or is unknown and said so; and nothing stays running."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

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


def check(runs: Sequence[Mapping[str, Any]], below: Path) -> int:
    """What the records say is what happened; the number of steps that are unknown. below: where the runs' files lie."""
    unknown = 0
    for run in runs:
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
    assert not leftovers(below), "processes of steps are left"
    return unknown


def leftovers(below: Path) -> list[str]:
    """Processes that still have a file of this test's open folder in their environment."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if f"OLY_PARAM_FILE={below}".encode() in (entry / "environ").read_bytes():
                    found.append(entry.name)
            except OSError:
                continue
    return found
