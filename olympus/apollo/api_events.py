"""Events: history, one stream, and what people and programs emit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any, Final

import orjson
from quart import Response

from olympus.apollo.ports import Surroundings
from olympus.apollo.problems import Problem
from olympus.apollo.request import Request, json_answer, listed
from olympus.apollo.sight import Sight, sight_of
from olympus.hermes.bus import Batch
from olympus.kernel.clock import parse_rfc3339, rfc3339
from olympus.kernel.errors import NotFound, Refused
from olympus.kernel.events import Event
from olympus.kernel.ids import new_id
from olympus.spec.duration import parse_duration

_HEARTBEAT: Final = 15.0
_CATCH_UP: Final = 10_000
_PAGES: Final = 20


class Events:
    def __init__(self, around: Surroundings) -> None:
        self._around = around

    async def history(self, request: Request) -> Response:
        """Newest first, or `order=asc`; `type` (more than one, `…*`), `since`, `until`, `node`."""
        order = request.query.get("order", "desc")
        if order not in ("asc", "desc"):
            raise Problem(400, f"order={order!r}: write asc or desc")
        sight, limit = await self._sight(request), request.limit
        found: list[Event] = []
        after = request.cursor
        # What can't be seen fills no page; but nobody waits for the whole history.
        for _ in range(_PAGES):
            try:
                items, after = await self._around.bus.history(
                    types=_types(request),
                    since=self._moment(request, "since"),
                    until=self._moment(request, "until"),
                    node=request.query.get("node"),
                    newest_first=order == "desc",
                    limit=limit - len(found),
                    after=after,
                )
            except Refused as error:
                raise Problem(400, str(error)) from error
            found += filter(sight.sees_event, items)
            if after is None or len(found) >= limit:
                break
        return listed([event.to_json() for event in found], after)

    async def _sight(self, request: Request) -> Sight:
        return await sight_of(self._around.catalogs, request.by)

    async def one(self, request: Request) -> Response:
        event = await self._around.bus.find(request.params["id"])
        if event is None or not (await self._sight(request)).sees_event(event):
            raise NotFound(f"there is no event {request.params['id']}, or it is not kept any more")
        return json_answer(event.to_json())

    def _moment(self, request: Request, name: str) -> datetime | None:
        text = request.query.get(name)
        if not text:
            return None
        try:
            if text[0].isdigit() and text[-1].isalpha() and "T" not in text:
                return self._around.clock.now() - parse_duration(text)
            return parse_rfc3339(text.replace(" ", "+"))
        except (ValueError, OverflowError) as error:
            raise Problem(400, f"{name}={text!r}: write 2026-11-24T09:30:00Z, or 1h") from error

    async def emit(self, request: Request) -> Response:
        """A CloudEvent, or just `{type, data}`."""
        raw = request.json()
        type_ = raw.get("type")
        if isinstance(type_, str) and type_.startswith("olympus."):
            raise Problem(422, f"type {type_!r} is Olympus's own: choose one that does not begin so")
        now = self._around.clock.now()
        given: dict[str, Any] = {
            "specversion": "1.0",
            "id": new_id(),
            "source": f"user/{request.by.name}",
            "time": rfc3339(now),
            **{name: value for name, value in raw.items() if value is not None},
        }
        # How deep a chain is, is for Olympus to know.
        given.pop("depth", None)
        cause = given.get("cause")
        known = await self._around.bus.find(cause) if isinstance(cause, str) else None
        try:
            event = Event.from_json(given | {"depth": known.depth + 1 if known else 0})
        except ValueError as error:
            raise Problem(422, str(error)) from error
        if len(orjson.dumps(event.to_json(), default=dict)) > 256 * 1024:
            raise Problem(413, "an event may have 256 KiB")
        await self._around.bus.publish([event])
        return json_answer({"id": event.id}, 202)

    async def stream(self, request: Request) -> Response:
        """Server-sent events; goes on after `Last-Event-ID`."""
        types = _types(request)
        last = request.headers.get("last-event-id") or request.query.get("lastEventId")
        response = Response(self._sent(types, last, request), mimetype="text/event-stream")
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Accel-Buffering"] = "no"
        response.timeout = None
        return response

    async def _sent(self, types: list[str], last: str | None, request: Request) -> AsyncIterator[bytes]:
        bus = self._around.bus
        # First the place from which on everything is told, then what was before: nothing falls between.
        subscription = bus.subscribe(await bus.now())
        seen: set[str] = set()
        yield b": connected\n\n"
        sight = await self._sight(request)
        for event in await self._since(last):
            seen.add(event.id)
            if _fits(event.type, types) and sight.sees_event(event):
                yield _framed(event)
        waiting = asyncio.ensure_future(anext(subscription))
        try:
            while True:
                await asyncio.wait((waiting,), timeout=_HEARTBEAT)
                if not waiting.done():
                    yield b": still here\n\n"
                    continue
                batch: Batch = waiting.result()
                waiting = asyncio.ensure_future(anext(subscription))
                # Labels, and Access itself, may have changed since.
                sight = await self._sight(request)
                for event in batch.events:
                    if event.id not in seen and _fits(event.type, types) and sight.sees_event(event):
                        yield _framed(event)
        finally:
            waiting.cancel()

    async def _since(self, last: str | None) -> list[Event]:
        event = await self._around.bus.find(last) if last else None
        if event is None:
            return []
        found: list[Event] = []
        after: str | None = None
        since = event.time - timedelta(seconds=5)
        while len(found) < _CATCH_UP:
            page, after = await self._around.bus.history(
                since=since, newest_first=False, limit=1000, after=after
            )
            found += page
            if after is None:
                break
        ids = [one.id for one in found]
        return found[ids.index(event.id) + 1 :] if event.id in ids else found


def _types(request: Request) -> list[str]:
    return [word for text in request.queries.get("type", []) for word in text.split(",") if word]


def _fits(type_: str, types: list[str]) -> bool:
    return not types or any(
        type_.startswith(one[:-1]) if one.endswith("*") else type_ == one for one in types
    )


def _framed(event: Event) -> bytes:
    data = orjson.dumps(event.to_json(), default=dict)
    name = event.id.replace("\n", "").replace("\r", "").replace("\0", "")
    return b"id: %s\nevent: message\ndata: %s\n\n" % (name.encode(), data)
