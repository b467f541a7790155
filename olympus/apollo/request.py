"""What handlers get and give: the caller, the parameters of the path, the query, the body."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from quart import Response

from olympus.apollo.access import Caller
from olympus.apollo.problems import Problem
from olympus.apollo.sessions import Session

MAX_BODY: Final = 2 * 1024 * 1024
MAX_LIMIT: Final = 1000
_DEFAULT_LIMIT: Final = 100


@dataclass(frozen=True, slots=True)
class Request:
    """`caller` is None on open routes. header names are in lower case.

    from_peer: another Olympus asks, and must get nothing but what lies here
    """

    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    caller: Caller | None = None
    session: Session | None = None
    address: str = ""
    stream: AsyncIterator[bytes] | None = None
    queries: Mapping[str, list[str]] = field(default_factory=dict)
    from_peer: bool = False

    @property
    def by(self) -> Caller:
        if self.caller is None:
            raise Problem(401, "a token is needed: Authorization: Bearer …")
        return self.caller

    def json(self, *, optional: bool = False) -> dict[str, Any]:
        """The body, an object. Raises Problem 400."""
        if not self.body and optional:
            return {}
        try:
            found = orjson.loads(self.body)
        except ValueError as error:
            raise Problem(400, f"the body is no JSON: {error}") from error
        if not isinstance(found, dict):
            raise Problem(400, "the body has to be a JSON object")
        return found

    @property
    def limit(self) -> int:
        """Raises Problem 400 where it is no number from 1 to 1,000."""
        text = self.query.get("limit", str(_DEFAULT_LIMIT))
        if not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= MAX_LIMIT:
            raise Problem(400, f"limit={text!r}: write a number from 1 to {MAX_LIMIT}")
        return int(text)

    @property
    def cursor(self) -> str | None:
        return self.query.get("cursor") or None

    def flag(self, name: str) -> bool:
        """`?follow`, `?follow=true`, `?follow=1`."""
        return name in self.query and self.query[name].lower() not in ("false", "0", "no")


def json_answer(body: Any, status: int = 200, **headers: str) -> Response:
    """`application/json`."""
    response = Response(orjson.dumps(body), status, mimetype="application/json")
    for name, value in headers.items():
        response.headers[name.replace("_", "-")] = value
    return response


def listed(items: list[Any], after: str | None = None) -> Response:
    """A page of a list."""
    return json_answer({"items": items, "next": after})


def paged(items: list[Any], request: Request) -> Response:
    """A page of a list that is here as a whole; the cursor is a place in it."""
    text = request.cursor or "0"
    if not text.isdigit():
        raise Problem(400, f"cursor {text!r} is not one that was handed out")
    start, limit = int(text), request.limit
    more = str(start + limit) if start + limit < len(items) else None
    return listed(items[start : start + limit], more)
