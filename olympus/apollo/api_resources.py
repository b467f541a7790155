"""What is declared, with its status; what operators order outside git."""

from __future__ import annotations

from typing import Any, Final, get_args

from quart import Response

from olympus.apollo.api_silences import by_hand
from olympus.apollo.ports import Surroundings
from olympus.apollo.problems import Problem
from olympus.apollo.request import Request, json_answer, paged
from olympus.apollo.sight import Sight, sight_of
from olympus.hermes import keys
from olympus.hermes.kv import Cas, TransactionConflict
from olympus.kernel.clock import rfc3339
from olympus.kernel.errors import NotFound
from olympus.kernel.ids import new_id
from olympus.records.intents import ALL_RULES, Do, Intent, ordered
from olympus.records.status import shown_all
from olympus.spec.kinds import KINDS
from olympus.spec.selector import parse_selector

PLURALS: Final = {f"{kind.lower()}{'es' if kind.endswith(('s', 'ch')) else 's'}": kind for kind in KINDS}
"""As routes name them: `services`, `logwatches`."""

ORDERS: Final = {
    "Service": ("restart", "start", "stop", "suspend", "resume"),
    "Node": ("drain", "uncordon"),
    "Schedule": ("suspend", "resume"),
    "Check": ("suspend", "resume"),
    "LogWatch": ("suspend", "resume"),
    "Rule": ("suspend", "resume"),
}
"""Kind → what may be ordered of it."""
_MAX_UPCOMING: Final = 1000


class Resources:
    def __init__(self, around: Surroundings) -> None:
        self._around = around

    async def _all(self, kind: str) -> list[dict[str, Any]]:
        root = await self._around.catalogs.root()
        catalog = await self._around.catalogs.load(root) if root else None
        items = shown_all(kind, catalog, await self._around.zeus.cluster())
        return items + await by_hand(self._around) if kind == "Silence" else items

    async def _seen(self, kind: str, sight: Sight) -> list[dict[str, Any]]:
        return sight.part(kind, await self._all(kind))

    async def listed(self, request: Request) -> Response:
        kind = self._kind(request)
        items = await self._seen(kind, await self._sight(request))
        selector = request.query.get("selector")
        if selector:
            try:
                matches = parse_selector(selector).matches
            except ValueError as error:
                raise Problem(400, str(error)) from error
            items = [item for item in items if matches(item["metadata"].get("labels") or {})]
        return paged(items, request)

    async def one(self, request: Request) -> Response:
        kind = self._kind(request)
        return json_answer(await self._find(kind, request.params["name"], await self._sight(request)))

    async def _sight(self, request: Request) -> Sight:
        return await sight_of(self._around.catalogs, request.by)

    async def _find(self, kind: str, name: str, sight: Sight) -> dict[str, Any]:
        items = await self._seen(kind, sight)
        found = next((item for item in items if item["metadata"]["name"] == name), None)
        if found is None:
            raise NotFound(f"there is no {kind} '{name}'")
        return found

    async def order(self, request: Request) -> Response:
        """`{"do": "restart"}`."""
        kind, name = self._kind(request), request.params["name"]
        do = request.json().get("do")
        if do not in ORDERS.get(kind, ()) or do not in get_args(Do):
            known = ", ".join(ORDERS.get(kind, ())) or "nothing"
            raise Problem(422, f"{do!r} can't be ordered of a {kind}: there is {known}")
        sight = await self._sight(request)
        if (kind, name) != ("Rule", ALL_RULES):
            await self._find(kind, name, sight)
        sight.demand("operator", kind, name, f"{kind} '{name}'")
        key, order_id = keys.intent(kind, name), new_id()
        while True:
            entry = await self._around.kv.get(key)
            before = Intent.from_bytes(entry.value) if entry else None
            intent = ordered(before, do, order_id, self._around.clock.now(), request.by.name)
            try:
                await self._around.kv.transact([Cas(key, intent.to_bytes(), entry.version if entry else 0)])
            except TransactionConflict:
                continue
            await self._around.kv.flush()
            return json_answer({"id": order_id, "kind": kind, "name": name, "do": do}, 202)

    async def upcoming(self, request: Request) -> Response:
        name = request.params["name"]
        await self._find("Schedule", name, await self._sight(request))
        text = request.query.get("n", "10")
        if not text.isdigit() or not 1 <= int(text) <= _MAX_UPCOMING:
            raise Problem(400, f"n={text!r}: write a number from 1 to {_MAX_UPCOMING}")
        slots = self._around.upcoming(name, int(text))
        return json_answer({"items": [{"at": rfc3339(slot)} for slot in slots], "next": None})

    def _kind(self, request: Request) -> str:
        return PLURALS[request.params["kind"]]
