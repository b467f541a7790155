"""What Hephaestus asks: that notes be written, where the notes are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from olympus.apollo.access import Caller
from olympus.apollo.notes.model import Why
from olympus.apollo.notes.paths import note_path
from olympus.apollo.notes.service import Knowledge
from olympus.apollo.notes.telling import APPENDED, CAUSE, DEPTH
from olympus.apollo.peers import Call, Peers
from olympus.hephaestus.model import WriteNote
from olympus.kernel.errors import Invalid, RetryLater


class NotesAnswered:
    """By this host's notes, or by the node that has them. home: its name; notes: None where it is another."""

    def __init__(self, peers: Callable[[], Peers]) -> None:
        self._peers = peers
        self.home: str | None = None
        self.notes: Knowledge | None = None

    async def write(self, order: WriteNote) -> str:
        path = note_path(order.path)
        if self.notes is not None:
            why = Why(f"pipeline {order.pipeline}", trailers=_led_to(order.cause, order.depth))
            mark = (APPENDED, f"pipeline {order.pipeline} {order.mark}")
            note = await self.notes.change(
                lambda notes: notes.append(path, order.text, mark, why, whole=order.whole)
            )
            return note.revision
        if self.home is None:
            raise RetryLater("it is not known yet which node has the notes", after=1)
        return await self._elsewhere(self.home, path, order)

    async def _elsewhere(self, home: str, path: str, order: WriteNote) -> str:
        body = {"text": order.text, "whole": order.whole, "cause": order.cause, "depth": order.depth}
        headers = {"Idempotency-Key": order.mark, "Content-Type": "application/json"}
        call = Call("POST", f"/api/v1/notes/{path}/append", {}, orjson.dumps(body), headers)
        caller = Caller(token="", name=f"pipeline {order.pipeline}", own="operator")
        answer = await self._peers().pass_on(home, call, caller)
        said: dict[str, Any] = orjson.loads(answer.body)
        if answer.status == 200:
            return str(said["revision"])
        if answer.status in (400, 403, 404, 422):
            raise Invalid(str(said["detail"]))
        raise RetryLater(f"node '{home}' says: {said.get('detail')}")


def _led_to(cause: str | None, depth: int) -> tuple[tuple[str, str], ...]:
    return ((CAUSE, cause), (DEPTH, str(depth))) if cause is not None else ()
