"""One search over notes, what is declared, incidents and runs; of what the reader may see."""

from __future__ import annotations

import re
from typing import Any, Final

from quart import Response

from olympus.apollo.notes.index_sqlite import NOTE
from olympus.apollo.notes.texts_sqlite import Found, words_of
from olympus.apollo.ports import Surroundings
from olympus.apollo.problems import Problem
from olympus.apollo.request import Request, json_answer
from olympus.apollo.sight import Sight, sight_of
from olympus.hermes import keys
from olympus.kernel.errors import RetryLater
from olympus.records.incident import HIDDEN, Incident
from olympus.records.run import Run

_MAX_ASKED: Final = 200
_ID: Final = re.compile(r"[0-9a-z]{6,26}")
_MOST: Final = 20


class Search:
    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._known: tuple[object, ...] | None = None

    async def found(self, request: Request) -> Response:
        """`q`; the best first, at most `limit`."""
        asked = request.query.get("q", "").strip()
        if not asked or len(asked) > _MAX_ASKED:
            raise Problem(400, f"q=WORDS is needed, of at most {_MAX_ASKED} characters")
        limit = request.limit
        sight = await sight_of(self._around.catalogs, request.by)
        items = [*await self._run(asked, sight), *await self._incidents(asked, sight)]
        items += await self._texts(asked, sight, limit)
        return json_answer({"items": [_shown(one) for one in items[:limit]], "next": None})

    async def _texts(self, asked: str, sight: Sight, limit: int) -> list[Found]:
        notes = self._around.notes
        if notes is None:
            raise RetryLater(f"the notes are on node '{self._around.notes_home}'")
        root = await self._around.catalogs.root()
        if root is not None and root.identity() != self._known:
            catalog = await self._around.catalogs.load(root)
            await notes.ask(lambda stored: stored.take_specs(catalog))
            self._known = root.identity()

        def sees(one: Found) -> bool:
            if one.kind == NOTE:
                return sight.caller.may_note("viewer", one.name)
            return sight.everything or sight.sees(one.kind, one.name)

        return await notes.ask(lambda stored: stored.search(asked, sees, limit=limit))

    async def _run(self, asked: str, sight: Sight) -> list[Found]:
        """A run by its id, or how that begins."""
        word = asked.lower()
        if not _ID.fullmatch(word):
            return []
        found = []
        for key in (await self._around.kv.keys(keys.run(word)))[:_MOST]:
            entry = await self._around.kv.get(key)
            run = Run.from_bytes(entry.value) if entry is not None else None
            if run is not None and sight.sees("Pipeline", run.pipeline):
                found.append(Found("run", run.id, f"{run.pipeline}: {run.state}", run.message))
        return found

    async def _incidents(self, asked: str, sight: Sight) -> list[Found]:
        """Those that are not closed, newest first: by rule, key, node or id."""
        words = list(words_of(asked))
        found: list[Found] = []
        for key in sorted(await self._around.kv.keys(keys.LIVE_INCIDENTS), reverse=True):
            entry = await self._around.kv.get(keys.incident(key.removeprefix(keys.LIVE_INCIDENTS)))
            one = Incident.from_bytes(entry.value) if entry is not None else None
            if one is None or one.state in HIDDEN or not sight.sees("Rule", one.rule):
                continue
            said = list(words_of(f"{one.id} {one.rule} {one.key} {one.node or ''}"))
            if all(any(have.startswith(word) for have in said) for word in words):
                found.append(Found("incident", one.id, f"{one.rule}: {one.key}", one.state))
            if len(found) == _MOST:
                break
        return found


def _shown(one: Found) -> dict[str, Any]:
    return {"kind": one.kind, "name": one.name, "title": one.title, "snippet": one.snippet}
