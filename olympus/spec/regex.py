"""Regular expressions in linear time, whatever the text: RE2 (github.com/google/re2). The only home of google-re2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

import re2

_MEMORY: Final = 8 << 20
MANY: Final = 64 << 20
"""Memory for many patterns at once. A set that lacks it for a few dozen states finds nothing: that is far away."""

_UNMATCHED: Final = (-1, -1)


@lru_cache(maxsize=1024)
def compile_pattern(pattern: str, memory: int = _MEMORY) -> re2._Regexp:
    """Raises ValueError, with the reason: RE2 has no look-around and no back-references."""
    try:
        return re2.compile(pattern, _options(memory))
    except re2.error as error:
        reason = error.args[0].decode() if isinstance(error.args[0], bytes) else str(error)
        if any(one in pattern for one in ("(?=", "(?!", "(?<=", "(?<!")):
            reason += ": there is no look-around, so that every pattern takes linear time"
        shown = pattern if len(pattern) <= 80 else pattern[:77] + "…"
        raise ValueError(f"pattern '{shown}': {reason[:200]}") from error


def group_names(pattern: str) -> frozenset[str]:
    """The names of its named groups."""
    return frozenset(compile_pattern(pattern).groupindex)


def search(pattern: str, text: str) -> bool:
    """Whether `pattern` is found anywhere in `text`."""
    return compile_pattern(pattern).search(text) is not None


class BytesPattern:
    """One pattern for texts in UTF-8; what is no UTF-8 matches nothing."""

    def __init__(self, pattern: str, memory: int = _MEMORY) -> None:
        """Raises ValueError, also where it takes more than `memory` bytes."""
        self._compiled = compile_pattern(pattern, memory)
        self._names = tuple(self._compiled.groupindex.items())

    def spans(self, text: bytes) -> Mapping[str, tuple[int, int]] | None:
        """Where its named groups are that took part, in bytes; None: it is not found in `text`."""
        found = self._compiled.search(text)
        if found is None:
            return None
        spans = ((name, found.span(index)) for name, index in self._names)
        return {name: span for name, span in spans if span != _UNMATCHED}

    def find(self, text: bytes, start: int) -> int:
        """Where the first match at or after `start` ends, as if the text began there; -1: there is none."""
        found = self._compiled.search(text, start)
        return -1 if found is None else int(found.end())


class PatternSet:
    """Which of many patterns are found in a short text, in one pass."""

    def __init__(self, patterns: Sequence[str]) -> None:
        """They were compiled one by one before."""
        self._set = re2.Set.SearchSet(_options(MANY))
        for pattern in patterns:
            self._set.Add(pattern)
        self._set.Compile()

    def found_in(self, text: bytes) -> list[int]:
        """Their places in the sequence, in order."""
        return sorted(self._set.Match(text))


def _options(memory: int) -> re2.Options:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = memory
    return options
