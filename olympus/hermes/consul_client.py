"""python-consul2's client on a transport of ours. The only home of `consul`.

Its own transports cost 0.7 ms a call, drop client certificates, and let CONSUL_HTTP_* override what was said
explicitly: here address, token, TLS and time-outs are what they were set to, and calls share one pool.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import consul.base

from olympus.host.http_aiohttp import open_session, session_errors
from olympus.kernel.errors import HermesUnreachable, OlympusError, Refused

CALL_SECONDS: Final = 10.0
WAIT_SECONDS: Final = 55.0

# An agent takes 200 connections of one address. Blocking queries have a pool of their own: more of them than
# that take turns, and never keep a call waiting.
CALLS: Final = 32
WAITS: Final = 160

Params: TypeAlias = Sequence[tuple[str, Any]] | Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class ConsulAddress:
    """Of the local agent. token: None sends none. certificate, key: of this client, where the agent asks."""

    host: str
    port: int
    tls: bool = False
    token: str | None = None
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


@dataclass(frozen=True, slots=True)
class ConsulAnswer:
    """What the library's callbacks take; header names as Consul writes them."""

    code: int
    headers: Mapping[str, str]
    body: str
    raw: bytes


class _Transport(consul.base.HTTPClient):  # type: ignore[misc]
    """Calls return awaitables of what the callback makes of the answer."""

    def __init__(self, session: Any, waiting: Any, base_uri: str) -> None:
        super().__init__()
        self.base_uri = base_uri
        self._session = session
        self._waiting = waiting

    async def _call(  # noqa: PLR0913, PLR0917 - the library's words
        self,
        method: str,
        callback: Callable[[ConsulAnswer], Any],
        path: str,
        params: Params,
        data: str | bytes | None,
        headers: Mapping[str, str] | None,
        seconds: float = CALL_SECONDS,
    ) -> Any:
        # To a near agent, packing costs more than it saves.
        sent = {"Accept-Encoding": "identity", **(headers or {})}
        session = self._session if seconds == CALL_SECONDS else self._waiting
        try:
            async with (
                asyncio.timeout(seconds),
                session.request(method, self.uri(path, params), data=data, headers=sent) as response,
            ):
                raw = await response.read()
        except session_errors() as error:
            raise HermesUnreachable(
                f"Consul at {self.base_uri} does not answer: {error or 'no time left'}"
            ) from error
        if response.status == 403:
            said = raw[:300].decode(errors="replace").strip() or "the token lacks the right to it"
            raise Refused(f"Consul refuses {method} {path}: {said}")
        if response.status >= 500 or response.status == 429:
            raise HermesUnreachable(
                f"Consul at {self.base_uri}: {response.status} {raw[:200].decode(errors='replace')}"
            )
        return callback(ConsulAnswer(response.status, response.headers, raw.decode(errors="replace"), raw))

    def get(
        self, callback: Any, path: str, params: Params = None, headers: Mapping[str, str] | None = None
    ) -> Any:
        # A blocking query is answered after its wait, and up to a sixteenth of it later.
        waits = any(
            key == "wait" for key, _ in (params.items() if isinstance(params, Mapping) else params or ())
        )
        seconds = WAIT_SECONDS * (1 + 1 / 16) + CALL_SECONDS if waits else CALL_SECONDS
        return self._call("GET", callback, path, params, None, headers, seconds)

    def put(
        self,
        callback: Any,
        path: str,
        params: Params = None,
        data: str | bytes = "",
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        return self._call("PUT", callback, path, params, data, headers)

    def delete(
        self,
        callback: Any,
        path: str,
        params: Params = None,
        data: str | bytes = "",
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        return self._call("DELETE", callback, path, params, data, headers)

    def post(
        self,
        callback: Any,
        path: str,
        params: Params = None,
        data: str | bytes = "",
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        return self._call("POST", callback, path, params, data, headers)


class ConsulClient(consul.base.Consul):  # type: ignore[misc]
    """Open with `ConsulClient.open` within the loop that uses it; close it there."""

    pools: tuple[Any, Any]
    session: Any
    agent: Any
    health: Any

    def http_connect(self, *_: Any, **__: Any) -> Any:
        """The library asks for a transport while it reads the environment; ours is set afterwards."""
        return None

    @classmethod
    def open(cls, address: ConsulAddress) -> ConsulClient:
        client = cls()
        scheme = "https" if address.tls else "http"
        host = f"[{address.host}]" if ":" in address.host else address.host
        tls = _tls(address) if address.tls else None
        client.pools = (open_session(tls=tls, pool=CALLS), open_session(tls=tls, pool=WAITS))
        client.http = _Transport(*client.pools, f"{scheme}://{host}:{address.port}")
        client.scheme = scheme
        client.token = address.token
        return client

    @property
    def token_headers(self) -> dict[str, str]:
        return {"X-Consul-Token": self.token} if self.token else {}

    async def close(self) -> None:
        for pool in self.pools:
            await pool.close()


def _tls(address: ConsulAddress) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=str(address.ca) if address.ca else None)
        if address.certificate is not None:
            context.load_cert_chain(address.certificate, address.key)
    except OSError as error:
        raise Refused(f"certificates for Consul cannot be used: {error}") from error
    return context


def as_error(error: Exception) -> OlympusError:
    """What the library's callbacks raise, as ours."""
    return HermesUnreachable(f"Consul: {error}")


LIBRARY_ERRORS: Final = (consul.base.ConsulException,)
