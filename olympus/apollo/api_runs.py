"""Runs: started, read, followed, steered."""

from __future__ import annotations

from typing import Any, Final

from quart import Response

from olympus.apollo.access import Role
from olympus.apollo.ports import Surroundings
from olympus.apollo.problems import Problem
from olympus.apollo.request import Request, json_answer, listed
from olympus.apollo.sight import sight_of
from olympus.hermes import keys
from olympus.kernel.errors import NotFound
from olympus.records.run import Cause, Run

_PUBLIC: Final = (
    "id",
    "pipeline",
    "revision",
    "params",
    "state",
    "cause",
    "createdAt",
    "startedAt",
    "finishedAt",
)
_PUBLIC_STEP: Final = (
    "name",
    "node",
    "attempt",
    "state",
    "exit",
    "startedAt",
    "finishedAt",
    "output",
    "message",
)


def shown(run: Run) -> dict[str, Any]:
    """As the contract has it, with why it is so."""
    raw = run.to_json()
    steps = [{name: step[name] for name in _PUBLIC_STEP} | _asks(step) for step in raw["steps"]]
    return {name: raw[name] for name in _PUBLIC} | {"message": run.message, "steps": steps}


def _asks(step: dict[str, Any]) -> dict[str, Any]:
    extra = {"artifacts": list(step["artifacts"])} if step["artifacts"] else {}
    return extra | ({"role": step["role"]} if step["state"] == "waiting" and step["role"] else {})


class RunHandlers:
    def __init__(self, around: Surroundings) -> None:
        self._around = around

    async def start(self, request: Request) -> Response:
        body = request.json(optional=True)
        unknown = set(body) - {"params"}
        if unknown:
            raise Problem(422, f'unknown field {sorted(unknown)[0]!r}: the body is {{"params": {{…}}}}')
        params = body.get("params") or {}
        if not isinstance(params, dict):
            raise Problem(422, "params has to be an object")
        key = request.headers.get("idempotency-key")
        if key is not None and not 1 <= len(key) <= 255:
            raise Problem(400, "Idempotency-Key has to have 1 to 255 characters")
        pipeline, cause = request.params["name"], Cause(kind="user", name=request.by.name)
        sight = await sight_of(self._around.catalogs, request.by)
        sight.demand("operator", "Pipeline", pipeline, f"pipeline '{pipeline}'")
        scoped = f"{request.by.token}/{key}" if key is not None else None
        started = await self._around.runs.start(pipeline, params, cause, idempotency_key=scoped)
        return json_answer({"id": started.id}, 202, Location=f"/api/v1/runs/{started.id}")

    async def listed(self, request: Request) -> Response:
        """Newest first; `pipeline`, `state`."""
        limit = request.limit
        ids = sorted(
            (key.removeprefix(keys.RUNS) for key in await self._around.kv.keys(keys.RUNS)), reverse=True
        )
        if request.cursor:
            ids = [one for one in ids if one < request.cursor]
        items: list[dict[str, Any]] = []
        sight = await sight_of(self._around.catalogs, request.by)
        for one in ids:
            if len(items) == limit:
                return listed(items, items[-1]["id"])
            run = await self._read(one)
            if run is not None and self._wanted(run, request) and sight.sees("Pipeline", run.pipeline):
                items.append(shown(run))
        return listed(items)

    def _wanted(self, run: Run, request: Request) -> bool:
        wanted = {"pipeline": run.pipeline, "state": run.state}
        return all(request.query.get(name, value) == value for name, value in wanted.items())

    async def one(self, request: Request) -> Response:
        return json_answer(shown(await self._run(request, "viewer")))

    async def cancel(self, request: Request) -> Response:
        await self._run(request, "operator")
        await self._around.runs.cancel(request.params["id"], request.by.name)
        return json_answer({"id": request.params["id"]}, 202)

    async def retry(self, request: Request) -> Response:
        await self._run(request, "operator")
        await self._around.runs.retry(request.params["id"], request.by.name)
        return json_answer({"id": request.params["id"]}, 202)

    async def approve(self, request: Request) -> Response:
        """`{"step": NAME}`; `"approved": false` says no."""
        body = request.json()
        step, approved = body.get("step"), body.get("approved", True)
        if not isinstance(step, str) or not isinstance(approved, bool):
            raise Problem(422, 'the body is {"step": NAME}, or {"step": NAME, "approved": false}')
        run, sight = await self._run(request, "operator"), await sight_of(self._around.catalogs, request.by)
        role: Role = "admin" if sight.may("admin", "Pipeline", run.pipeline) else "operator"
        await self._around.runs.approve(run.id, step, role=role, by=request.by.name, approved=approved)
        return json_answer({"id": request.params["id"], "step": step}, 202)

    async def _run(self, request: Request, role: Role) -> Run:
        """The run that the path names. Raises NotFound where it can't be seen, Problem 403 without `role` on it."""
        run = await self._read(request.params["id"])
        if run is None:
            raise NotFound(f"there is no run {request.params['id']}")
        sight = await sight_of(self._around.catalogs, request.by)
        sight.demand(role, "Pipeline", run.pipeline, f"run {run.id}")
        return run

    async def _read(self, run_id: str) -> Run | None:
        entry = await self._around.kv.get(keys.run(run_id))
        return Run.from_bytes(entry.value) if entry else None
