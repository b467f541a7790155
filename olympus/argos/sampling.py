"""Which of a watch's last lines none of its patterns matches: samples for writing one. Nothing is done until asked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from olympus.argos.joining import PAUSE, Joiner
from olympus.argos.patterns import Hit, Patterns, lines_of
from olympus.argos.ports import Chunk
from olympus.argos.unmatched import Sample, Unmatched
from olympus.spec.kinds.logwatch import Multiline

SHOWN: Final = 100
_BYTES: Final = 150 * 1024
"""Of an answer: it has to fit into Hermes."""


def sampled(
    pieces: Iterable[tuple[str, bytes]], patterns: Patterns, multiline: Multiline | None, most: int
) -> list[Sample]:
    """The commonest shapes first, at most `SHOWN`. pieces: (stream, whole lines), in the order in which they came.

    A line that was refused because of its groups is one that did not match.
    """
    found = Unmatched()
    if multiline is None:
        for _, text in pieces:
            matched = {hit.start for hit in patterns.survey(text) if isinstance(hit, Hit)}
            for start, end in lines_of(text):
                if start not in matched:
                    found.add(text[start:end].removesuffix(b"\r"))
    else:
        for record in _records(pieces, multiline):
            if not any(isinstance(hit, Hit) for hit in patterns.record(record)):
                found.add(record)
    return _fitting(found.samples(min(most, SHOWN)))


def _records(pieces: Iterable[tuple[str, bytes]], multiline: Multiline) -> Iterable[bytes]:
    joiner = Joiner(multiline)
    for stream, text in pieces:
        for record in joiner.add(Chunk(stream, "", 0, text), 0.0):
            yield record.text
    for record in joiner.due(PAUSE):
        yield record.text


def _fitting(samples: list[Sample]) -> list[Sample]:
    size, found = 0, []
    for one in samples:
        size += len(one.line.encode()) + 64
        if size > _BYTES:
            break
        found.append(one)
    return found
