"""Reads a pattern of RE2's dialect (github.com/google/re2/wiki/Syntax). Pure, no engine.

What is read here was compiled by RE2 before, so that nothing is judged, only understood.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from olympus.argos.syntax_tree import (
    ANY,
    LAST,
    Assertion,
    Chars,
    Choice,
    Group,
    Node,
    Ranges,
    Repeat,
    Row,
    Unreadable,
)

_LETTERS: Final[Ranges] = ((0x41, 0x5A), (0x61, 0x7A))
_DIGITS: Final[Ranges] = ((0x30, 0x39),)
_WORD: Final[Ranges] = (*_DIGITS, (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A))
_SPACE: Final[Ranges] = ((0x09, 0x0A), (0x0C, 0x0D), (0x20, 0x20))
_PERL: Final[dict[str, Ranges]] = {"d": _DIGITS, "w": _WORD, "s": _SPACE}
_ESCAPES: Final = {"a": 7, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11}
_POSIX: Final[dict[str, Ranges]] = {
    "alnum": (*_DIGITS, *_LETTERS),
    "alpha": _LETTERS,
    "ascii": ((0, 0x7F),),
    "blank": ((0x09, 0x09), (0x20, 0x20)),
    "cntrl": ((0, 0x1F), (0x7F, 0x7F)),
    "digit": _DIGITS,
    "graph": ((0x21, 0x7E),),
    "lower": ((0x61, 0x7A),),
    "print": ((0x20, 0x7E),),
    "punct": ((0x21, 0x2F), (0x3A, 0x40), (0x5B, 0x60), (0x7B, 0x7E)),
    "space": ((0x09, 0x0D), (0x20, 0x20)),
    "upper": ((0x41, 0x5A),),
    "word": _WORD,
    "xdigit": (*_DIGITS, (0x41, 0x46), (0x61, 0x66)),
}


def read(pattern: str) -> Node:
    """What `pattern` is made of. Raises Unreadable."""
    return _Reader(pattern).all()


def _merged(ranges: Sequence[tuple[int, int]]) -> Ranges:
    out: list[tuple[int, int]] = []
    for a, b in sorted(ranges):
        if out and a <= out[-1][1] + 1:
            out[-1] = (out[-1][0], max(b, out[-1][1]))
        else:
            out.append((a, b))
    return tuple(out)


def _inverted(ranges: Sequence[tuple[int, int]]) -> Ranges:
    out, at = [], 0
    for a, b in _merged(ranges):
        if a > at:
            out.append((at, a - 1))
        at = b + 1
    if at <= LAST:
        out.append((at, LAST))
    return tuple(out)


def _folded(ranges: Sequence[tuple[int, int]]) -> Ranges:
    """With the other case of all ASCII letters; beyond ASCII just anything."""
    out = list(ranges)
    for a, b in ranges:
        if b > 0x7F:
            return ANY.ranges
        out += [(c ^ 0x20, c ^ 0x20) for c in range(a, b + 1) if chr(c).isalpha()]
        # The long s and the Kelvin sign fold to s and k.
        out += [(0x17F, 0x17F)] if any(chr(c) in "sS" for c in range(a, b + 1)) else []
        out += [(0x212A, 0x212A)] if any(chr(c) in "kK" for c in range(a, b + 1)) else []
    return _merged(out)


@dataclass(frozen=True, slots=True)
class _Flags:
    fold: bool = False
    swapped: bool = False


class _Reader:
    """One pass over the text, as RE2's own parser does it."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._flags = _Flags()

    def all(self) -> Node:
        node = self._choice()
        if self._at < len(self._text):
            raise Unreadable(f"unread: {self._text[self._at :]!r}")
        return node

    def _peek(self, text: str) -> bool:
        return self._text.startswith(text, self._at)

    def _take(self, text: str) -> bool:
        if self._peek(text):
            self._at += len(text)
            return True
        return False

    def _next(self) -> str:
        if self._at >= len(self._text):
            raise Unreadable("it ends too early")
        self._at += 1
        return self._text[self._at - 1]

    def _until(self, end: str) -> str:
        at = self._text.find(end, self._at)
        if at < 0:
            raise Unreadable(f"no {end!r}")
        text, self._at = self._text[self._at : at], at + len(end)
        return text

    def _choice(self) -> Node:
        items = [self._row()]
        while self._take("|"):
            items.append(self._row())
        return items[0] if len(items) == 1 else Choice(tuple(items))

    def _row(self) -> Node:
        items: list[Node] = []
        while self._at < len(self._text) and not self._peek("|") and not self._peek(")"):
            if self._take("\\Q"):
                end = self._text.find("\\E", self._at)
                quoted = self._text[self._at :] if end < 0 else self._text[self._at : end]
                self._at = len(self._text) if end < 0 else end + 2
                items += [self._of(((ord(c), ord(c)),)) for c in quoted]
            elif not self._take("\\E"):
                atom = self._atom()
                items += [] if atom is None else [atom]
            # What follows flags or an empty quote repeats what was before them: a(?i)* is a*.
            if items:
                items[-1] = self._repeated(items[-1])
        return Row(tuple(items))

    def _repeated(self, node: Node) -> Node:
        while True:
            before = self._at
            if self._take("*"):
                least, most = 0, None
            elif self._take("+"):
                least, most = 1, None
            elif self._take("?"):
                least, most = 0, 1
            elif self._peek("{"):
                counts = self._counts()
                if counts is None:
                    self._at = before
                    return node
                least, most = counts
            else:
                return node
            lazy = self._take("?") is not self._flags.swapped
            node = Repeat(node, least, most, lazy)

    def _counts(self) -> tuple[int, int | None] | None:
        end = self._text.find("}", self._at)
        low, comma, high = self._text[self._at + 1 : max(end, 0)].partition(",")
        if end < 0 or not _number(low) or (high and not _number(high)):
            return None
        self._at = end + 1
        return int(low), (int(high) if high else None) if comma else int(low)

    def _atom(self) -> Node | None:
        char = self._next()
        match char:
            case "(":
                return self._group()
            case "[":
                return self._set()
            case ".":
                return ANY
            case "^" | "$":
                return Assertion(char)
            case "\\":
                return self._escape()
        return self._of(((ord(char), ord(char)),))

    def _group(self) -> Node | None:
        name, before = "", self._flags
        if self._take("?P<") or self._take("?<"):
            name = self._until(">")
        elif self._take("?"):
            start = self._at
            while self._next() not in ":)":
                pass
            self._set_flags(self._text[start : self._at - 1])
            if self._text[self._at - 1] == ")":
                return None
        item = self._choice()
        if not self._take(")"):
            raise Unreadable("no ')'")
        self._flags = before
        return Group(item, name)

    def _set_flags(self, text: str) -> None:
        on, _, off = text.partition("-")
        for letters, value in ((on, True), (off, False)):
            for letter in letters:
                # m and s make no difference to a single line: there is no other end in it.
                if letter == "i":
                    self._flags = replace(self._flags, fold=value)
                elif letter == "U":
                    self._flags = replace(self._flags, swapped=value)
                elif letter not in "ms":
                    raise Unreadable(f"flag {letter!r}")

    def _escape(self) -> Node:
        char = self._next()
        if char in "AzbB":
            return Assertion({"A": "^", "z": "$"}.get(char, f"\\{char}"))
        if char == "C":
            raise Unreadable("\\C is half a character")
        self._at -= 1
        return self._of(self._escaped())

    def _escaped(self) -> Ranges:
        """What `\\…` stands for, in a class as outside; its backslash was read."""
        char = self._next()
        if char.lower() in _PERL:
            ranges = _PERL[char.lower()]
            return _inverted(ranges) if char.isupper() else ranges
        if char in "pP":
            # A class of Unicode; what is in it, only RE2 knows.
            if self._next() == "{":
                self._until("}")
            return ((0, LAST),)
        if char in _ESCAPES:
            code = _ESCAPES[char]
        elif char == "x":
            code = int(self._until("}") if self._take("{") else self._next() + self._next(), 16)
        elif char in "01234567":
            digits = char
            while len(digits) < 3 and self._at < len(self._text) and self._text[self._at] in "01234567":
                digits += self._next()
            code = int(digits, 8)
        elif char.isalnum():
            raise Unreadable(f"\\{char}")
        else:
            code = ord(char)
        return ((code, code),)

    def _set(self) -> Node:
        negated = self._take("^")
        ranges: list[tuple[int, int]] = []
        first = True
        while first or not self._peek("]"):
            first = False
            if self._take("[:"):
                out = self._take("^")
                named = _POSIX[self._until(":]")]
                ranges += _inverted(named) if out else named
                continue
            low = self._in_set()
            if len(low) == 1 and low[0][0] == low[0][1] and self._peek("-") and not self._peek("-]"):
                self._at += 1
                high = self._in_set()
                low = ((low[0][0], high[0][1]),)
            ranges += low
        self._at += 1
        unsure = (0, LAST) in ranges or (self._flags.fold and negated and any(b > 0x7F for _, b in ranges))
        if unsure:
            return ANY
        merged = _folded(ranges) if self._flags.fold else _merged(ranges)
        return Chars(_lines(_inverted(merged) if negated else merged))

    def _in_set(self) -> Ranges:
        char = self._next()
        return self._escaped() if char == "\\" else ((ord(char), ord(char)),)

    def _of(self, ranges: Ranges) -> Node:
        return Chars(_lines(_folded(ranges) if self._flags.fold else _merged(ranges)))


def _number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _lines(ranges: Ranges) -> Ranges:
    """What of it can stand in a line."""
    out = tuple(
        (max(a, low), min(b, high))
        for a, b in ranges
        for low, high in ANY.ranges
        if max(a, low) <= min(b, high)
    )
    if not out:
        raise Unreadable("a line's end is in no line")
    return out
