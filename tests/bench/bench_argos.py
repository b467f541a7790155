"""Argos as a whole, from files to events on an embedded Hermes: beside ripgrep on one thread, fail2ban-regex and SEC,
on the same file in the same run; and how soon a line of one of a thousand files is an event.

0.5 % of the lines match, and each of these becomes an event. The others run where they are installed (Debian: apt
install ripgrep fail2ban sec). OLYMPUS_BENCH_MB: the file's size (200).
"""

from __future__ import annotations

import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from olympus.argos.patterns import compile_patterns
from olympus.spec.kinds.logwatch import LogWatchSpec
from tests.bench import bench_patterns as patterns
from tests.bench.aims import Aim

FILES = 1_000
LINES = 300
ROUNDS = 3
"""Of which the median counts: other programs' work changes what a CPU second is worth."""


def spec(files: str, count: int, *, begin: str) -> dict[str, Any]:
    types = {"ip": "ip", "port": "port"}
    return {
        "source": {"files": [files], "from": begin},
        "match": [
            {"name": f"m{index}", "pattern": patterns.pattern(index, named=True), "types": types}
            for index in range(count)
        ],
    }


@contextmanager
def argos(folder: Path, watched: dict[str, Any], *args: str) -> Iterator[Iterator[dict[str, Any]]]:
    """What it says, as it says it."""
    with tempfile.TemporaryDirectory(dir=folder) as state:
        # Compiled once, as for every start but the first: it is not what a line costs.
        compile_patterns(LogWatchSpec.model_validate(watched).match, Path(state) / "argos" / "patterns")
        described = Path(state) / "spec.json"
        described.write_text(json.dumps(watched))
        argv = [sys.executable, "-m", "tests.bench.argos_alone", state, described, *args]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            try:
                yield (json.loads(line) for line in process.stdout)
            finally:
                process.kill()


def whole(folder: Path, log: Path, count: int, expected: int) -> dict[str, Any]:
    """How it went with all of the file."""
    with argos(folder, spec(str(log), count, begin="beginning"), "--until", str(expected)) as said:
        return next(one for one in said if "events" in one)


def throughput(folder: Path, size: int, count: int) -> list[Aim]:
    log, short = folder / "big.log", folder / "short.log"
    lines = patterns.write(log, size, count)
    with log.open("rb") as source:
        short.write_bytes(b"".join(source.readline() for _ in range(patterns.SLOW_LINES)))
    print(f"{count} patterns, {lines:,} lines, {log.stat().st_size // patterns.MEGABYTE} MB", flush=True)
    if not shutil.which("rg"):
        print("  ripgrep is not installed")
        return []
    beside, ours = [], []
    for _ in range(ROUNDS):
        rate, _, expected = patterns.outside(lambda: patterns.ripgrep(log, count), lines)
        beside.append(rate)
        ours.append(whole(folder, log, count, expected))
    reference = statistics.median(beside)
    rate = statistics.median(lines / one["cpu"] for one in ours)
    rows = [("ripgrep -j1, counting", reference), (f"Argos, telling {expected:,} events", rate)]
    if shutil.which("fail2ban-regex"):
        found = patterns.outside(lambda: patterns.fail2ban(short, count), patterns.SLOW_LINES)
        rows.append(("fail2ban-regex", found[0]))
    if shutil.which("sec"):
        rows.append(("SEC", patterns.outside(lambda: patterns.sec(short, count), patterns.SLOW_LINES)[0]))
    for name, one in rows:
        print(f"  {name:<34} {one:>12,.0f} lines a CPU second  {one / reference:7.4f} of ripgrep")
    peak = max(one["peak"] for one in ours)
    print(f"  Argos's memory: {peak:.0f} MB", flush=True)
    return [
        Aim(
            f"log lines to events, {count} patterns, lines a CPU second, beside ripgrep",
            rate,
            "a s",
            0.7,
            reference,
            at_least=True,
        ),
        Aim(f"log lines to events, {count} patterns, memory at most", peak, "MB", 60),
    ]


def latency(folder: Path) -> list[Aim]:
    """Lines appended to files at random, at times that nothing is in step with."""
    logs = folder / "logs"
    logs.mkdir()
    files = [logs / f"{number}.log" for number in range(FILES)]
    for file in files:
        file.touch()
    found = []
    with argos(folder, spec(f"{logs}/*.log", 50, begin="end"), "--each") as said:
        assert next(said) == {"watching": True}
        time.sleep(2)
        for number in range(LINES):
            time.sleep(random.uniform(0.005, 0.05))
            line = f"Nov 25 10:00:00 web-1 app7[{number}]: Failed op7 for root from 10.0.0.1 port 22\n"
            with random.choice(files).open("a") as file:
                begun = time.time()
                file.write(line)
                file.flush()
            told = next(said)
            assert told["line"] == line.rstrip("\n")
            found.append((told["at"] - begun) * 1e3)
    found.sort()
    p50, p99 = statistics.median(found), found[int(len(found) * 0.99)]
    print(f"append → event, {FILES:,} files: p50 {p50:.2f} ms, p99 {p99:.2f} ms (aim p99 ≤ 5 ms)")
    return [Aim(f"append → event, {FILES:,} files, p99", p99, "ms", 5)]


def main() -> list[Aim]:
    size = int(os.environ.get("OLYMPUS_BENCH_MB", "200")) * patterns.MEGABYTE
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        aims = [aim for count in patterns.PATTERNS for aim in throughput(folder, size, count)]
        return [*aims, *latency(folder)]


if __name__ == "__main__":
    main()
