"""The notes as a rule asks for them, from whichever node has them: its API is asked, as a viewer of everything."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import orjson

from olympus.apollo.access import Caller
from olympus.apollo.notes.paths import note_path
from olympus.apollo.peers import Call, Peers
from olympus.kernel.errors import NotFound, Refused, RetryLater

_FOUND: Final = "20"
_ASKER: Final = Caller(token="", name="athena", own="viewer")


class NotesRead:
    """home: the node that has the notes; None: it is not known yet."""

    def __init__(self, peers: Callable[[], Peers]) -> None:
        self._peers = peers
        self.home: str | None = None

    async def note(self, path: str) -> dict[str, Any]:
        """`{path, title, tags, markdown, …}`, also where it was renamed. Raises NotFound, Invalid, RetryLater."""
        said = await self._get(f"/api/v1/notes/{note_path(path)}", {})
        return {name: value for name, value in said.items() if name != "html"}

    async def search(self, words: str) -> list[dict[str, Any]]:
        """`[{kind, name, title, snippet}]`, the best first."""
        found: list[dict[str, Any]] = (await self._get("/api/v1/search", {"q": words, "limit": _FOUND}))[
            "items"
        ]
        return found

    async def _get(self, path: str, query: Mapping[str, str], *, moved: bool = False) -> dict[str, Any]:
        if self.home is None:
            raise RetryLater("it is not known yet which node has the notes")
        answer = await self._peers().pass_on(self.home, Call("GET", path, query), _ASKER)
        if answer.status == 308 and not moved:
            return await self._get(unquote(urlsplit(answer.headers["location"]).path), query, moved=True)
        said: dict[str, Any] = orjson.loads(answer.body)
        if answer.status == 404:
            raise NotFound(str(said["detail"]))
        if answer.status != 200:
            raise Refused(f"node '{self.home}' says: {said.get('detail')}")
        return said
