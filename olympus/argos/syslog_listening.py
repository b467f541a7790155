"""What a socket for syslog messages is asked, and how it is bound."""

from __future__ import annotations

import asyncio
import errno
import socket
from dataclasses import dataclass
from typing import Final, Protocol

TURN: Final = 1000
"""Messages that are taken at once: a few milliseconds of work."""

FULL: Final = 1 << 20
"""Bytes that may wait to be taken."""

_BACKLOG: Final = 128


@dataclass(frozen=True, slots=True)
class Received:
    """messages: (address of the peer, message). dropped: datagrams that the kernel had no room for. cut: messages."""

    messages: list[tuple[str, bytes]]
    dropped: int = 0
    cut: int = 0


class Listener(Protocol):
    """One socket's."""

    async def take(self) -> Received:
        """What came, as soon as there is something."""
        ...

    def complaints(self) -> list[str]: ...

    async def close(self) -> None: ...


async def bound(address: str) -> socket.socket:
    """address: `udp://HOST:PORT`, or tcp or tls. Raises OSError."""
    scheme, _, rest = address.partition("://")
    host, _, port = rest.rpartition(":")
    kind = socket.SOCK_DGRAM if scheme == "udp" else socket.SOCK_STREAM
    found = await asyncio.get_running_loop().getaddrinfo(host.strip("[]"), int(port), type=kind)
    family, _, _, _, where = found[0]
    made = socket.socket(family, kind)
    try:
        made.setblocking(False)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        if kind == socket.SOCK_STREAM:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(where)
        if kind == socket.SOCK_STREAM:
            made.listen(_BACKLOG)
    except BaseException:
        made.close()
        raise
    return made


def reason(error: OSError) -> str:
    """Why it could not be bound, and what to do about it."""
    hints = {
        errno.EADDRINUSE: "another LogWatch or another program listens there; one LogWatch may have many patterns",
        errno.EACCES: "ports below 1024 are for root, and for who has CAP_NET_BIND_SERVICE",
    }
    hint = hints.get(error.errno or 0)
    return f"{error.strerror}{f': {hint}' if hint else ''}"


def peer_of(address: tuple[str, int]) -> str:
    return address[0].removeprefix("::ffff:")
