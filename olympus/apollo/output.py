"""What steps and services wrote, wherever that lies: here, or at the Olympus of another host."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from quart import Response

from olympus.apollo.ports import Surroundings
from olympus.apollo.problems import Problem
from olympus.apollo.request import Request
from olympus.apollo.sight import sight_of
from olympus.hermes import keys
from olympus.kernel.errors import NotFound, OlympusError
from olympus.records.run import Run, StoredPipeline

_PIECE: Final = 256 * 1024
_LOOK: Final = 0.1
_PATIENCE: Final = 10.0
"""Seconds after a run's end in which other hosts may still send what they have."""


class Output:
    """The handlers of both kinds of logs."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around

    async def of_run(self, request: Request) -> Response:
        """What steps wrote: `step`, `node`; `follow` until the run has ended."""
        run = await self._read(request.params["id"])
        if run is None:
            raise NotFound(f"there is no run {request.params['id']}")
        sight = await sight_of(self._around.catalogs, request.by)
        sight.demand("viewer", "Pipeline", run.pipeline, f"run {run.id}")
        step, node = request.query.get("step"), request.query.get("node")
        if step is not None and run.steps and step not in {one.name for one in run.steps}:
            raise NotFound(f"run {run.id} has no step '{step}'")
        follow = request.flag("follow")
        if node is not None and node != self._around.node:
            return await self._elsewhere(request, node)
        if node is not None or request.from_peer:
            return _text(self._here(run.id, step, follow=follow))
        return _text(self._followed(run, step) if follow else self._everywhere(run, step))

    async def of_service(self, request: Request) -> Response:
        """The last `tail` lines; `follow` for ever. Without `node`: here, else where it runs."""
        name, text = request.params["name"], request.query.get("tail", "200")
        if not text.isdigit():
            raise Problem(400, f"tail={text!r}: write a number of lines")
        sight = await sight_of(self._around.catalogs, request.by)
        sight.demand("viewer", "Service", name, f"Service '{name}'")
        node = request.query.get("node") or await self._home(name)
        if node != self._around.node:
            return await self._elsewhere(request, node)
        written = await asyncio.to_thread(self._around.logs.service, name, int(text))
        if written is None:
            raise NotFound(f"service '{name}' never ran on node '{self._around.node}'")
        return _text(self._service(name, written, follow=request.flag("follow")))

    async def _elsewhere(self, request: Request, node: str) -> Response:
        """The answer of the Olympus on `node`, passed on as it comes."""
        if request.from_peer:
            raise NotFound(f"what is on node '{node}' is not here")
        query = {name: value for name, value in request.query.items() if name != "node"}
        async with AsyncExitStack() as opening:
            asked = self._around.peers.ask(node, request.path, query | {"node": node})
            pieces = await opening.enter_async_context(asked)
            opened = opening.pop_all()

        async def body() -> AsyncIterator[bytes]:
            async with opened:
                async for piece in _to_the_end(pieces, node):
                    yield piece

        return _text(body())

    # --- runs --------------------------------------------------------------------------------------------

    async def _everywhere(self, run: Run, step: str | None) -> AsyncIterator[bytes]:
        """Node by node, in the order in which they began."""
        for node in await self._nodes(run, step):
            async for piece in self._on(node, run.id, step, follow=False):
                yield piece

    async def _followed(self, run: Run, step: str | None) -> AsyncIterator[bytes]:
        """As it is written, on all nodes at once; nodes join as steps begin on them."""
        come: asyncio.Queue[bytes] = asyncio.Queue(maxsize=16)
        reading: dict[str, asyncio.Task[None]] = {}
        given_up: float | None = None

        async def read(node: str) -> None:
            async for piece in self._on(node, run.id, step, follow=True):
                await come.put(piece)

        async with asyncio.TaskGroup() as group:
            while True:
                now = await self._read(run.id)
                for node in await self._nodes(now, step) if now is not None else ():
                    if node not in reading:
                        reading[node] = group.create_task(read(node))
                while reading and (piece := await _next(come)) is not None:
                    yield piece
                if now is not None and not now.finished:
                    if not reading:
                        await asyncio.sleep(_LOOK)
                    continue
                if come.empty() and all(task.done() for task in reading.values()):
                    return
                moment = self._around.clock.monotonic()
                given_up = given_up or moment + _PATIENCE
                if moment > given_up:
                    for node, task in reading.items():
                        if task.cancel():
                            yield _notice(f"node '{node}' sends nothing more")
                    given_up = moment + _PATIENCE

    async def _nodes(self, run: Run, step: str | None) -> list[str]:
        """Where steps that write something were begun. Our own always: a record may lag behind the files."""
        stored = await self._around.kv.get(keys.pipeline(run.spec))
        steps = StoredPipeline.from_bytes(stored.value).spec["steps"] if stored is not None else []
        writing = {one["name"] for one in steps if one.get("run") or one.get("script")}
        begun = [
            (one.started_at, one.node)
            for one in run.steps
            if one.name in writing and step in (None, one.name) and one.started_at is not None
        ]
        found = [node for _, node in sorted(begun)]
        return list(dict.fromkeys(found if self._around.node in found else [*found, self._around.node]))

    async def _on(self, node: str, run: str, step: str | None, *, follow: bool) -> AsyncIterator[bytes]:
        if node == self._around.node:
            async for piece in self._here(run, step, follow=follow):
                yield piece
            return
        query = {"node": node} | ({"step": step} if step else {}) | ({"follow": "true"} if follow else {})
        try:
            async with self._around.peers.ask(node, f"/api/v1/runs/{run}/logs", query) as pieces:
                async for piece in _to_the_end(pieces, node):
                    yield piece
        except OlympusError as error:
            yield _notice(str(error))

    async def _here(self, run_id: str, step: str | None, *, follow: bool) -> AsyncIterator[bytes]:
        read: dict[Path, int] = {}
        while True:
            run = await self._read(run_id)
            over = not follow or run is None or run.finished
            for its_step, _, _, file in self._around.logs.steps(run_id):
                if step in (None, its_step):
                    while data := await asyncio.to_thread(_part, file, read.get(file, 0)):
                        read[file] = read.get(file, 0) + len(data)
                        yield data
            if over:
                return
            await asyncio.sleep(_LOOK)

    async def _read(self, run_id: str) -> Run | None:
        entry = await self._around.kv.get(keys.run(run_id))
        return Run.from_bytes(entry.value) if entry else None

    # --- services ----------------------------------------------------------------------------------------

    async def _home(self, name: str) -> str:
        here = self._around.node
        found = [key.removeprefix(keys.INSTANCES) for key in await self._around.kv.keys(keys.INSTANCES)]
        homes = [node for node, _, service in (one.partition("/") for one in found) if service == name]
        return here if here in homes or not homes else homes[0]

    async def _service(self, name: str, first: bytes, *, follow: bool) -> AsyncIterator[bytes]:
        _, offset = self._around.logs.service_from(name, None)
        yield first
        while follow:
            data, offset = await asyncio.to_thread(self._around.logs.service_from, name, offset)
            if data:
                yield data
            else:
                await asyncio.sleep(_LOOK)


def _text(body: AsyncIterator[bytes]) -> Response:
    response = Response(body, mimetype="text/plain")
    # Quart would end it after a minute.
    response.timeout = None
    return response


def _notice(what: str) -> bytes:
    return f"[olympus: {what}]\n".encode()


async def _to_the_end(pieces: AsyncIterator[bytes], node: str) -> AsyncIterator[bytes]:
    """What comes; and that it ended too early, where it did: the status is said long since."""
    try:
        async for piece in pieces:
            yield piece
    except OlympusError as error:
        yield _notice(f"node '{node}' answers no more: {error}")


async def _next(come: asyncio.Queue[bytes]) -> bytes | None:
    """None where nothing has come for a moment."""
    try:
        async with asyncio.timeout(_LOOK):
            return await come.get()
    except TimeoutError:
        return None


def _part(file: Path, offset: int) -> bytes:
    try:
        with file.open("rb") as content:
            content.seek(offset)
            return content.read(_PIECE)
    except FileNotFoundError:
        return b""
