"""What Apollo asks of the other gods. Boot says who answers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from olympus.apollo.notes.service import Knowledge
from olympus.apollo.peers import Peers
from olympus.apollo.provider_joserfc import Provider
from olympus.hermes.bus import Bus
from olympus.hermes.kv import Kv
from olympus.kernel.clock import Clock
from olympus.kernel.events import Event
from olympus.records.catalog import CatalogStore
from olympus.records.cluster import Cluster
from olympus.records.offer import Outcome
from olympus.records.plan import Plan
from olympus.records.proposal import Proposal, Sources
from olympus.records.run import Cause
from olympus.records.version import Version


@dataclass(frozen=True, slots=True)
class StartedRun:
    """`created` is False where it had been started before under the same key."""

    id: str
    created: bool


class Runs(Protocol):
    """Starts and steers pipelines. Raises NotFound, Invalid, Refused, Conflict."""

    async def start(
        self,
        pipeline: str,
        params: Mapping[str, Any],
        cause: Cause,
        *,
        idempotency_key: str | None = None,
        event: Event | None = None,
    ) -> StartedRun: ...

    async def cancel(self, run: str, by: str) -> None: ...

    async def retry(self, run: str, by: str) -> None: ...

    async def approve(self, run: str, step: str, *, role: str, by: str, approved: bool) -> None: ...


class Planner(Protocol):
    """Zeus."""

    async def plan(self, ref: str | None = None, *, live: bool = False) -> Plan: ...

    async def sync(self, *, prune: bool = False) -> Any: ...

    async def rollback(self, ref: str, *, by: str) -> Any: ...

    async def cluster(self) -> Cluster: ...

    async def sources(self, kind: str) -> Sources: ...

    async def propose(self, proposal: Proposal) -> str: ...

    async def accept(self, base: str, revision: str, *, by: str) -> Outcome: ...

    async def versions(self, kind: str, name: str) -> Sequence[Version]: ...


class Hindsight(Protocol):
    """Athena."""

    async def explain(self, event: Event, rule: str | None) -> list[dict[str, Any]]:
        """What became of it, for each rule to which it could have mattered, or for one. Raises NotFound."""
        ...

    async def replay(self, ref: str | None, since: datetime, *, seconds: float) -> dict[str, Any]:
        """The events since then against the rules of a commit (None: of the one that is applied), as JSON.

        Raises Invalid, Refused or NotFound, as a plan does.
        """
        ...


class Secrets(Protocol):
    """Reads a secret on this node. Raises Refused."""

    def read(self, name: str, source: Mapping[str, Any]) -> str: ...


class Logs(Protocol):
    """What steps and services wrote on this node."""

    def steps(self, run: str) -> Sequence[tuple[str, str, int, Path]]:
        """(step, node, attempt, file) in the order in which they began."""
        ...

    def service(self, name: str, tail: int | None) -> bytes | None:
        """None where this node never ran it."""
        ...

    def service_from(self, name: str, offset: int | None) -> tuple[bytes, int]:
        """What came since `offset` (None: the end), and the next offset."""
        ...


@dataclass(frozen=True, slots=True)
class GitCall:
    """One request of git's smart protocol."""

    repository: str
    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    user: str
    address: str


class Git(Protocol):
    """Repositories over HTTP."""

    def pushes(self, call: GitCall) -> bool:
        """Whether it needs the right to push."""
        ...

    def serve(self, call: GitCall, body: AsyncIterator[bytes]) -> AbstractAsyncContextManager[Any]:
        """The answer: status, headers, body (an iterator). Raises NotFound, Refused."""
        ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """All that the app works with.

    unmatched: shapes `{line, count}` of a node's last lines that a LogWatch does not match: node, watch, at most
    upcoming: the next firings of a schedule, by name and number
    provider: of single sign-on, where there is one
    notes:    None where another node, `notes_home`, has them
    ready:    why this host is not ready yet; nothing: it is
    """

    kv: Kv
    bus: Bus
    clock: Clock
    node: str
    catalogs: CatalogStore
    runs: Runs
    zeus: Planner
    hindsight: Hindsight
    logs: Logs
    unmatched: Callable[[str, str, int], Awaitable[list[dict[str, Any]]]]
    peers: Peers
    git: Git
    secrets: Secrets
    notes: Knowledge | None
    notes_home: str
    upcoming: Callable[[str, int], Sequence[datetime]]
    ready: Callable[[], Sequence[str]]
    origins: frozenset[str]
    version: str
    provider: Provider | None = None
