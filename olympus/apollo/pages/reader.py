"""What pages are made of, read from the stores that the API reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from olympus.apollo.api_incidents import shown as shown_incident
from olympus.apollo.api_resources import PLURALS
from olympus.apollo.api_runs import shown as shown_run
from olympus.apollo.api_silences import by_hand
from olympus.apollo.pages.view_lists import Part, part
from olympus.apollo.ports import Surroundings
from olympus.apollo.sight import Sight
from olympus.hermes import keys
from olympus.kernel.errors import Refused
from olympus.kernel.events import Event
from olympus.kernel.ids import derived_id
from olympus.records.catalog import CatalogRoot
from olympus.records.incident import HIDDEN, Incident
from olympus.records.run import Run
from olympus.records.status import shown_all, shown_one, standing_all
from olympus.records.status.declared import specs_status
from olympus.records.story import sentence_of
from olympus.spec.catalog import Catalog

Item = dict[str, Any]
PLURAL: Final = {kind: plural for plural, kind in PLURALS.items()}
"""Kind → as routes name it."""
_EFFECTS_WITHIN: Final = timedelta(hours=1)
_LOOKED_AT: Final = 1_000
_SHARED: Final = (6, 5, 4, 0)
"""Characters of an id: within 17 minutes, 9 hours, 12 days; any."""


def _every(_record: Run | Incident) -> bool:
    return True


class Reader:
    """Reads for one page and one reader, who gets what he may see; what it asked for once it does not ask for again."""

    def __init__(self, around: Surroundings, sight: Sight) -> None:
        self.around = around
        self.sight = sight
        self._cluster: Any = None
        self._root: CatalogRoot | None = None
        self._catalog: Catalog | None = None

    @property
    def now(self) -> datetime:
        return self.around.clock.now()

    async def _declared(self) -> None:
        if self._cluster is None:
            self._root = await self.around.catalogs.root()
            self._catalog = await self.around.catalogs.load(self._root) if self._root else None
            self._cluster = await self.around.zeus.cluster()

    async def root(self) -> CatalogRoot | None:
        await self._declared()
        return self._root

    async def specs(self) -> Item:
        """How it stands with the specs themselves."""
        await self._declared()
        return specs_status(self._cluster)

    async def all(self, kind: str) -> list[Item]:
        """All of a kind with their status, by name."""
        await self._declared()
        items = shown_all(kind, self._catalog, self._cluster)
        items += await by_hand(self.around) if kind == "Silence" else []
        return self.sight.part(kind, items)

    async def standing(self, kind: str) -> list[Item]:
        """How all of a kind stand, by name: their names and conditions at least."""
        await self._declared()
        return self.sight.part(kind, standing_all(kind, self._catalog, self._cluster))

    async def one(self, kind: str, name: str) -> Item | None:
        await self._declared()
        found = shown_one(kind, name, self._catalog, self._cluster)
        seen = self.sight.part(kind, [found] if found is not None else [])
        return seen[0] if seen else None

    async def part(self, kind: str, q: str, start: int) -> Part:
        """Those that `q` means, of which only a page is looked at closely."""
        await self._declared()
        labels = {one.name: one.labels for one in (self._catalog.all(kind) if self._catalog else ())}
        if kind == "Node":
            labels |= {name: {} for name in self._cluster.hosts if name not in labels}
        everything = self.sight.everything
        brief = [
            {"metadata": {"name": name, "labels": labels[name]}}
            for name in sorted(labels)
            if everything or self.sight.sees(kind, name)
        ]
        found = part(brief, q, start)
        full = [shown_one(kind, one["metadata"]["name"], self._catalog, self._cluster) for one in found.items]
        return replace(found, items=self.sight.part(kind, [one for one in full if one is not None]))

    async def runs(self, limit: int, wanted: Callable[[Run], bool] = _every) -> list[Item]:
        """Newest first; of the last thousand."""
        ids = await self._newest(keys.RUNS, min(limit, _LOOKED_AT) if wanted is _every else _LOOKED_AT)
        found: list[Item] = []
        for key in ids:
            entry = await self.around.kv.get(key)
            run = Run.from_bytes(entry.value) if entry else None
            if run is not None and wanted(run) and self.sight.sees("Pipeline", run.pipeline):
                found.append(shown_run(run))
            if len(found) == limit:
                break
        return found

    async def _newest(self, prefix: str, enough: int) -> list[str]:
        """Keys that end with ids, newest first: `enough` of them, where there are so many.

        Ids begin with their moment, so those of late share more of it: the wider beginnings are asked for last.
        """
        moment = derived_id(int(self.now.timestamp() * 1000), "")
        for shared in _SHARED:
            found = await self.around.kv.keys(prefix + moment[:shared])
            if len(found) >= enough:
                break
        return sorted(found, reverse=True)[:_LOOKED_AT]

    async def run(self, run_id: str) -> Run | None:
        entry = await self.around.kv.get(keys.run(run_id))
        run = Run.from_bytes(entry.value) if entry else None
        return run if run is not None and self.sight.sees("Pipeline", run.pipeline) else None

    async def incidents(self, limit: int, wanted: Callable[[Incident], bool] = _every) -> list[Item]:
        """Newest first; of the last thousand."""
        ids = await self._newest(keys.INCIDENTS, _LOOKED_AT)
        found: list[Item] = []
        for key in ids:
            entry = await self.around.kv.get(key)
            incident = Incident.from_bytes(entry.value) if entry else None
            if incident is not None and self._shows(incident) and wanted(incident):
                found.append(shown_incident(incident))
            if len(found) == limit:
                break
        return found

    async def incident(self, incident_id: str) -> Item | None:
        entry = await self.around.kv.get(keys.incident(incident_id))
        incident = Incident.from_bytes(entry.value) if entry else None
        return shown_incident(incident) if incident is not None and self._shows(incident) else None

    def _shows(self, incident: Incident) -> bool:
        return incident.state not in HIDDEN and self.sight.sees("Rule", incident.rule)

    async def events(self, limit: int, types: Sequence[str] = ()) -> list[Item]:
        """Newest first, each with its sentence."""
        return (await self.history(limit, types))[0]

    async def history(
        self, limit: int, types: Sequence[str] = (), *, node: str | None = None, after: str | None = None
    ) -> tuple[list[Item], str | None]:
        """Newest first, and from where earlier ones go on. A cursor that was not handed out begins anew."""
        try:
            found, further = await self.around.bus.history(types=types, node=node, limit=limit, after=after)
        except Refused:
            return await self.history(limit, types, node=node)
        return [told(event) for event in found if self.sight.sees_event(event)], further

    async def about(self, field: str, name: str, limit: int = 20) -> list[Item]:
        """The last events whose data name it, of the last thousand."""
        found, _ = await self.around.bus.history(limit=_LOOKED_AT)
        about = [one for one in found if one.data.get(field) == name and self.sight.sees_event(one)]
        return [told(event) for event in about[:limit]]

    async def causes(self, event_id: str | None) -> list[Item]:
        """An event and those before it, oldest first."""
        found: list[Item] = []
        while event_id is not None and len(found) < 32:
            event = await self.around.bus.find(event_id)
            if event is None or not self.sight.sees_event(event):
                break
            found.insert(0, told(event))
            event_id = event.cause
        return found

    async def effects(self, event_id: str, since: datetime) -> list[Item]:
        """What it led to within the hour, oldest first; `level` says over how many others."""
        found, _ = await self.around.bus.history(
            since=since, until=since + _EFFECTS_WITHIN, newest_first=False, limit=_LOOKED_AT
        )
        level = {event_id: 0}
        shown: list[Item] = []
        for event in found:
            if event.cause in level and event.id not in level:
                level[event.id] = level[event.cause] + 1
                if not self.sight.sees_event(event):
                    continue
                shown.append(told(event) | {"level": level[event.id]})
        return shown


def told(event: Event) -> Item:
    """As JSON, with what happened in words."""
    return {"node": None, "cause": None, **event.to_json(), "says": sentence_of(event)}
