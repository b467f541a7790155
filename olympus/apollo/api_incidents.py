"""Incidents: read, acknowledged, commented on. What people say of them is told; Athena writes it down."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing, suppress
from typing import Any, Final

from quart import Response

from olympus.apollo.access import Role
from olympus.apollo.ports import Surroundings
from olympus.apollo.problems import Problem
from olympus.apollo.request import Request, json_answer, listed
from olympus.apollo.sight import sight_of
from olympus.hermes import keys
from olympus.kernel.errors import NotFound
from olympus.kernel.events import Event
from olympus.kernel.ids import new_id
from olympus.records.incident import HIDDEN, Incident
from olympus.spec.event_data import INCIDENT_ACKNOWLEDGED, INCIDENT_COMMENTED

_PUBLIC: Final = (
    "id",
    "rule",
    "key",
    "state",
    "node",
    "openedAt",
    "changedAt",
    "closedAt",
    "events",
    "joined",
    "answers",
    "unanswered",
    "decisions",
    "acked",
    "comments",
    "revision",
)
_PUBLIC_ATTEMPT: Final = ("pipeline", "run", "verified", "state", "message", "params", "startedAt", "endedAt")
_MAX_TEXT: Final = 4000
_WRITTEN_DOWN: Final = 5.0


def shown(incident: Incident) -> dict[str, Any]:
    """As the contract has it; `trigger` is the event that opened it."""
    raw = incident.to_json()
    attempts = [{name: one[name] for name in _PUBLIC_ATTEMPT} for one in raw["attempts"]]
    return {name: raw[name] for name in _PUBLIC} | {"attempts": attempts, "trigger": raw["event"]}


class Incidents:
    def __init__(self, around: Surroundings) -> None:
        self._around = around

    async def listed(self, request: Request) -> Response:
        """Newest first; `state`, `rule`."""
        found = await self._around.kv.keys(keys.INCIDENTS)
        ids = sorted((key.removeprefix(keys.INCIDENTS) for key in found), reverse=True)
        if request.cursor:
            ids = [one for one in ids if one < request.cursor]
        items: list[dict[str, Any]] = []
        sight = await sight_of(self._around.catalogs, request.by)
        for one in ids:
            if len(items) == request.limit:
                return listed(items, items[-1]["id"])
            incident = await self._read(one)
            if incident is not None and _wanted(incident, request) and sight.sees("Rule", incident.rule):
                items.append(shown(incident))
        return listed(items)

    async def one(self, request: Request) -> Response:
        return json_answer(shown(await self._incident(request, "viewer")))

    async def ack(self, request: Request) -> Response:
        """Somebody cares for it."""
        incident = await self._incident(request, "operator")
        said = await self._say(
            request, incident, INCIDENT_ACKNOWLEDGED, {}, lambda found: found.acked is not None
        )
        return json_answer(shown(said), 202)

    async def comment(self, request: Request) -> Response:
        """`{"text": …}`."""
        text = request.json().get("text")
        if not isinstance(text, str) or not 1 <= len(text) <= _MAX_TEXT:
            raise Problem(422, f'the body is {{"text": …}}, of 1 to {_MAX_TEXT} characters')
        incident = await self._incident(request, "operator")

        def there(found: Incident) -> bool:
            return found.comments[-1:] != incident.comments[-1:]

        said = await self._say(request, incident, INCIDENT_COMMENTED, {"text": text}, there)
        return json_answer(shown(said), 202)

    async def _say(
        self,
        request: Request,
        incident: Incident,
        type_: str,
        more: dict[str, Any],
        there: Callable[[Incident], bool],
    ) -> Incident:
        """Told, and waited for a while until Athena wrote it down: then who asks sees what he said."""
        data = {"incident": incident.id, "rule": incident.rule, "by": request.by.name, **more}
        now = self._around.clock.now()
        event = Event(new_id(), type_, "olympus/apollo", now, data, incident.id, cause=incident.event["id"])
        await self._around.bus.publish([event])
        found = incident
        with suppress(TimeoutError):
            async with (
                asyncio.timeout(_WRITTEN_DOWN),
                aclosing(self._around.kv.watch(keys.incident(incident.id))) as snapshots,
            ):
                async for snapshot in snapshots:
                    for entry in snapshot.entries:
                        found = Incident.from_bytes(entry.value)
                    if there(found):
                        break
        return found

    async def _incident(self, request: Request, role: Role) -> Incident:
        found = await self._read(request.params["id"])
        if found is None or found.state in HIDDEN:
            raise NotFound(f"there is no incident {request.params['id']}")
        sight = await sight_of(self._around.catalogs, request.by)
        sight.demand(role, "Rule", found.rule, f"incident {found.id}")
        return found

    async def _read(self, incident_id: str) -> Incident | None:
        entry = await self._around.kv.get(keys.incident(incident_id))
        return Incident.from_bytes(entry.value) if entry is not None else None


def _wanted(incident: Incident, request: Request) -> bool:
    if incident.state in HIDDEN:
        return False
    wanted = {"state": incident.state, "rule": incident.rule}
    return all(request.query.get(name, value) == value for name, value in wanted.items())
