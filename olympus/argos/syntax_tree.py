"""What a pattern is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

LAST: Final = 0x10FFFF
NEWLINE: Final = 0x0A
Ranges: TypeAlias = tuple[tuple[int, int], ...]


class Unreadable(ValueError):
    """It means more than is understood here: every line has to be shown to RE2."""


@dataclass(frozen=True, slots=True)
class Chars:
    """One character out of these; sorted, without overlaps, never a line's end."""

    ranges: Ranges


@dataclass(frozen=True, slots=True)
class Assertion:
    """`^`, `$`, `\\b` or `\\B`."""

    text: str


@dataclass(frozen=True, slots=True)
class Row:
    """One after the other."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """most None: without end."""

    item: Node
    least: int
    most: int | None
    lazy: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    item: Node
    name: str = ""


Node: TypeAlias = Chars | Assertion | Row | Choice | Repeat | Group

ANY: Final = Chars(((0, NEWLINE - 1), (NEWLINE + 1, 0xD7FF), (0xE000, LAST)))
"""All but a line's end, and surrogates, which no text has."""
