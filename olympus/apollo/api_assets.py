"""Assets: what became of their fields, who made it so, and what they have to do with others."""

from __future__ import annotations

from typing import Any, Final

from quart import Response

from olympus.apollo.access import Caller
from olympus.apollo.inventory.changes import field_changes, verb_of
from olympus.apollo.inventory.relations import around, edges, graph
from olympus.apollo.notes.notes import Notes
from olympus.apollo.ports import Surroundings
from olympus.apollo.problems import Problem
from olympus.apollo.request import Request, json_answer, paged
from olympus.apollo.sight import Sight, sight_of
from olympus.hermes import keys
from olympus.kernel.clock import rfc3339
from olympus.kernel.errors import NotFound
from olympus.records.incident import HIDDEN, Incident
from olympus.records.inventory import asset_of
from olympus.records.version import Version
from olympus.spec.catalog import Catalog

_DEPTHS: Final = ("1", "2", "3", "4", "5")
_LOOKED_AT: Final = 1000
_SHOWN: Final = 50


class Assets:
    def __init__(self, around: Surroundings) -> None:
        self._around = around

    async def history(self, request: Request) -> Response:
        """Newest first: each commit that changed it; `field`: that changed this field, or what is below it."""
        name, field = request.params["name"], request.query.get("field")
        sight = await sight_of(self._around.catalogs, request.by)
        sight.demand("viewer", "Asset", name, f"Asset '{name}'")
        found = await self._around.zeus.versions("Asset", name)
        if not found:
            raise NotFound(f"there is no Asset '{name}', and none was")
        entries = [_entry(one) for one in found]
        if field:
            for entry in entries:
                entry["changes"] = [
                    one for one in entry["changes"] if f"{one['field']}.".startswith(f"{field}.")
                ]
        return paged([one for one in entries if one["changes"]], request)

    async def relations(self, request: Request) -> Response:
        """`items` are the relations up to `depth` (1 to 5) away, in both directions; `nodes` their ends.

        incidents: on it or about it; notes: `assets/NAME`, and those that link there; null: they are elsewhere.
        """
        name, text = request.params["name"], request.query.get("depth", "1")
        if text not in _DEPTHS:
            raise Problem(400, f"depth={text!r}: write a number from 1 to {_DEPTHS[-1]}")
        sight = await sight_of(self._around.catalogs, request.by)
        root = await self._around.catalogs.root()
        catalog = await self._around.catalogs.load(root) if root else None
        if catalog is None or catalog.get("Asset", name) is None or not sight.sees("Asset", name):
            raise NotFound(f"there is no Asset '{name}'")
        found = around(edges(catalog), ("Asset", name), int(text), lambda ref: not ref[0] or sight.sees(*ref))
        return json_answer(
            {
                "items": [one.to_json() for one in found],
                "next": None,
                "nodes": graph(catalog, ("Asset", name), found),
                "incidents": await self._incidents(catalog, name, sight),
                "notes": await self._notes(name, request.by),
            }
        )

    async def _incidents(self, catalog: Catalog, name: str, sight: Sight) -> list[dict[str, Any]]:
        """The last ones, newest first."""
        ids = sorted(await self._around.kv.keys(keys.INCIDENTS), reverse=True)[:_LOOKED_AT]
        found: list[dict[str, Any]] = []
        for key in ids:
            entry = await self._around.kv.get(key)
            one = Incident.from_bytes(entry.value) if entry is not None else None
            if one is None or one.state in HIDDEN or not sight.sees("Rule", one.rule):
                continue
            about = [asset_of(catalog, what) for what in (one.key, one.node) if what]
            if any(asset is not None and asset.name == name for asset in about):
                raw = one.to_json()
                found.append({field: raw[field] for field in ("id", "rule", "key", "state", "openedAt")})
            if len(found) == _SHOWN:
                break
        return found

    async def _notes(self, name: str, caller: Caller) -> list[dict[str, Any]] | None:
        if self._around.notes is None:
            return None
        paths = await self._around.notes.ask(lambda notes: _about(notes, f"assets/{name}"))
        return [{"path": path} for path in paths if caller.may_note("viewer", path)]


def _about(notes: Notes, path: str) -> list[str]:
    try:
        own = [notes.get(path).path]
    except NotFound:
        return []
    return own + notes.links(path)[1]


def _entry(version: Version) -> dict[str, Any]:
    return {
        "revision": version.revision,
        "at": rfc3339(version.at),
        "actor": version.author,
        "message": version.subject,
        "verb": verb_of(version.before, version.after),
        "changes": [one.to_json() for one in field_changes(version.before, version.after)],
    }
