"""`${{ … }}` in values, as in GitHub Actions.

A lone `${{ x }}` keeps its type; inside text it becomes text (objects and lists as JSON); `$${{` is literal.
What an expression yields is never looked at again, so that text from outside stays text. Plain `$X` and `${X}`
are never touched.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, TypeAlias

from olympus.spec.expression import ExpressionError, compile_value

Path: TypeAlias = tuple[str | int, ...]

_OPEN: Final = "${{"
_INSIDE = re.compile(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|`(?:\\.|[^`\\])*`|\}\}|[{}]""")


@dataclass(frozen=True, slots=True)
class Hole:
    """An expression in a text, from `start` to `end` (its braces with it)."""

    expression: str
    start: int
    end: int


@lru_cache(maxsize=8192)
def parse(text: str) -> tuple[str | Hole, ...]:
    """Pieces of text, and the holes between them. Raises ExpressionError where a hole has no end."""
    pieces: list[str | Hole] = []
    literal, at = "", 0
    while (found := text.find(_OPEN, at)) >= 0:
        if found > at and text[found - 1] == "$":
            literal += text[at : found - 1] + _OPEN
            at = found + len(_OPEN)
            continue
        end = _end(text, found + len(_OPEN))
        if end is None:
            raise ExpressionError(
                f"${{{{ at column {found + 1} of {text[:60]!r} has no end: close it with }}}}"
            )
        if literal + text[at:found]:
            pieces.append(literal + text[at:found])
        literal = ""
        pieces.append(Hole(text[found + len(_OPEN) : end - 2].strip(), found, end))
        at = end
    if literal + text[at:]:
        pieces.append(literal + text[at:])
    return tuple(pieces)


def _end(text: str, start: int) -> int | None:
    """Behind the braces that close the hole; quotes, backticks and braces inside belong to the expression."""
    depth, at = 0, start
    while match := _INSIDE.search(text, at):
        token = match[0]
        if token == "{":
            depth += 1
        elif token == "}":
            depth -= 1
        elif token == "}}":
            if depth == 0:
                return match.end()
            # The first of the two closes a brace of the expression.
            depth -= 1
            at = match.start() + 1
            continue
        at = match.end()
    return None


def has_holes(text: str) -> bool:
    """Also of one that has no end."""
    try:
        return _OPEN in text and any(isinstance(piece, Hole) for piece in parse(text))
    except ExpressionError:
        return True


def render(value: Any, roots: Mapping[str, Any]) -> Any:
    """`value`, a JSON tree, with its expressions evaluated. Raises ExpressionError."""
    if isinstance(value, str):
        return _text(value, roots) if _OPEN in value else value
    if isinstance(value, Mapping):
        return {key: render(one, roots) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [render(one, roots) for one in value]
    return value


def _text(text: str, roots: Mapping[str, Any]) -> Any:
    pieces = parse(text)
    if len(pieces) == 1 and isinstance(pieces[0], Hole):
        return compile_value(pieces[0].expression).evaluate(roots)
    return "".join(
        as_text(compile_value(piece.expression).evaluate(roots)) if isinstance(piece, Hole) else piece
        for piece in pieces
    )


def as_text(value: Any) -> str:
    """Texts as they are, all else as JSON."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def expressions_in(value: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Every expression in a JSON tree, and where it stands. Raises ExpressionError where a hole has no end."""
    if isinstance(value, str):
        if _OPEN in value:
            for piece in parse(value):
                if isinstance(piece, Hole):
                    yield path, piece.expression
    elif isinstance(value, Mapping):
        for key, one in value.items():
            yield from expressions_in(one, (*path, key))
    elif isinstance(value, list | tuple):
        for index, one in enumerate(value):
            yield from expressions_in(one, (*path, index))
