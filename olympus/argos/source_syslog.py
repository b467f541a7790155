"""Lines of syslog messages that other hosts send here. What is not listened to is gone: nothing is read again."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from re import Match
from typing import Any

from olympus.argos.ports import Batch, Chunk, Lost, Place
from olympus.argos.syslog_connections import Certificate, Connections
from olympus.argos.syslog_datagrams import Datagrams
from olympus.argos.syslog_listening import Listener, bound, reason
from olympus.argos.syslog_messages import app_of, fields_of, head_of
from olympus.kernel.clock import Clock
from olympus.kernel.errors import RetryLater
from olympus.spec.kinds.logwatch import Syslog

_DROPPED = (
    "{} datagrams were dropped: they came faster than they could be taken. "
    "A larger net.core.rmem_max helps over bursts; over tcp:// senders wait"
)


class SyslogSource:
    """Of one watch. Streams are `syslog/ADDRESS/APP`: who sent it, and what they say that they are."""

    def __init__(self, spec: Syslog, clock: Clock) -> None:
        self._address = spec.listen
        self._certificate = (
            None if spec.cert is None or spec.key is None else Certificate(spec.cert, spec.key, spec.clients)
        )
        self._clock = clock
        self._listener: Listener | None = None
        self._offset = 0

    def complaints(self) -> list[str]:
        return [] if self._listener is None else self._listener.complaints()

    async def batches(self, kept: Sequence[Place] | None) -> AsyncGenerator[Batch, None]:
        """For ever: see `ports.Source`."""
        self._listener = await self._listen()
        try:
            yield Batch(caught_up=True, closed=tuple((place.stream, place.part) for place in kept or ()))
            while True:
                got = await self._listener.take()
                lost = (
                    [Lost(f"syslog/{self._address}", 0, _DROPPED.format(got.dropped))] if got.dropped else []
                )
                chunks = chunks_of(got.messages, self._offset)
                self._offset += sum(len(one.text) for one in chunks)
                yield Batch(chunks=tuple(chunks), lost=tuple(lost), cut=got.cut)
        finally:
            await self._listener.close()

    async def _listen(self) -> Listener:
        try:
            found = await bound(self._address)
        except OSError as error:
            raise RetryLater(f"{self._address} can't be listened to: {reason(error)}") from error
        if self._address.startswith("udp://"):
            return Datagrams(found, self._clock)
        try:
            return Connections(found, self._certificate, self._clock)
        except OSError as error:
            found.close()
            raise RetryLater(f"{self._address} has no certificate to show: {error}") from error


def chunks_of(messages: Sequence[tuple[str, bytes]], offset: int) -> list[Chunk]:
    """Texts of messages (address, message), in a chunk for each sender; numbered on from `offset`."""
    streams: dict[tuple[str, bytes | None], _Sender] = {}
    for peer, message in messages:
        whole = message.rstrip(b"\r\n\0")
        head = head_of(whole)
        text = whole[head.end() :]
        if not text:
            continue
        key = peer, head["app"]
        sender = streams.get(key)
        if sender is None:
            sender = streams[key] = _Sender(f"syslog/{peer}/{app_of(head)}", peer)
        sender.add(head, text)
    chunks = []
    for sender in streams.values():
        text = b"".join(sender.texts)
        chunks.append(Chunk(sender.stream, "", offset, text, about=sender.about()))
        offset += len(text)
    return chunks


class _Sender:
    def __init__(self, stream: str, peer: str) -> None:
        self.stream = stream
        self.texts: list[bytes] = []
        self._peer = peer
        self._heads: list[Match[bytes]] = []
        self._starts: list[int] = []
        self._size = 0

    def add(self, head: Match[bytes], text: bytes) -> None:
        self._heads.append(head)
        self._starts.append(self._size)
        self.texts += text, b"\n"
        self._size += len(text) + 1

    def about(self) -> Callable[[int], Mapping[str, Any]]:
        """Of few lines anything is asked: no sooner is it read."""
        peer, heads, starts = self._peer, self._heads, self._starts
        return lambda start: {"peer": peer, **fields_of(heads[bisect_right(starts, start) - 1])}
