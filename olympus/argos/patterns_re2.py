"""The engine for machines without Hyperscan, and for what that can't compile: RE2 over whole buffers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from olympus.spec.regex import MANY, BytesPattern, PatternSet


class Re2Engine:
    """One alternation finds lines; a set says which patterns a found line may match."""

    def __init__(self, sought: Sequence[tuple[int, str]], _cache: Path | None = None) -> None:
        """`sought`: patterns with their places, as `syntax.written` writes them. Raises ValueError: too many."""
        self._places = [place for place, _ in sought]
        every = "|".join(f"(?:{text})" for _, text in sought)
        self._any = BytesPattern(every, MANY) if sought else None
        self._set = PatternSet([text for _, text in sought])

    def candidates(self, text: bytes) -> Iterator[tuple[int, int, int]]:
        """(start, end, place of the pattern), each once, in order."""
        if self._any is None:
            return
        at = 0
        while (found := self._any.find(text, at)) >= 0:
            # No pattern is empty or crosses a line's end: the match's last character is in its line.
            start = text.rfind(b"\n", at, found) + 1 or at
            end = text.find(b"\n", found)
            end = len(text) if end < 0 else end
            for index in self._set.found_in(text[start:end]):
                yield start, end, self._places[index]
            at = end + 1
