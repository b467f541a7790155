"""Zeus with the embedded Hermes, in this process: for tests that push with real git and look at what it writes."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from olympus.answers.zeus import RulesJudged
from olympus.hermes.bus import Bus
from olympus.hermes.kv_embedded import EmbeddedKv
from olympus.hermes.lease import Lease
from olympus.hermes.registry import Member
from olympus.hermes.registry_embedded import EmbeddedRegistry
from olympus.kernel.clock import SystemClock
from olympus.records.catalog import CatalogStore
from olympus.testing.trust import seals_of
from olympus.zeus.api import Zeus
from olympus.zeus.controller import ROLE, Controller
from olympus.zeus.hooks import write_hooks
from olympus.zeus.push_socket import push_socket
from olympus.zeus.repo_git import SpecRepository
from olympus.zeus.source import Remote, SpecSource


@dataclass(frozen=True, slots=True)
class ZeusHere:
    """The parts of a running Zeus."""

    state: Path
    kv: EmbeddedKv
    bus: Bus
    registry: EmbeddedRegistry
    catalogs: CatalogStore
    repository: SpecRepository
    zeus: Zeus


def specs_repository(state: Path, *, seed: Path | None = None) -> SpecRepository:
    """`STATE/specs.git` with its hooks, as `olympus up` makes it."""
    repository = SpecRepository.open_or_create(
        state / "specs.git", seed=seed, author="olympus", now=SystemClock().now()
    )
    write_hooks(repository.path, state)
    return repository


@asynccontextmanager
async def zeus_here(
    state: Path,
    *,
    nodes: Sequence[str] = ("n1",),
    seed: Path | None = None,
    remote: Remote | None = None,
) -> AsyncIterator[ZeusHere]:
    """Controller, source and push socket run while the context is open; `nodes` are registered and alive."""
    clock = SystemClock()
    kv = EmbeddedKv.open(state / "hermes.db", clock)
    bus = Bus(kv, "n1", clock=clock)
    registry = EmbeddedRegistry()
    for name in nodes:
        await registry.register(Member(name, "127.0.0.1"))
    repository = specs_repository(state, seed=seed)
    catalogs = CatalogStore(kv)
    source = SpecSource(kv, bus, catalogs, repository, clock, remote=remote, judge=RulesJudged())
    controller = Controller(kv, bus, registry, catalogs, clock, seals=await seals_of(kv, state))
    try:
        async with asyncio.TaskGroup() as group, push_socket(state, source):
            running = [
                group.create_task(bus.run()),
                group.create_task(controller.run(Lease(kv, ROLE, "n1"))),
                group.create_task(source.run()),
            ]
            yield ZeusHere(state, kv, bus, registry, catalogs, repository, Zeus(kv, catalogs, source, clock))
            for task in running:
                task.cancel()
    finally:
        await kv.close()


class Clone:
    """An operator's clone: `push` commits exactly `files` and pushes; what git printed, and whether it went."""

    def __init__(self, path: Path, origin: Path | str) -> None:
        self.path = path
        self.origin = origin
        path.mkdir()
        self.git("init", "-q", "-b", "main")

    def git(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.org", *arguments],  # noqa: S607
            cwd=self.path,
            capture_output=True,
            text=True,
            check=check,
        )

    def commit(self, files: Mapping[str, str]) -> str:
        self.git("rm", "-rqf", "--ignore-unmatch", ".")
        for name, content in files.items():
            (self.path / name).parent.mkdir(parents=True, exist_ok=True)
            (self.path / name).write_text(content)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "specs")
        return self.git("rev-parse", "HEAD").stdout.strip()

    async def push(
        self, files: Mapping[str, str], *options: str, branch: str = "main"
    ) -> tuple[bool, str, str]:
        revision = self.commit(files)
        ok, said = await self.send(*options, f"HEAD:refs/heads/{branch}")
        if not ok:
            self.git("reset", "-q", "--soft", "HEAD~1", check=False)
        return ok, said, revision

    async def send(self, *arguments: str) -> tuple[bool, str]:
        done = await asyncio.to_thread(
            self.git, "push", *arguments[:-1], str(self.origin), *arguments[-1:], check=False
        )
        return done.returncode == 0, done.stdout + done.stderr
