"""Zeus with the embedded Hermes, in this process: for tests that push with real git and look at what it writes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from olympus.hermes.bus import Bus
from olympus.hermes.kv_embedded import EmbeddedKv
from olympus.hermes.lease import Lease
from olympus.hermes.registry import Member
from olympus.hermes.registry_embedded import EmbeddedRegistry
from olympus.kernel.clock import SystemClock
from olympus.records.catalog import CatalogStore
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
    source = SpecSource(kv, bus, catalogs, repository, clock, remote=remote)
    controller = Controller(kv, bus, registry, catalogs, clock)
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
