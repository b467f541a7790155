"""What is published at once goes into one transaction: what fits into it, and what is too large for any."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from olympus.hermes.kv import MAX_BODY, MAX_OPS, Cas, Op, Put, TooLarge
from olympus.hermes.segments import encode_events
from olympus.kernel.errors import Refused
from olympus.kernel.events import Event

OWN_OPS: Final = 2
"""The segment and the head."""

# The head repeats a small segment, and both carry some framing.
_MAX_EVENTS: Final = MAX_BODY - 24 * 1024

Part: TypeAlias = tuple[Sequence[Event], bytes, Sequence[Op]]
"""Events, the same encoded, and the operations that go with them."""


@dataclass(slots=True)
class Request:
    """One call of `publish`, or a part of it. `done` gets the versions of what `ops` set."""

    events: Sequence[Event]
    encoded: bytes
    ops: Sequence[Op]
    done: asyncio.Future[dict[str, int]]

    def succeed(self, versions: dict[str, int]) -> None:
        if not self.done.done():
            self.done.set_result({op.key: versions[op.key] for op in self.ops if isinstance(op, Put | Cas)})

    def fail(self, error: BaseException) -> None:
        if not self.done.done():
            self.done.set_exception(error)


def parts(events: Sequence[Event], ops: Sequence[Op]) -> list[Part]:
    """What fits into a transaction each, encoded. Raises Refused where `ops` have to go with too much."""
    if len(ops) > MAX_OPS - OWN_OPS:
        raise Refused(f"{len(ops)} operations beside events, {MAX_OPS - OWN_OPS} are allowed")
    encoded = encode_events(events)
    if not events or len(encoded) + _size(ops) <= _MAX_EVENTS:
        return [(events, encoded, ops)]
    if ops:
        raise TooLarge("these events and operations are over the size of one transaction: split them")
    if len(events) == 1:
        raise TooLarge(f"event {events[0].id} has {len(encoded)} bytes, {_MAX_EVENTS} are allowed")
    half = len(events) // 2
    return [*parts(events[:half], ()), *parts(events[half:], ())]


def take(requests: list[Request]) -> list[Request]:
    """Out of `requests` as many as fit into one transaction, at least one."""
    taken: list[Request] = []
    ops = size = 0
    for request in requests:
        ops += len(request.ops)
        size += len(request.encoded) + _size(request.ops)
        if taken and (ops > MAX_OPS - OWN_OPS or size > _MAX_EVENTS):
            break
        taken.append(request)
    del requests[: len(taken)]
    return taken


def joined(arrays: Sequence[bytes]) -> bytes:
    """One JSON array out of several."""
    return b"[" + b",".join(array[1:-1] for array in arrays if array != b"[]") + b"]"


def _size(ops: Sequence[Op]) -> int:
    return sum(len(getattr(op, "value", b"")) for op in ops)
