"""Specs without a clone: files as they are to be, planned first, then a commit held to what a push is held to."""

from __future__ import annotations

import re
from typing import Any, Final

from quart import Response

from olympus.apollo.ports import Surroundings
from olympus.apollo.problems import Problem
from olympus.apollo.request import Request, json_answer
from olympus.records.proposal import Proposal

CHANGE: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["base", "files"],
    "properties": {
        "base": {"type": "string"},
        "files": {"type": "object", "additionalProperties": {"type": "string"}},
        "message": {"type": "string"},
        "commit": {"type": "boolean"},
    },
    "additionalProperties": False,
}
_PATH: Final = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9_.-]*/)*[A-Za-z0-9_][A-Za-z0-9_.-]*\.ya?ml")
_MAX_PATH: Final = 255
_MAX_MESSAGE: Final = 1000
_BODY: Final = 'the body is {"base": REVISION, "files": {PATH: TEXT}, "message": TEXT, "commit": true}'


class Specs:
    def __init__(self, around: Surroundings) -> None:
        self._zeus = around.zeus

    async def change(self, request: Request) -> Response:
        """The plan; with `commit` it is done: 409 where main is not at `base` any more."""
        body = request.json()
        base, files, commit = body.get("base"), body.get("files"), body.get("commit", False)
        message = body.get("message") or "Change specs"
        if set(body) - set(CHANGE["properties"]) or not isinstance(base, str) or not isinstance(commit, bool):
            raise Problem(422, _BODY)
        if not isinstance(message, str) or len(message) > _MAX_MESSAGE:
            raise Problem(422, f"message is a text of at most {_MAX_MESSAGE} characters")
        proposal = Proposal(base, _checked(files), request.by.name, message)
        revision = await self._zeus.propose(proposal)
        if not commit:
            plan = await self._zeus.plan(revision)
            return json_answer({"base": base, "plan": plan.to_json(), "revision": None})
        outcome = await self._zeus.accept(base, revision, by=request.by.name)
        return json_answer({"base": base, "revision": revision, "outcome": outcome.to_json()}, 201)


def _checked(files: Any) -> dict[str, str]:
    """Raises Problem 422."""
    if not isinstance(files, dict) or not files or not all(isinstance(one, str) for one in files.values()):
        raise Problem(422, _BODY)
    for path in files:
        if not _PATH.fullmatch(path) or len(path) > _MAX_PATH:
            raise Problem(
                422, f"{path!r} is no path of a spec: write FOLDER/NAME.yaml, of letters, digits, _, . and -"
            )
    return files
