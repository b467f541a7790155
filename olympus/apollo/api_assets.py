"""Assets: what became of their fields, and who made it so."""

from __future__ import annotations

from typing import Any

from quart import Response

from olympus.apollo.inventory.changes import field_changes, verb_of
from olympus.apollo.ports import Surroundings
from olympus.apollo.request import Request, paged
from olympus.apollo.sight import sight_of
from olympus.kernel.clock import rfc3339
from olympus.kernel.errors import NotFound
from olympus.records.version import Version


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


def _entry(version: Version) -> dict[str, Any]:
    return {
        "revision": version.revision,
        "at": rfc3339(version.at),
        "actor": version.author,
        "message": version.subject,
        "verb": verb_of(version.before, version.after),
        "changes": [one.to_json() for one in field_changes(version.before, version.after)],
    }
