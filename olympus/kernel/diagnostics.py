"""Where something is wrong in what a user wrote, said as compilers do: `file:line:col: message`."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Diagnostic:
    """One error. `line` and `column` count from 1; 0 where the whole file is meant."""

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{place}: {self.message}"


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The one of `known` that was probably meant, whatever its case."""
    if len(word) > 100:
        return None
    names = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower(), names, n=1, cutoff=0.6)
    return names[near[0]] if near else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`, did you mean 'replicas'?` where one of `known` is near to `word`, else nothing."""
    near = nearest(word, known)
    return f", did you mean '{near}'?" if near is not None else ""
