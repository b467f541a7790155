"""What the API answers to the reader of a page: the same words, and the same bounds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from quart import Response

from olympus.apollo.pages.page import Asked
from olympus.apollo.problems import Problem
from olympus.apollo.request import Request
from olympus.kernel.errors import Invalid, NotFound

Handler = Callable[[Request], Awaitable[Response]]


async def asked_here(asked: Asked, handler: Handler, path: str, query: Mapping[str, str]) -> Response | None:
    """The answer to a GET; None where there is nothing, or nothing for this reader."""
    try:
        return await handler(Request("GET", path, asked.params, query, caller=asked.reader.sight.caller))
    except (Problem, NotFound, Invalid):
        return None
