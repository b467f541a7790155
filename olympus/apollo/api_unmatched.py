"""What a LogWatch reads and does not match, asked of the nodes that watch: samples for writing patterns."""

from __future__ import annotations

import asyncio
from typing import Any

from quart import Response

from olympus.apollo.ports import Surroundings
from olympus.apollo.request import Request, json_answer
from olympus.apollo.sight import sight_of
from olympus.hermes import keys
from olympus.kernel.errors import Invalid, NotFound, RetryLater
from olympus.records.watch import watches_of


class UnmatchedLines:
    """`{items: [{node, line, count}], next: null, unanswered: [{node, why}]}`."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around

    async def of_watch(self, request: Request) -> Response:
        """Commonest shapes first; of all nodes that watch, or of `node`."""
        name, node = request.params["name"], request.query.get("node")
        sight = await sight_of(self._around.catalogs, request.by)
        sight.demand("viewer", "LogWatch", name, f"LogWatch '{name}'")
        watching = watches_of((await self._around.kv.scan(keys.NODES)).entries)
        nodes = sorted(one for one, records in watching.items() if name in records and node in (None, one))
        if not nodes:
            raise NotFound(
                f"logwatch '{name}' is at work on {'no node' if node is None else f'no node {node}'}"
            )
        answers = await asyncio.gather(*(self._ask(one, name, request.limit) for one in nodes))
        items = [item for found, _ in answers for item in found]
        items.sort(key=lambda one: -int(one["count"]))
        unanswered = [{"node": one, "why": why} for one, (_, why) in zip(nodes, answers, strict=True) if why]
        return json_answer({"items": items[: request.limit], "next": None, "unanswered": unanswered})

    async def _ask(self, node: str, watch: str, limit: int) -> tuple[list[dict[str, Any]], str]:
        try:
            found = await self._around.unmatched(node, watch, limit)
        except (RetryLater, Invalid) as exc:
            return [], str(exc)
        return [{"node": node, **one} for one in found], ""
