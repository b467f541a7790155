"""Lines a CPU second through Argos's patterns, beside ripgrep on one thread, fail2ban-regex and SEC, on one file.

0.5 % of the lines match; ours also takes the groups, types them, and looks whether they may be forged. The others
run where they are installed (Debian: apt install ripgrep fail2ban sec). OLYMPUS_BENCH_MB: the file's size (200).
"""

from __future__ import annotations

import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from olympus.argos.patterns import EngineMaker, compile_patterns
from olympus.argos.patterns_hyperscan import HyperscanEngine
from olympus.argos.patterns_re2 import Re2Engine
from olympus.spec.kinds.logwatch import Match

MEGABYTE = 1 << 20
PATTERNS = (5, 50, 200)
SLOW_LINES = 100_000
"""So many lines are enough for those that take a second or more for them: their start counts little then."""

WORDS = [
    "GET",
    "POST",
    "/index.html",
    "/api/v1/items",
    "connection",
    "closed",
    "by",
    "peer",
    "session",
    "opened",
    "for",
    "user",
    "timeout",
    "worker",
    "finished",
    "in",
    "upstream",
    "error",
    "request",
    "failed",
    "password",
    "accepted",
    "from",
    "port",
    "retry",
    "cache",
    "miss",
    "queue",
    "flushed",
]


def main() -> None:
    size = int(os.environ.get("OLYMPUS_BENCH_MB", "200")) * MEGABYTE
    with tempfile.TemporaryDirectory() as folder:
        for count in PATTERNS:
            log = Path(folder) / "big.log"
            lines = write(log, size, count)
            _measure(log, lines, count)


def _measure(log: Path, lines: int, count: int) -> None:
    print(f"{count} patterns, {lines:,} lines, {log.stat().st_size // MEGABYTE} MB")
    expected = None
    reference = None
    short = log.with_name("short.log")
    with log.open("rb") as source:
        short.write_bytes(b"".join(source.readline() for _ in range(SLOW_LINES)))
    rates: list[tuple[str, float, float]] = []
    if shutil.which("rg"):
        reference, wall, expected = outside(lambda: ripgrep(log, count), lines)
        rates.append(("ripgrep -j1", reference, wall))
    for name, engine in (("Hyperscan", HyperscanEngine), ("RE2", Re2Engine)):
        rate, wall, hits = _ours(log, lines, count, engine)
        if expected is not None and hits != expected:
            print(f"  {name} found {hits} lines, ripgrep {expected}", file=sys.stderr)
        rates.append((f"Argos, {name}", rate, wall))
    if shutil.which("fail2ban-regex"):
        rates.append(("fail2ban-regex", *outside(lambda: fail2ban(short, count), SLOW_LINES)[:2]))
    if shutil.which("sec"):
        rates.append(("SEC", *outside(lambda: sec(short, count), SLOW_LINES)[:2]))
    for name, rate, wall in rates:
        ratio = f"  {rate / reference:7.4f} of ripgrep" if reference else ""
        print(f"  {name:<18} {rate:>12,.0f} lines a CPU second {wall:>12,.0f} a second{ratio}")
    sys.stdout.flush()


def _ours(log: Path, lines: int, count: int, engine: EngineMaker) -> tuple[float, float, int]:
    matches = [
        Match.model_validate(
            {
                "name": f"m{index}",
                "pattern": pattern(index, named=True),
                "types": {"ip": "ip", "port": "port"},
            }
        )
        for index in range(count)
    ]
    ready = compile_patterns(matches, make=engine)
    cpu, wall, hits = time.process_time(), time.perf_counter(), 0
    for buffer in _buffers(log):
        hits += sum(1 for _ in ready.scan(buffer))
    return lines / (time.process_time() - cpu), lines / (time.perf_counter() - wall), hits


def _buffers(log: Path) -> Iterator[memoryview]:
    """Whole lines of up to a megabyte, without copying more than the part of a line at their ends."""
    buffer = bytearray(MEGABYTE)
    view = memoryview(buffer)
    with log.open("rb", buffering=0) as source:
        kept = 0
        while got := source.readinto(view[kept:]):
            filled = kept + got
            cut = buffer.rfind(b"\n", 0, filled) + 1
            yield view[:cut]
            kept = filled - cut
            buffer[:kept] = buffer[cut:filled]


def outside(run: Callable[[], int], lines: int) -> tuple[float, float, int]:
    before, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    found = run()
    after, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - wall
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return lines / cpu, lines / wall, found


def ripgrep(log: Path, count: int) -> int:
    argv = ["rg", "-j1", "--no-config", "--count", "--no-mmap"]
    for index in range(count):
        argv += ["-e", pattern(index, named=False)]
    return int(subprocess.run([*argv, "--", log], capture_output=True, text=True, check=True).stdout)


def fail2ban(log: Path, count: int) -> int:
    rules = log.with_name("rules.conf")
    failures = "\n    ".join(
        rf"app{index}\[\d+\]: Failed op{index} for \S+ from <HOST> port \d+" for index in range(count)
    )
    rules.write_text(f"[Definition]\nfailregex = {failures}\n")
    subprocess.run(["fail2ban-regex", log, rules], capture_output=True, check=False)
    return 0


def sec(log: Path, count: int) -> int:
    rules = log.with_name("sec.conf")
    rules.write_text(
        "".join(
            f"type=single\nptype=regexp\npattern={pattern(index, named=False)}\ndesc=$1\naction=none\n\n"
            for index in range(count)
        )
    )
    argv = ["sec", f"--conf={rules}", f"--input={log}", "--notail", "--fromstart", "--quiet"]
    subprocess.run(argv, capture_output=True, check=False)
    return 0


def pattern(index: int, *, named: bool) -> str:
    user, ip, port = (f"?P<{name}>" if named else "" for name in ("user", "ip", "port"))
    return rf"app{index}\[\d+\]: Failed op{index} for ({user}\S+) from ({ip}\S+) port ({port}\d+)"


def write(log: Path, size: int, count: int) -> int:
    """How many lines were written."""
    chance = random.Random(count)
    blocks = [_block(chance, count) for _ in range(16)]
    written = lines = 0
    with log.open("wb") as out:
        while written < size:
            block, in_it = chance.choice(blocks)
            written += out.write(block)
            lines += in_it
    return lines


def _block(chance: random.Random, count: int) -> tuple[bytes, int]:
    rows = []
    for second in range(5_000):
        host, process = f"web-{chance.randrange(9)}", chance.randrange(99_999)
        begin = f"Nov 25 10:{second % 60:02}:{chance.randrange(60):02} {host}"
        address = f"10.{chance.randrange(255)}.{chance.randrange(255)}.{chance.randrange(255)}"
        if chance.random() < 0.005:
            index = chance.randrange(count)
            user = f"user{chance.randrange(99)}"
            rows.append(
                f"{begin} app{index}[{process}]: Failed op{index} for {user} from {address} port {process % 65_000 + 1}"
            )
        else:
            text = " ".join(chance.choices(WORDS, k=6))
            rows.append(
                f'{begin} app{chance.randrange(300)}[{process}]: {address} - - "{text}" 200 {process}'
            )
    return ("\n".join(rows) + "\n").encode(), len(rows)


if __name__ == "__main__":
    main()
