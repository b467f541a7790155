"""What it costs to run a program: our wrapper beside make, and a change of user beside setpriv with prlimit."""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from olympus.host.process import PATH, Command, Limits, spawn, wait
from tests.bench.aims import Aim

STEPS = 100


async def ours(folder: Path, *, user: str | None, limits: Limits) -> float:
    """Seconds a step, from the spawn to the known exit code."""
    found = []
    for i in range(STEPS):
        command = Command(
            ("true",),
            folder / "log",
            f"bench/{user}/{i}",
            {"PATH": PATH},
            cwd=folder,
            user=user,
            exit_file=folder / f"{i}.exit",
            limits=limits,
        )
        begun = time.perf_counter()
        code = await wait(spawn(command), command.exit_file)
        found.append(time.perf_counter() - begun)
        assert code == 0
    return statistics.median(found)


def make(folder: Path) -> float:
    """Seconds a rule of make's, a hundred of them in one run."""
    names = [f"r{i}" for i in range(STEPS)]
    rules = "".join(f"{name}:\n\t@/bin/true\n" for name in names)
    (folder / "Makefile").write_text(f".PHONY: all {' '.join(names)}\nall: {' '.join(names)}\n{rules}")
    begun = time.perf_counter()
    subprocess.run(["make", "-s", "-C", str(folder), "all"], check=True)
    return (time.perf_counter() - begun) / STEPS


def tools() -> float:
    """Seconds of setpriv and prlimit around the same program."""
    argv = [
        "setpriv",
        "--reuid=nobody",
        "--regid=nogroup",
        "--init-groups",
        "prlimit",
        "--nproc=4096",
        "true",
    ]
    found = []
    for _ in range(STEPS):
        begun = time.perf_counter()
        subprocess.run(argv, check=True, close_fds=False)
        found.append(time.perf_counter() - begun)
    return statistics.median(found)


def main() -> list[Aim]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        reference = make(folder)
        mine = asyncio.run(ours(folder, user=None, limits=Limits()))
        print(f"make, a rule               {reference * 1e3:6.2f} ms")
        print(f"a no-op step               {mine * 1e3:6.2f} ms  {mine / reference:.2f} × make (aim ≤ 2)")
        if os.geteuid() == 0:
            beside = tools()
            switched = asyncio.run(ours(folder, user="nobody", limits=Limits(tasks=4096)))
            print(f"setpriv and prlimit        {beside * 1e3:6.2f} ms")
            print(f"a step as nobody, limited  {switched * 1e3:6.2f} ms  {switched / beside:.2f} × that")
    return [Aim("a no-op process beside a rule of make's", mine * 1e3, "ms", 2, reference * 1e3)]
