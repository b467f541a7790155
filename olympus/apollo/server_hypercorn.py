"""Serves the app. The only home of hypercorn."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import hypercorn.asyncio.run
from hypercorn.asyncio import serve as hypercorn_serve
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.config import Config, Sockets

from olympus.kernel.errors import Refused


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises Refused where the address is taken or not ours."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        raise Refused(
            f"can't listen on {host}:{port}: {error.strerror}; another --listen address may be free"
        ) from error
    sock.listen(1024)
    sock.setblocking(False)
    return sock


class _OneSocket(Config):
    """Hypercorn would make its sockets inheritable: every service would hold our port open."""

    def __init__(self, sock: socket.socket, *, secure: bool) -> None:
        super().__init__()
        self._one = sock
        self._secure = secure

    def create_sockets(self) -> Sockets:
        sockets = [self._one]
        return Sockets(sockets, [], []) if self._secure else Sockets([], sockets, [])


class _LetGo(TCPServer):
    """Hypercorn keeps what its client has closed until the keep-alive time is over: a descriptor each."""

    async def _read_data(self) -> None:
        await super()._read_data()
        await self.idle_task.stop()


hypercorn.asyncio.run.TCPServer = _LetGo  # type: ignore[attr-defined]


async def serve(
    app: Any,
    sock: socket.socket,
    *,
    stop: Callable[[], Awaitable[None]],
    tls: tuple[Path, Path] | None = None,
) -> None:
    """Until `stop` returns. tls: certificate and key."""
    config = _OneSocket(sock, secure=tls is not None)
    config.accesslog = None
    config.errorlog = None
    config.graceful_timeout = 0.5
    config.shutdown_timeout = 1.0
    config.keep_alive_timeout = 75.0
    config.include_server_header = False
    config.h11_max_incomplete_size = 64 * 1024
    if tls is not None:
        config.certfile, config.keyfile = str(tls[0]), str(tls[1])
    await hypercorn_serve(app, config, shutdown_trigger=stop)
