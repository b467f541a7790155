"""Errors as problem documents (RFC 9457)."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

import orjson
from quart import Response

from olympus.kernel.errors import (
    Conflict,
    HermesUnreachable,
    Invalid,
    NotFound,
    OlympusError,
    Refused,
    RetryLater,
    Stalled,
)

_STATUS: Final[tuple[tuple[type[OlympusError], int], ...]] = (
    (HermesUnreachable, 503),
    (RetryLater, 503),
    (NotFound, 404),
    (Conflict, 409),
    (Invalid, 422),
    (Refused, 403),
    (Stalled, 409),
)


class Problem(Exception):
    """Answer with this status."""

    def __init__(self, status: int, detail: str, **more: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.more = more


def of_error(error: OlympusError) -> Problem:
    """The status that an error of the program's means."""
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
    more: dict[str, Any] = {}
    if isinstance(error, Invalid) and error.diagnostics:
        more["errors"] = [
            {"file": d.file, "line": d.line, "column": d.column, "message": d.message}
            for d in error.diagnostics
        ]
    if isinstance(error, RetryLater):
        more["retryAfter"] = error.after
    return Problem(status, str(error), **more)


def answer(problem: Problem) -> Response:
    """`application/problem+json`."""
    body = {
        "type": "about:blank",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": str(problem),
        **problem.more,
    }
    response = Response(orjson.dumps(body), problem.status, mimetype="application/problem+json")
    if problem.status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    if "retryAfter" in problem.more:
        response.headers["Retry-After"] = str(max(1, round(problem.more["retryAfter"])))
    return response
