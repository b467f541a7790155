"""A question to a node for its last lines, `asks/NODE/ID`, and what it answers, `answers/NODE/ID`.

The question's value is a controller's signature, a newline, and the bytes that it signed, as with desired states:
what a node saw is told only to those whom it believes. Both keys live for seconds.
"""

from __future__ import annotations

from olympus.records.document import Document, Moment


class Ask(Document):
    """Which lines (see `argos.recent.Question`); times in seconds. until: nobody waits for the answer any more.

    unmatched: a LogWatch; then shapes are asked for, of its last lines that none of its patterns matches
    """

    id: str
    node: str
    until: Moment
    contains: str | None = None
    pattern: str | None = None
    last: float | None = None
    around: Moment | None = None
    limit: int = 100
    unmatched: str | None = None


class AnsweredLine(Document):
    time: Moment
    source: str
    line: str


class AnsweredShape(Document):
    """line: the last one of its shape. count: how many lines are of it."""

    line: str
    count: int


class Answer(Document):
    """error: why it can't be answered; empty where it is."""

    lines: tuple[AnsweredLine, ...] = ()
    shapes: tuple[AnsweredShape, ...] = ()
    error: str = ""
