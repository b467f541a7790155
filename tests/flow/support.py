"""What flow tests share."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def example(name: str) -> dict[str, str]:
    """The files of `examples/NAME`, but its README."""
    root = REPOSITORY / "examples" / name
    return {
        str(file.relative_to(root)): file.read_text()
        for file in sorted(root.rglob("*"))
        if file.is_file() and file.name != "README.md"
    }


def incidents(olympus, query=""):
    return olympus.get(f"/api/v1/incidents?{query}")["items"]


def emit(olympus, type_, **data):
    return olympus.post("/api/v1/events", {"type": type_, "data": data})["id"]


def cli(olympus, *words):
    done = subprocess.run(
        [sys.executable, "-m", "olympus.cli.main", *words, "--state", str(olympus.state)],
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
