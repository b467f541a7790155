"""What one caller may see and do, of what is declared now."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from olympus.apollo.access import Caller, Role, narrowed
from olympus.apollo.problems import Problem
from olympus.kernel.errors import NotFound
from olympus.kernel.events import Event
from olympus.records.catalog import CatalogStore
from olympus.spec.catalog import Catalog, Ref
from olympus.spec.event_data import ASSET_CHANGED, ASSET_EXPIRED, ASSET_EXPIRING

_NAMED_BY: Final = {
    "pipeline": "Pipeline",
    "service": "Service",
    "schedule": "Schedule",
    "check": "Check",
    "watch": "LogWatch",
    "rule": "Rule",
}
"""Fields of an event's data → the kind that they name."""
_NAMED_BY_NAME: Final = {
    ASSET_CHANGED: "Asset",
    ASSET_EXPIRING: "Asset",
    ASSET_EXPIRED: "Asset",
    "olympus.apollo.webhook-received": "Webhook",
}
_NOTE: Final = "olympus.apollo.note-changed"


@dataclass(frozen=True, slots=True)
class Sight:
    """A caller beside the catalog that has the labels."""

    caller: Caller
    catalog: Catalog | None

    @property
    def everything(self) -> bool:
        return self.caller.may_all("viewer")

    def sees(self, kind: str, name: str) -> bool:
        return self.may("viewer", kind, name)

    def may(self, role: Role, kind: str, name: str) -> bool:
        """What git does not declare has no labels: only who may everything may it."""
        found = self.catalog.get(kind, name) if self.catalog is not None else None
        return self.caller.may_on(role, None if found is None else found.labels)

    def demand(self, role: Role, kind: str, name: str, what: str) -> None:
        """Raises NotFound where it can't be seen, Problem 403 where it can, but not be done."""
        if not self.sees(kind, name):
            raise NotFound(f"there is no {what}")
        if not self.may(role, kind, name):
            raise Problem(
                403,
                f"the role {role} is needed on {what}: '{self.caller.name}' is {self.caller.role} elsewhere",
            )

    def sees_event(self, event: Event) -> bool:
        """One of what it names; what others emitted: the node that it is of."""
        if self.everything:
            return True
        if event.type == _NOTE:
            return self.caller.may_note("viewer", str(event.data.get("path")))
        return any(self.sees(kind, name) for kind, name in _named(event))

    def part(self, kind: str, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Those resources of a kind that are in view."""
        if self.everything:
            return items
        return [self._shown(item) for item in items if self.sees(kind, item["metadata"]["name"])]

    def _shown(self, item: dict[str, Any]) -> dict[str, Any]:
        """Without the names, in its status, of what is not."""
        if "services" not in item["status"]:
            return item
        services = [one for one in item["status"]["services"] if self.sees("Service", one["name"])]
        return item | {"status": item["status"] | {"services": services}}


def _named(event: Event) -> Iterator[Ref]:
    if not event.type.startswith("olympus."):
        if event.node is not None:
            yield "Node", event.node
        return
    kind = _NAMED_BY_NAME.get(event.type)
    if kind is not None:
        yield kind, str(event.data.get("name"))
    named = [
        (kind, name) for field, kind in _NAMED_BY.items() if isinstance(name := event.data.get(field), str)
    ]
    yield from named
    if kind is None and not named and isinstance(node := event.data.get("node"), str):
        yield "Node", node


async def sight_of(catalogs: CatalogStore, caller: Caller) -> Sight:
    """With Access as it is declared now. Who is restricted by none costs no look at the catalog."""
    if caller.access is None:
        return Sight(caller, None)
    root = await catalogs.root()
    catalog = await catalogs.load(root) if root else None
    return Sight(caller if catalog is None else narrowed(caller, catalog), catalog)
