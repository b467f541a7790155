"""What lies on the bus: immutable segments, and one small head per publisher that says how far they go."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from olympus.hermes.kv import MAX_BODY
from olympus.kernel.clock import parse_rfc3339, rfc3339
from olympus.kernel.errors import Invalid
from olympus.kernel.events import Event

_NOT_OURS: Final = (ValueError, KeyError, TypeError, AttributeError)
MAX_INLINE: Final = 8 * 1024
"""A segment up to so many bytes is repeated in the head, which saves its readers a round trip."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Events that were published together. `offset` counts the bytes of all segments before it."""

    time: datetime
    offset: int
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class Head:
    """`first` is the oldest segment that is kept, `next` the number that the next one will get."""

    first: int = 0
    next: int = 0
    bytes: int = 0
    inline: Segment | None = None


def encode_events(events: Sequence[Event]) -> bytes:
    """A JSON array of CloudEvents."""
    return orjson.dumps([_json_of(event) for event in events], default=dict, option=orjson.OPT_UTC_Z)


def _json_of(event: Event) -> dict[str, Any]:
    """`event.to_json()`, but for the time, which orjson writes the same way at a tenth of the price."""
    out: dict[str, Any] = {
        "specversion": "1.0",
        "id": event.id,
        "type": event.type,
        "source": event.source,
        # It leaves microseconds out where they are 0, and keeps other offsets than UTC's.
        "time": event.time if event.time.tzinfo is UTC and event.time.microsecond else rfc3339(event.time),
        "depth": event.depth,
        "data": event.data,
    }
    if event.subject is not None:
        out["subject"] = event.subject
    if event.node is not None:
        out["node"] = event.node
    if event.cause is not None:
        out["cause"] = event.cause
    return out


def decode_events(raw: Sequence[dict[str, Any]]) -> tuple[Event, ...]:
    """What `encode_events` made, once it is parsed: ours, so that nothing of it is checked again."""
    return tuple(
        Event(
            one["id"],
            one["type"],
            one["source"],
            datetime.fromisoformat(one["time"]),
            one["data"],
            one.get("subject"),
            one.get("node"),
            one.get("cause"),
            one["depth"],
        )
        for one in raw
    )


def as_decoded(events: Sequence[Event], encoded: bytes) -> tuple[Event, ...]:
    """`events` as `decode_events` would give them: what JSON changes (tuples, subclasses) is changed."""
    if all(type(event.data) is dict and _is_plain(event.data) for event in events):
        return tuple(events)
    return tuple(
        Event(e.id, e.type, e.source, e.time, raw["data"], e.subject, e.node, e.cause, e.depth)
        for e, raw in zip(events, orjson.loads(encoded), strict=True)
    )


def _is_plain(values: dict[Any, Any]) -> bool:
    """Whether it comes back from JSON as it is, for sure. Floats and lists are not looked into: NaN does not."""
    for name, value in values.items():
        kind = type(value)
        if type(name) is not str:
            return False
        if kind is str or kind is int or kind is bool or value is None:
            continue
        if kind is not dict or not _is_plain(value):
            return False
    return True


def segment_bytes(time: datetime, offset: int, events: bytes) -> bytes:
    """A segment around what `encode_events` made, which is not encoded twice."""
    return b'{"time":"%s","offset":%d,"events":%s}' % (rfc3339(time).encode(), offset, events)


def packed(segment: bytes) -> bytes:
    """As it is stored. Events repeat themselves: packing a large segment costs less than sending it whole."""
    return zlib.compress(segment, 1) if len(segment) > MAX_INLINE else segment


def unpacked(stored: bytes) -> bytes:
    """What `packed` was given. Raises Invalid, also where it would be larger than any segment of ours."""
    if stored.startswith(b"{"):
        return stored
    unpacking = zlib.decompressobj()
    try:
        segment = unpacking.decompress(stored, MAX_BODY)
    except zlib.error as exc:
        raise Invalid(f"not a segment: {exc}") from exc
    if not unpacking.eof:
        raise Invalid(f"not a segment: it is cut, or holds more than {MAX_BODY} bytes")
    return segment


def read_segment(raw: bytes) -> Segment:
    """Raises Invalid: a node may write what it likes as its own."""
    try:
        return _segment(orjson.loads(raw))
    except _NOT_OURS as exc:
        raise Invalid(f"not a segment: {exc!r}") from exc


def _segment(found: dict[str, Any]) -> Segment:
    return Segment(parse_rfc3339(found["time"]), found["offset"], decode_events(found["events"]))


def head_bytes(head: Head, last: bytes = b"null") -> bytes:
    """`last` is the newest segment as `segment_bytes` made it; it is repeated where it is small enough."""
    return b'{"first":%d,"next":%d,"bytes":%d,"inline":%s}' % (
        head.first,
        head.next,
        head.bytes,
        last if len(last) <= MAX_INLINE else b"null",
    )


def read_head(raw: bytes, known: int | None = None) -> Head:
    """`known` is the number of the newest segment that the reader has: no need to decode that one again.

    Raises Invalid.
    """
    try:
        found = orjson.loads(raw)
        inline = found["inline"]
        first, end, size = int(found["first"]), int(found["next"]), int(found["bytes"])
        wanted = inline is not None and (known is None or end - 1 > known)
        return Head(first, end, size, _segment(inline) if wanted else None)
    except _NOT_OURS as exc:
        raise Invalid(f"not a head: {exc!r}") from exc
