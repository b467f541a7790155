"""What Apollo asks: runs, replays, what was written on this node, git over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from pathlib import Path
from typing import Any

from olympus.apollo.ports import GitCall, StartedRun
from olympus.athena.hindsight import Hindsight as Athena
from olympus.hephaestus.model import Approved
from olympus.hephaestus.starts import Asked, Starts
from olympus.kernel.errors import Invalid, NotFound
from olympus.kernel.events import Event
from olympus.records.catalog import CatalogStore
from olympus.records.run import Cause
from olympus.spec.catalog import Catalog
from olympus.zeus.smart_http import GitRequest, serve_git
from olympus.zeus.source import SpecSource
from olympus.zeus.steward.unit_process import ProcessUnit


class Runs:
    """Hephaestus, as Apollo asks it."""

    def __init__(self, starts: Starts) -> None:
        self._starts = starts

    async def start(
        self,
        pipeline: str,
        params: Mapping[str, Any],
        cause: Cause,
        *,
        idempotency_key: str | None = None,
        event: Event | None = None,
    ) -> StartedRun:
        asked = Asked(pipeline, params, cause=cause, event=event)
        started = await self._starts.start(asked, idempotency_key=idempotency_key)
        return StartedRun(started.id, started.created)

    async def cancel(self, run: str, by: str) -> None:
        await self._starts.cancel(run, by)

    async def retry(self, run: str, by: str) -> None:
        await self._starts.retry(run, by)

    async def approve(self, run: str, step: str, *, role: str, by: str, approved: bool) -> None:
        await self._starts.approve(run, Approved(step=step, by=by, role=role, yes=approved))


class Logs:
    """What is written on this node."""

    def __init__(self, state: Path) -> None:
        self._runs = state / "runs"
        self._services = ProcessUnit(state / "services")
        self._folder = state / "services"

    def steps(self, run: str) -> Sequence[tuple[str, str, int, Path]]:
        found = []
        for file in (self._runs / run).glob("*.log") if run.isalnum() else ():
            step, _, rest = file.name.removesuffix(".log").partition(".")
            node, _, attempt = rest.rpartition(".")
            found.append((file.stat().st_ctime_ns, (step, node, int(attempt), file)))
        begun = {file: _begun(file) for _, (_, _, _, file) in found}
        return [one for _, one in sorted(found, key=lambda pair: begun[pair[1][3]])]

    def service(self, name: str, tail: int | None) -> bytes | None:
        if not (self._folder / name).is_dir():
            return None
        return self._services.output(name).read(tail)

    def service_from(self, name: str, offset: int | None) -> tuple[bytes, int]:
        output = self._services.output(name)
        return (b"", output.end()) if offset is None else output.read_from(offset)


def _begun(log_file: Path) -> int:
    """When an attempt began: its record is written once or twice, before and after the start."""
    record = log_file.with_name(log_file.name.removesuffix(".log") + ".json")
    try:
        return record.stat().st_mtime_ns
    except FileNotFoundError:
        return log_file.stat().st_mtime_ns


class Repositories:
    """The repositories that are served over HTTP."""

    def __init__(self, repositories: Mapping[str, Path]) -> None:
        self._repositories = repositories

    def pushes(self, call: GitCall) -> bool:
        return self._request(call).pushes

    def serve(self, call: GitCall, body: AsyncIterator[bytes]) -> AbstractAsyncContextManager[Any]:
        if call.repository not in self._repositories:
            raise NotFound(f"there is no repository {call.repository}.git")
        return serve_git(self._repositories[call.repository], self._request(call), body)

    def _request(self, call: GitCall) -> GitRequest:
        return GitRequest(call.method, call.path, call.query, call.headers, call.user, call.address)


class Hindsight:
    """Athena, with the commits that Zeus knows."""

    def __init__(self, catalogs: CatalogStore, source: SpecSource, athena: Athena) -> None:
        self._catalogs = catalogs
        self._source = source
        self._athena = athena

    async def explain(self, event: Event, rule: str | None) -> list[dict[str, Any]]:
        root = await self._catalogs.root()
        catalog = Catalog(()) if root is None else await self._catalogs.load(root)
        return [one.to_json() for one in await self._athena.explain(catalog, event, rule)]

    async def replay(self, ref: str | None, since: datetime, *, seconds: float) -> dict[str, Any]:
        root = await self._catalogs.root()
        if root is None:
            raise Invalid("there is no commit yet whose rules anything was held against")
        live = await self._catalogs.load(root)
        if ref is None:
            after, revision = live, root.revision
        else:
            checked = await self._source.checked(ref)
            after, revision = checked.catalog_or_raise(), checked.revision
        seen = await self._athena.replay(live, after, since, seconds=seconds)
        found = {} if seen is None else seen.to_json()
        return {"from": root.revision, "to": revision, **found}
