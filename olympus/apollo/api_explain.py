"""Why something is as it is: reads what is recorded of it, and has it put in words."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from quart import Response

from olympus.apollo.ports import Surroundings
from olympus.apollo.problems import Problem
from olympus.apollo.request import Request, json_answer
from olympus.apollo.sight import Sight, sight_of
from olympus.hermes import keys
from olympus.kernel.errors import NotFound
from olympus.kernel.events import MAX_DEPTH, Event
from olympus.records.run import Run
from olympus.records.status import shown
from olympus.records.story import Story, story_of_note, story_of_run, story_of_schedule, story_of_service
from olympus.spec.catalog import Resource
from olympus.spec.event_data import NOTE_CHANGED

_LATELY: Final = timedelta(days=7)
_LOOKED_AT: Final = 1_000
_TOLD: Final = 10
_OF_INCIDENTS: Final = ("olympus.athena.*",)
_OF_SERVICES: Final = ("olympus.zeus.service-*", "olympus.zeus.healed")
_OF_SCHEDULES: Final = (
    "olympus.chronos.fired",
    "olympus.chronos.skipped",
    "olympus.hephaestus.run-finished",
    "olympus.hephaestus.overdue",
)


class Explain:
    """`?event=ID[&rule=NAME]`, `?run=ID`, `?service=NAME`, `?schedule=NAME`, `?note=PATH`."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around

    async def explain(self, request: Request) -> Response:
        asked = {
            "run": self._run,
            "service": self._service,
            "schedule": self._schedule,
            "note": self._note,
        }
        given = [name for name in ("event", *asked) if request.query.get(name)]
        if len(given) != 1:
            raise Problem(400, "name one of event=ID, run=ID, service=NAME, schedule=NAME and note=PATH")
        [kind] = given
        sight = await sight_of(self._around.catalogs, request.by)
        if kind == "event":
            return await self._event(request.query["event"], request.query.get("rule"), sight)
        story = await asked[kind](request.query[kind], sight)
        return json_answer(story.to_json())

    async def _event(self, event_id: str, rule: str | None, sight: Sight) -> Response:
        event = await self._around.bus.find(event_id)
        if event is None or not sight.sees_event(event):
            raise NotFound(f"there is no event {event_id}, or it is not kept any more")
        if rule is not None:
            sight.demand("viewer", "Rule", rule, f"Rule '{rule}'")
        found = await self._around.hindsight.explain(event, rule)
        rules = [one for one in found if sight.sees("Rule", one["rule"])]
        return json_answer({"event": event.id, "type": event.type, "rules": rules})

    async def _run(self, run_id: str, sight: Sight) -> Story:
        entry = await self._around.kv.get(keys.run(run_id))
        if entry is None:
            raise NotFound(f"there is no run {run_id}")
        run = Run.from_bytes(entry.value)
        sight.demand("viewer", "Pipeline", run.pipeline, f"run {run_id}")
        # What began it is caused by what asked for it: the chain goes on through runs.
        chain = await self._causes(run.begun or run.cause.event)
        if run.cause.kind == "incident":
            chain += await self._lately(_OF_INCIDENTS, lambda data: data.get("incident") == run.cause.name)
        if run.begun is not None:
            chain += await self._lately(
                ("olympus.hephaestus.step-finished", "olympus.hephaestus.run-finished"),
                lambda data: data.get("run") == run.id,
            )
        chain = sorted(filter(sight.sees_event, chain), key=lambda event: event.time)
        return story_of_run(run, chain)

    async def _note(self, path: str, sight: Sight) -> Story:
        """What led to its last change, and what that led to."""
        if not sight.caller.may_note("viewer", path):
            raise NotFound(f"there is no note '{path}'")
        changes = await self._lately((NOTE_CHANGED,), lambda data: data.get("path") == path)
        if not changes:
            raise NotFound(f"note '{path}' was not changed in the last {_LATELY.days} days")
        last = changes[-1]
        chain = await self._causes(last.id)
        # What ran beside it, on the same way here, is told too.
        chain += await self._effects([one for one in chain if one.type != NOTE_CHANGED or one is chain[-1]])
        chain = sorted(filter(sight.sees_event, chain), key=lambda event: event.time)
        return story_of_note(path, last, chain)

    async def _effects(self, causes: Sequence[Event]) -> list[Event]:
        """What those events led to, by whatever way, oldest first."""
        known = {one.id for one in causes}
        found: list[Event] = []
        after: str | None = None
        for _ in range(_TOLD):
            page, after = await self._around.bus.history(
                since=min(one.time for one in causes), newest_first=False, limit=_LOOKED_AT, after=after
            )
            for event in page:
                if event.cause in known and event.id not in known:
                    known.add(event.id)
                    found.append(event)
            if after is None:
                break
        return found

    async def _causes(self, event_id: str | None) -> list[Event]:
        """An event and those before it, oldest first."""
        found: list[Event] = []
        while event_id is not None and len(found) <= MAX_DEPTH:
            event = await self._around.bus.find(event_id)
            if event is None:
                break
            found.insert(0, event)
            event_id = event.cause
        return found

    async def _lately(self, types: Sequence[str], fits: Any) -> list[Event]:
        """The last few of those events whose data fit, oldest first."""
        since = self._around.clock.now() - _LATELY
        found: list[Event] = []
        after: str | None = None
        for _ in range(_TOLD):
            page, after = await self._around.bus.history(
                types=types, since=since, limit=_LOOKED_AT, after=after
            )
            found += [event for event in page if fits(event.data)]
            if len(found) >= _TOLD or after is None:
                break
        return found[:_TOLD][::-1]

    async def _service(self, name: str, sight: Sight) -> Story:
        sight.demand("viewer", "Service", name, f"Service '{name}'")
        cluster = await self._around.zeus.cluster()
        statuses = {}
        needs = (await self._declared("Service", name)).spec.depends_on
        for one in (name, *(other for other in needs if sight.sees("Service", other))):
            statuses[one] = shown(await self._declared("Service", one), cluster)["status"]
        chain = await self._lately(_OF_SERVICES, lambda data: data.get("service") == name)
        instances = [ones[name] for _, ones in sorted(cluster.seen.items()) if name in ones]
        return story_of_service(name, statuses.pop(name), instances, statuses, chain)

    async def _schedule(self, name: str, sight: Sight) -> Story:
        sight.demand("viewer", "Schedule", name, f"Schedule '{name}'")
        declared = await self._declared("Schedule", name)
        status = shown(declared, await self._around.zeus.cluster())["status"]

        def fits(data: Any) -> bool:
            cause = data.get("cause") or {}
            return data.get("schedule") == name or (cause.get("kind"), cause.get("name")) == (
                "schedule",
                name,
            )

        chain = await self._lately(_OF_SCHEDULES, fits)
        coming = self._around.upcoming(name, 3)
        return story_of_schedule(name, status, declared.spec.to_json(), coming, chain)

    async def _declared(self, kind: str, name: str) -> Resource:
        root = await self._around.catalogs.root()
        catalog = await self._around.catalogs.load(root) if root else None
        found = catalog.get(kind, name) if catalog else None
        if found is None:
            raise NotFound(f"there is no {kind} '{name}'")
        return found
