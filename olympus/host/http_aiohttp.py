"""HTTP to elsewhere. The only home of aiohttp.

A guarded client resolves a name once, refuses addresses that no request of an operator's may reach (link-local,
where clouds keep their credentials, among them), connects to just the address that it looked at, and looks anew
at each redirect.

It is loaded when it is first needed: a host that asks nobody over HTTP does without its 9 MB.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import urljoin, urlsplit

from olympus.kernel.errors import OlympusError, Refused

if TYPE_CHECKING:
    import aiohttp
    from aiohttp.abc import ResolveResult

Resolve: TypeAlias = Callable[[str, int], Awaitable[list[str]]]
"""A name and a port → addresses."""

MAX_BODY: Final = 1024 * 1024
_MAX_REDIRECTS: Final = 5
_HARMLESS: Final = frozenset({"accept", "accept-language", "content-type", "user-agent"})
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_METADATA: Final = (ipaddress.ip_network("fd00:ec2::/32"), ipaddress.ip_network("100.100.100.200/32"))


class HttpFailed(OlympusError):
    """No answer: no connection, no time left, or an answer that is too large."""


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    """Which addresses may be connected to. Link-local, metadata, multicast and unspecified ones never may."""

    private: bool = True
    loopback: bool = True

    def check(self, address: str) -> None:
        """Raises Refused, with the reason."""
        ip = ipaddress.ip_address(address.partition("%")[0])
        if isinstance(ip, ipaddress.IPv6Address):
            ip = ip.ipv4_mapped or ip.sixtofour or ip
        if ip.is_link_local or any(ip in network for network in _METADATA if network.version == ip.version):
            raise Refused(f"{address} is link-local or serves metadata: no request may go there")
        if ip.is_multicast or ip.is_unspecified or (ip.is_reserved and not ip.is_loopback):
            raise Refused(f"{address} is no address of a host: no request may go there")
        if ip.is_loopback and not self.loopback:
            raise Refused(f"{address} is this host itself, which is not allowed here")
        if ip.is_private and not ip.is_loopback and not self.private:
            raise Refused(f"{address} is a private address, which is not allowed here")


@dataclass(frozen=True, slots=True)
class Response:
    """`headers` in lower case; `body` whole."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


async def resolve(host: str, port: int) -> list[str]:
    """The system's resolver; also what inet_aton takes for an address (0x7f.1, 2130706433) comes out plain."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise HttpFailed(f"{host} can't be resolved: {error.strerror or error}") from error
    return list(dict.fromkeys(str(one[4][0]) for one in found))


class _Pinned:
    """An aiohttp resolver. It answers with the addresses that were looked at for the request under way."""

    def __init__(self, policy: AddressPolicy, resolve_name: Resolve) -> None:
        self._policy = policy
        self._resolve = resolve_name

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        del family
        addresses = await self._resolve(host, port)
        for address in addresses:
            self._policy.check(address)
        return [
            {
                "hostname": host,
                "host": address,
                "port": port,
                "family": socket.AF_INET6 if ":" in address else socket.AF_INET,
                "proto": 0,
                "flags": socket.AI_NUMERICHOST,
            }
            for address in addresses
        ]

    async def close(self) -> None:
        """Nothing is held."""


class HttpClient:
    """One pooled session; of one event loop. `policy` counts for every request and every redirect."""

    def __init__(
        self,
        policy: AddressPolicy | None = None,
        *,
        tls: ssl.SSLContext | None = None,
        resolve_name: Resolve = resolve,
        pool: int = 100,
    ) -> None:
        self._policy = policy or AddressPolicy()
        self._tls = tls
        self._resolver = _Pinned(self._policy, resolve_name)
        self._pool = pool
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def request(  # noqa: PLR0913 - what a request is made of
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout: float = 10.0,
        max_body: int = MAX_BODY,
        redirects: bool = True,
    ) -> Response:
        """The answer, whatever its status. Raises HttpFailed and Refused."""
        given = dict(headers or {})
        await _loaded()
        try:
            async with asyncio.timeout(timeout):
                for _ in range(_MAX_REDIRECTS + 1):
                    answer = await self._once(method, url, given, body, max_body)
                    target = answer.headers.get("location")
                    if not redirects or answer.status not in _REDIRECTS or target is None:
                        return answer
                    after = urljoin(url, target)
                    if urlsplit(after)[:2] != urlsplit(url)[:2]:
                        # What proves who we are is for the host that it was meant for, in whatever header.
                        given = {k: v for k, v in given.items() if k.lower() in _HARMLESS}
                    if answer.status == 303 or (answer.status in (301, 302) and method == "POST"):
                        method, body = "GET", None
                    url = after
        except TimeoutError as error:
            raise HttpFailed(f"{method} {url}: no answer within {timeout:g} s") from error
        raise HttpFailed(f"{method} {url}: more than {_MAX_REDIRECTS} redirects")

    @asynccontextmanager
    async def stream(
        self, url: str, *, headers: Mapping[str, str], timeout: float
    ) -> AsyncIterator[tuple[int, AsyncIterator[bytes]]]:
        """GET: the status, and the body as it comes, which may last for ever; `timeout` is for the status.

        Raises HttpFailed and Refused, also while the body is read.
        """
        self._check_url(url)
        await _loaded()
        try:
            async with AsyncExitStack() as stack:
                async with asyncio.timeout(timeout):
                    asked = self._open().get(
                        url, headers=headers, allow_redirects=False, ssl=self._tls or True
                    )
                    response = await stack.enter_async_context(asked)
                yield response.status, _pieces(response, url)
        except TimeoutError as error:
            raise HttpFailed(f"GET {url}: no answer within {timeout:g} s") from error
        except session_errors() as error:
            raise HttpFailed(f"GET {url}: {error or type(error).__name__}") from error

    def _check_url(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Refused(f"{url!r} is no http or https URL")
        with suppress(ValueError):
            # aiohttp asks no resolver for addresses that are written out.
            self._policy.check(parts.hostname)

    async def _once(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, max_body: int
    ) -> Response:
        self._check_url(url)
        session = self._open()
        try:
            async with session.request(
                method, url, headers=headers, data=body, allow_redirects=False, ssl=self._tls or True
            ) as response:
                content = await response.content.read(max_body + 1)
                while len(content) <= max_body and not response.content.at_eof():
                    content += await response.content.read(max_body + 1 - len(content))
                if len(content) > max_body:
                    raise HttpFailed(f"{method} {url}: the answer is over {max_body} bytes")
                return Response(
                    response.status,
                    {name.lower(): value for name, value in response.headers.items()},
                    content,
                )
        except session_errors(ValueError) as error:
            raise HttpFailed(f"{method} {url}: {error or type(error).__name__}") from error

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = _session(resolver=self._resolver, limit=self._pool, use_dns_cache=False)
        return self._session


async def _pieces(response: aiohttp.ClientResponse, url: str) -> AsyncIterator[bytes]:
    try:
        async for piece in response.content.iter_any():
            yield piece
    except session_errors() as error:
        raise HttpFailed(f"GET {url}: {error or type(error).__name__}") from error


def open_session(*, tls: ssl.SSLContext | None = None, pool: int = 256) -> Any:
    """A pooled session without a guard, for Hermes's transport to its own Consul agent."""
    return _session(limit=pool, limit_per_host=0, ssl=tls or True, keepalive_timeout=60)


def session_errors(*others: type[Exception]) -> tuple[type[Exception], ...]:
    """What a session raises when there is no answer; and `others`."""
    return (_library().ClientError, TimeoutError, OSError, *others)


def _session(**connector: Any) -> aiohttp.ClientSession:
    library = _library()
    made: aiohttp.ClientSession = library.ClientSession(
        connector=library.TCPConnector(**connector),
        timeout=library.ClientTimeout(total=None),
        trust_env=False,
        cookie_jar=library.DummyCookieJar(),
    )
    return made


def _library() -> Any:
    import aiohttp  # noqa: PLC0415 - see above

    return aiohttp


async def _loaded() -> None:
    """Loading takes some tenths of a second, in which everything else goes on, and which no time-out counts."""
    if "aiohttp" not in sys.modules:
        await asyncio.to_thread(_library)
