"""Connections over which syslog messages come: not too many, and what nobody takes, their senders must keep."""

from __future__ import annotations

import asyncio
import logging
import math
import socket
import ssl
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

from olympus.argos.syslog_framing import Framing
from olympus.argos.syslog_listening import FULL, TURN, Received, peer_of
from olympus.kernel.clock import Clock

log = logging.getLogger("olympus.argos")

CONNECTIONS: Final = 200
_HANDSHAKE: Final = 10.0
_SELDOM: Final = 10.0
_PAUSE: Final = 1.0
_EACH: Final = 100
"""Bytes that a message takes beside its own."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """PEM files of this server; clients: of the authorities whose certificates a sender must have one of."""

    cert: str
    key: str
    clients: str | None = None

    def context(self) -> ssl.SSLContext:
        """Raises OSError."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=self.clients)
        context.load_cert_chain(self.cert, self.key)
        if self.clients is not None:
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def stamp(self) -> tuple[float, ...]:
        """Another one when the files were renewed."""
        with suppress(OSError):
            return tuple(Path(file).stat().st_mtime_ns for file in (self.cert, self.key))
        return ()


class Connections:
    """Of one socket that listens. Of too many, one is given up of whom most come from: the most silent."""

    def __init__(self, bound: socket.socket, certificate: Certificate | None, clock: Clock) -> None:
        """Raises OSError for a certificate that can't be used."""
        self._socket = bound
        self._certificate = certificate
        self._context = None if certificate is None else certificate.context()
        self._clock = clock
        self._stamp = None if certificate is None else certificate.stamp()
        self._there: set[_Connection] = set()
        self._inbox: deque[tuple[str, bytes]] = deque()
        self._size = 0
        self._cut = 0
        self._came = asyncio.Event()
        self._crowded = -math.inf
        self._logged = -math.inf
        self._refused = ""
        self._paused = False
        self._later: asyncio.TimerHandle | None = None
        self._listen()

    async def take(self) -> Received:
        await self._came.wait()
        messages = [self._inbox.popleft() for _ in range(min(TURN, len(self._inbox)))]
        self._size -= _weight([message for _, message in messages])
        if not self._inbox:
            self._came.clear()
        if self._paused and self._size < FULL // 2:
            self._pause(False)
        cut, self._cut = self._cut, 0
        return Received(messages, cut=cut)

    def complaints(self) -> list[str]:
        said = [self._refused] if self._refused else []
        if self._clock.monotonic() - self._crowded < _SELDOM * 6:
            said.append(f"more than {CONNECTIONS} connections are kept open: the most silent are closed")
        return said

    async def close(self) -> None:
        if self._later is not None:
            self._later.cancel()
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()
        beginning = [one.beginning for one in self._there]
        for one in list(self._there):
            one.give_up()
        await asyncio.gather(*beginning, return_exceptions=True)

    # --- who comes ------------------------------------------------------------------------------------------

    def _listen(self) -> None:
        self._later = None
        asyncio.get_running_loop().add_reader(self._socket, self._accept)

    def _accept(self) -> None:
        try:
            found, address = self._socket.accept()
        except (BlockingIOError, ConnectionAbortedError, InterruptedError):
            return
        except OSError as error:
            # No descriptor is left: who comes waits, and one that is silent makes room.
            self._log("not_accepted", error)
            self._make_room()
            loop = asyncio.get_running_loop()
            loop.remove_reader(self._socket)
            self._later = loop.call_later(_PAUSE, self._listen)
            return
        found.setblocking(False)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if len(self._there) >= CONNECTIONS:
            self._crowded = self._clock.monotonic()
            self._make_room()
        one = _Connection(self, peer_of(address), self._clock.monotonic())
        self._there.add(one)
        one.beginning = asyncio.get_running_loop().create_task(self._begin(one, found))

    async def _begin(self, one: _Connection, found: socket.socket) -> None:
        context = self._renewed()
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: one, found, ssl=context, ssl_handshake_timeout=_HANDSHAKE if context else None
            )
        except OSError as error:
            self._log("no_handshake", error, one.peer)
            self.left(one)

    def _make_room(self) -> None:
        count = Counter(one.peer for one in self._there)
        if count:
            busiest = max(count.values())
            crowd = [one for one in self._there if count[one.peer] == busiest]
            min(crowd, key=lambda one: one.heard).give_up()

    def _renewed(self) -> ssl.SSLContext | None:
        """With the certificate that lies there now."""
        if self._context is None or self._certificate is None:
            return None
        stamp = self._certificate.stamp()
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._context.load_cert_chain(self._certificate.cert, self._certificate.key)
                self._refused = ""
            except OSError as error:
                self._refused = f"the renewed certificate can't be used: {error.strerror or error}"
        return self._context

    def _log(self, what: str, error: OSError, peer: str = "") -> None:
        now = self._clock.monotonic()
        if now - self._logged >= _SELDOM:
            self._logged = now
            log.warning(what, extra={"peer": peer, "why": str(error)})

    # --- what comes -----------------------------------------------------------------------------------------

    def joined(self, one: _Connection) -> None:
        if self._paused:
            one.pause(True)

    def took(self, one: _Connection, messages: list[bytes], cut: int) -> None:
        one.heard = self._clock.monotonic()
        self._inbox.extend((one.peer, message) for message in messages)
        self._size += _weight(messages)
        self._cut += cut
        if messages:
            self._came.set()
        if self._size >= FULL and not self._paused:
            self._pause(True)

    def left(self, one: _Connection) -> None:
        self._there.discard(one)

    def _pause(self, yes: bool) -> None:
        self._paused = yes
        for one in self._there:
            one.pause(yes)


class _Connection(asyncio.Protocol):
    """heard: when something came last, in seconds that only grow. beginning: the handshake."""

    beginning: asyncio.Task[None]

    def __init__(self, owner: Connections, peer: str, now: float) -> None:
        self._owner = owner
        self._framing = Framing()
        self._transport: asyncio.Transport | None = None
        self.peer = peer
        self.heard = now

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._owner.joined(self)

    def data_received(self, data: bytes) -> None:
        self._pass_on([message for message in self._framing.feed(data) if message])

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        rest = self._framing.end()
        self._pass_on([rest] if rest else [])
        self._owner.left(self)

    def pause(self, yes: bool) -> None:
        if self._transport is not None and not self._transport.is_closing():
            if yes:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    def give_up(self) -> None:
        self._owner.left(self)
        self.beginning.cancel()
        if self._transport is not None:
            self._transport.abort()

    def _pass_on(self, messages: list[bytes]) -> None:
        cut, self._framing.cut = self._framing.cut, 0
        self._owner.took(self, messages, cut)


def _weight(messages: Sequence[bytes]) -> int:
    return sum(map(len, messages)) + len(messages) * _EACH
