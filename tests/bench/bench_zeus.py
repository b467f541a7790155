"""Zeus: a push of one change → applied, as an operator waits for it; 1,000 services placed on 100 nodes."""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from olympus.hermes import keys
from olympus.records.seals import unsealed
from olympus.testing.zeus import ZeusHere, zeus_here
from tests.bench.aims import Aim

SERVICES = 1000
NODES = 100
PUSHES = 20


def main() -> list[Aim]:
    return asyncio.run(_main())


async def _main() -> list[Aim]:
    with tempfile.TemporaryDirectory() as scratch:
        applied = await _pushes(Path(scratch))
    with tempfile.TemporaryDirectory() as scratch:
        written = await _thousand(Path(scratch))
    return [
        Aim("push → applied, p50", applied, "s", 1),
        Aim(f"{SERVICES} services on {NODES} nodes: planned and written", written, "s", 5),
    ]


def _git(clone: Path, *arguments: str) -> str:
    who = ("-c", "user.name=bench", "-c", "user.email=bench@example.org")
    done = subprocess.run(["git", *who, *arguments], cwd=clone, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    return done.stdout + done.stderr


def _service(number: int, argument: str) -> str:
    return (
        "apiVersion: olympus/v1\nkind: Service\n"
        f"metadata: {{name: s{number}, labels: {{team: t{number % 7}}}}}\n"
        "spec:\n"
        f"  run: {{process: {{command: [sleep, '{argument}'], env: {{NUMBER: '{number}'}}}}}}\n"
        f"  checks: [{{tcp: '127.0.0.1:{20000 + number}'}}]\n"
    )


async def _pushes(scratch: Path) -> float:
    bare = scratch / "bare.git"
    clone = scratch / "clone"
    clone.mkdir()
    _git(scratch, "init", "-q", "--bare", "-b", "main", str(bare))
    _git(clone, "init", "-q", "-b", "main")
    async with zeus_here(scratch / "state") as here:
        plain, applied = [], []
        for number in range(PUSHES):
            (clone / "a.yaml").write_text(_service(1, str(number)))
            _git(clone, "add", "-A")
            _git(clone, "commit", "-qm", "change")
            plain.append(await _timed(clone, bare))
            applied.append(await _timed(clone, here.repository.path))
    p50, reference = statistics.median(applied), statistics.median(plain)
    print(f"push -> applied        p50 {p50 * 1000:7.1f} ms   max {max(applied) * 1000:7.1f} ms")
    print(f"git push alone         p50 {reference * 1000:7.1f} ms   (a bare repository without Olympus)")
    return p50


async def _timed(clone: Path, to: Path) -> float:
    began = time.perf_counter()
    said = await asyncio.to_thread(_git, clone, "push", str(to), "HEAD:main")
    took = time.perf_counter() - began
    if "specs.git" in str(to) and "applied" not in said:
        raise SystemExit(f"not applied: {said}")
    return took


async def _thousand(scratch: Path) -> float:
    clone = scratch / "clone"
    clone.mkdir()
    _git(clone, "init", "-q", "-b", "main")
    nodes = [f"n{number}" for number in range(NODES)]
    async with zeus_here(scratch / "state", nodes=nodes) as here:
        await _pushed(clone, here, "10", "first commit")
        await _pushed(clone, here, "10", "same again")
        changed = await _pushed(clone, here, "20", "all changed")
        placed = 0
        for node in nodes:
            entry = await here.kv.get(keys.desired(node))
            if entry is not None:
                placed += len((await unsealed(here.kv, entry.value)).instances)
        if placed != SERVICES:
            raise SystemExit(f"{placed} of {SERVICES} instances were written")
    return changed


async def _pushed(clone: Path, here: ZeusHere, argument: str, what: str) -> float:
    for number in range(SERVICES):
        (clone / f"s{number}.yaml").write_text(_service(number, argument))
    _git(clone, "add", "-A")
    _git(clone, "commit", "-q", "--allow-empty", "-m", "many")
    began = time.perf_counter()
    said = await asyncio.to_thread(_git, clone, "push", str(here.repository.path), "HEAD:main")
    pushed = time.perf_counter() - began
    root = await here.catalogs.root()
    if root is None or "applied" not in said:
        raise SystemExit(f"not applied: {said}")
    began = time.perf_counter()
    await here.zeus.sync()
    again = time.perf_counter() - began
    print(
        f"{SERVICES} services, {NODES} nodes: {what:13} push -> applied {pushed:5.2f} s, "
        f"planned and written anew {again:5.2f} s"
    )
    return pushed


if __name__ == "__main__":
    main()
