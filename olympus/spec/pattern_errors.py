"""What is wrong with a pattern that RE2 refuses: where, and what to write instead. Pure."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from typing import Final

from olympus.spec.regex import compile_pattern

_HINTS: Final = (
    (r"\(\?(<?[=!])", "there is no look-around: match what is around it too, and name the group that you want"),
    (r"\(\?P[=>]|invalid escape sequence: \\[1-9]", "there are no back-references: name both groups"),
    (r"\(\?>|bad repetition operator: [*+?]\+", "nothing is possessive or atomic, and need not be: time is linear"),
    (r"missing \)", r"close the group with ), or write \( for the character"),
    (r"unexpected \)", r"open the group with (, or write \) for the character"),
    (r"missing \]", r"close the set with ], or write \[ for the character"),
    (r"character class range", "write the lower end first, and a - of its own last: [a-z-]"),
    (r"no argument for repetition", r"say what is repeated, or write \ before it for the character: \*, \+, \?"),
    (r"bad repetition operator", "one of *, + and ? is enough"),
    (r"repetition size", "from the smaller to the larger number, of 1000 at most"),
    (r"invalid escape sequence", r"write \\ for a backslash itself; \d, \w, \s and \b are there"),
    (r"trailing \\", r"write \\ for a backslash itself"),
    (r"named capture group", "a group is named (?P<name>…), each by a name of its own"),
    (r"invalid perl operator", "after (? comes P<name>, :, or one of the flags i, m, s, U"),
    (r"pattern too large", "repeat less, or split it into two matches"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class PatternError:
    """column: in characters, from 1. hint: what to write instead; empty where nothing is known."""

    column: int
    reason: str
    hint: str


def error_of(pattern: str) -> PatternError | None:
    """None: it is a good one."""
    try:
        compile_pattern(pattern)
    except ValueError as error:
        cause = error.__cause__.args[0] if error.__cause__ is not None else str(error)
        reason = cause.decode(errors="replace") if isinstance(cause, bytes) else str(cause)
        place = _place(pattern, reason)
        shown = f"{reason} {pattern[place : place + 4]}"
        hint = next((hint for sign, hint in _HINTS if re.search(sign, shown)), "")
        return PatternError(place + 1, reason.partition(": ")[0], hint)
    return None


def _place(pattern: str, reason: str) -> int:
    """RE2 shows the piece that it stumbled on, Python says where: of the errors that both know, it is surer."""
    piece = reason.partition(": ")[2]
    try:
        with warnings.catch_warnings(action="ignore"):
            re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        place = getattr(error, "pos", None)
        if place is not None:
            return int(place)
    if piece == "(?P":
        found = re.search(r"\(\?P(?!<)", pattern)
        return found.start() if found else 0
    return max(0, pattern.find(piece))
