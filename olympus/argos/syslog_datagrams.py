"""A socket that syslog messages come to, each in a datagram.

While nobody takes what came, nothing more is read: the kernel drops, and counts, what its buffer has no room for.
"""

from __future__ import annotations

import asyncio
import math
import socket
import struct
from contextlib import suppress
from typing import Final

from olympus.argos.syslog_listening import FULL, TURN, Received, peer_of
from olympus.kernel.clock import Clock

_DATAGRAM: Final = 1 << 16
_SELDOM: Final = 10.0
_BUFFER: Final = 8 << 20
_SO_RCVBUFFORCE: Final = 33
_SO_MEMINFO: Final = 55
_MEMINFO: Final = struct.Struct("9I")
_DROPS: Final = 8


class Datagrams:
    """Of one socket."""

    def __init__(self, bound: socket.socket, clock: Clock) -> None:
        self._socket = bound
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        with suppress(OSError):
            # Beyond net.core.rmem_max, for who may.
            bound.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
        self._clock = clock
        self._buffer = bytearray(_DATAGRAM)
        self._seen = 0
        self._untold = 0
        self._told = -math.inf

    async def take(self) -> Received:
        while True:
            messages = self._read()
            dropped = self._dropped()
            if messages or dropped:
                return Received(messages, dropped)
            await self._readable()

    def complaints(self) -> list[str]:
        return []

    async def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def _read(self) -> list[tuple[str, bytes]]:
        messages: list[tuple[str, bytes]] = []
        view, size = memoryview(self._buffer), 0
        receive = self._socket.recvfrom_into
        with suppress(BlockingIOError):
            while len(messages) < TURN and size < FULL:
                count, address = receive(view)
                messages.append((peer_of(address), bytes(view[:count])))
                size += count
        return messages

    def _dropped(self) -> int:
        """Since it was told last, and not so often that it makes a flood of its own."""
        dropped = _MEMINFO.unpack(self._socket.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size))[
            _DROPS
        ]
        self._untold += (dropped - self._seen) % (1 << 32)
        self._seen = dropped
        now = self._clock.monotonic()
        if not self._untold or now - self._told < _SELDOM:
            return 0
        self._told = now
        untold, self._untold = self._untold, 0
        return untold

    async def _readable(self) -> None:
        loop = asyncio.get_running_loop()
        came: asyncio.Future[None] = loop.create_future()
        loop.add_reader(self._socket, _set, came)
        with suppress(TimeoutError):
            try:
                async with asyncio.timeout(_SELDOM if self._untold else None):
                    await came
            finally:
                loop.remove_reader(self._socket)


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
