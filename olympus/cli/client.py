"""Talks to an Olympus over HTTP; the standard library is enough, and starts quickly."""

from __future__ import annotations

import argparse
import http.client
import json
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from olympus import config
from olympus.kernel.diagnostics import Diagnostic
from olympus.kernel.errors import Invalid, NotFound, OlympusError, Refused, RetryLater

_SECONDS = 60.0


class Unreachable(RetryLater):
    """No Olympus answers there."""


class Client:
    """Raises Unreachable, Refused (401, 403), NotFound, Invalid (400, 422), OlympusError (the rest)."""

    def __init__(self, settings: config.ClientSettings) -> None:
        self._settings = settings
        self._parts = urlsplit(settings.server)
        if self._parts.scheme not in ("http", "https") or not self._parts.hostname:
            raise Invalid(f"{settings.server!r} is no server: write http://127.0.0.1:4280")

    @classmethod
    def of(cls, args: argparse.Namespace) -> Client:
        """The server that `--server`, the environment or the state directory names."""
        return cls(config.client_settings(args))

    def get(self, *path: str, **query: Any) -> Any:
        return self._json("GET", path, query, None)

    def post(self, *path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Any:
        return self._json("POST", path, {}, body, headers)

    def delete(self, *path: str) -> None:
        self._json("DELETE", path, {}, None)

    def all(self, *path: str, **query: Any) -> list[Any]:
        """Every page of a list."""
        items: list[Any] = []
        cursor: str | None = None
        while True:
            page = self.get(*path, **query, limit=1000, cursor=cursor)
            items += page["items"]
            cursor = page["next"]
            if cursor is None:
                return items

    def lines(self, *path: str, **query: Any) -> Iterator[bytes]:
        """The lines of an answer as they come; it may last for ever."""
        with self._ask("GET", path, query, None, None, seconds=None) as response:
            while line := response.readline():
                yield line

    def _json(
        self,
        method: str,
        path: tuple[str, ...],
        query: Mapping[str, Any],
        body: Any,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        with self._ask(method, path, query, body, headers, seconds=_SECONDS) as response:
            raw = response.read()
        return json.loads(raw) if raw else None

    @contextmanager
    def _ask(  # noqa: PLR0913, PLR0917 - what a request is made of
        self,
        method: str,
        path: tuple[str, ...],
        query: Mapping[str, Any],
        body: Any,
        headers: Mapping[str, str] | None,
        seconds: float | None,
    ) -> Iterator[http.client.HTTPResponse]:
        given = {"Accept": "application/json", **(headers or {})}
        if self._settings.token:
            given["Authorization"] = f"Bearer {self._settings.token}"
        raw = None if body is None else json.dumps(body).encode()
        if raw is not None:
            given["Content-Type"] = "application/json"
        chosen = {name: _text(value) for name, value in query.items() if value is not None}
        target = "/api/v1/" + "/".join(quote(part, safe="") for part in path)
        if chosen:
            target += "?" + urlencode(chosen)
        connection = self._connect(seconds)
        try:
            connection.request(method, target, raw, given)
            response = connection.getresponse()
            if response.status >= 400:
                raise _error(response, self._settings.server)
            yield response
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(
                f"{self._settings.server} does not answer: {error}. Is `olympus up` running there?"
            ) from error
        finally:
            connection.close()

    def _connect(self, seconds: float | None) -> http.client.HTTPConnection:
        host, port = self._parts.hostname or "", self._parts.port
        if self._parts.scheme == "http":
            return http.client.HTTPConnection(host, port or 80, timeout=seconds)
        ca = str(self._settings.ca) if self._settings.ca else None
        context = ssl.create_default_context(cafile=ca)
        return http.client.HTTPSConnection(host, port or 443, timeout=seconds, context=context)


def _text(value: Any) -> str:
    return "true" if value is True else "false" if value is False else str(value)


def _error(response: http.client.HTTPResponse, server: str) -> OlympusError:
    raw = response.read()
    try:
        problem = json.loads(raw)
        detail = str(problem["detail"])
    except (ValueError, KeyError, TypeError):
        problem, detail = {}, raw[:200].decode(errors="replace") or response.reason
    match response.status:
        case 401:
            return Refused(f"{server}: {detail} (the token is taken from OLYMPUS_TOKEN or client.json)")
        case 403:
            return Refused(detail)
        case 404:
            return NotFound(detail)
        case 400 | 422:
            errors = [
                Diagnostic(e["file"], e["line"], e["column"], e["message"]) for e in problem.get("errors", ())
            ]
            return Invalid(detail, errors)
        case 503:
            return RetryLater(detail)
    return OlympusError(detail)
