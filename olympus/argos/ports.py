"""Where lines come from. A source is asked for what came, and told how far that was dealt with.

What a source reads, it reads again after a restart, from the places that were kept: so a place is kept only when
all before it was dealt with, and offsets tell what was told already.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Chunk:
    """Whole lines of one part of a stream, in order.

    stream: what events name as their `source`: a path, `journal/sshd.service`, `syslog/203.0.113.7/sshd`
    part:   of the stream, in which offsets only grow: a file of those that rotation leaves, a boot's journal.
            The same text names it after a restart. Empty: it can't be read again, so nothing is kept of it
    offset: of the first byte of `text` in its part
    text:   each line with its `\\n`; bytes that are no UTF-8 may be in it. A line that was cut ends its chunk
    ends:   nothing more comes of this part: what its last line lacks is never going to come
    about:  what is known of the line that begins there in `text`, beside its text; it becomes the event's `fields`
    """

    stream: str
    part: str
    offset: int
    text: bytes
    ends: bool = False
    about: Callable[[int], Mapping[str, Any]] | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """How far a part was read: the next line begins at `offset`. more: what the source finds the part again by."""

    stream: str
    part: str
    offset: int
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Lost:
    """Lines that nobody can read any more. size: in bytes, at least; 0 where it is not known."""

    stream: str
    size: int
    reason: str


@dataclass(frozen=True, slots=True)
class Batch:
    """What came. It may be empty but for `caught_up`.

    opened:    parts that are new: kept on disk before anything is told of their lines
    places:    kept as soon as the chunks are dealt with
    closed:    (stream, part) of what is never read again, known no more once the chunks are dealt with
    cut:       how many lines were longer than a line may be, and end early
    caught_up: all that was there at the beginning is read with this
    """

    chunks: tuple[Chunk, ...] = ()
    opened: tuple[Place, ...] = ()
    places: tuple[Place, ...] = ()
    closed: tuple[tuple[str, str], ...] = ()
    lost: tuple[Lost, ...] = ()
    cut: int = 0
    caught_up: bool = False


class Source(Protocol):
    """One watch's. Closing the generator gives up files and sockets."""

    def batches(self, kept: Sequence[Place] | None) -> AsyncGenerator[Batch, None]:
        """For ever. kept: the places of an earlier time; None: the watch begins now.

        The next batch is asked for when the one before is dealt with: a source reads no further ahead than one
        batch of about a megabyte, and lets wait what can wait. The first batch comes as soon as it has begun, be it
        empty; exactly one batch is `caught_up`.
        Raises OlympusError, with what to do about it, where it can't go on; it is begun anew after a while.
        """
        ...

    def complaints(self) -> Sequence[str]:
        """What can't be read now, in words that name it; it is tried again."""
        ...
