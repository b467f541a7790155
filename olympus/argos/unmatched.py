"""Samples of lines that no pattern knows, for writing one: lines that differ in numbers alone are of one shape.

Bounded in memory, whatever comes: of shapes that were not seen for the longest time, the rarest go first.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

SHAPES: Final = 200
_SHOWN: Final = 1024
_LOOKED_AT: Final = 256
_VARIES: Final = re.compile(rb"[0-9a-fA-F]*[0-9][0-9a-fA-F]*")


@dataclass(frozen=True, slots=True)
class Sample:
    """line: the last one of its shape. count: how many of them were looked at."""

    line: str
    count: int


class Unmatched:
    """`add` lines, ask for `samples`."""

    def __init__(self, shapes: int = SHAPES) -> None:
        self._most = shapes
        self._shapes: OrderedDict[bytes, tuple[int, bytes]] = OrderedDict()
        self.lines = 0

    def add(self, line: bytes) -> None:
        self.lines += 1
        shape = _VARIES.sub(b"0", line[:_LOOKED_AT])
        count, _ = self._shapes.get(shape, (0, b""))
        self._shapes[shape] = count + 1, line[:_SHOWN]
        self._shapes.move_to_end(shape)
        if len(self._shapes) > self._most:
            self._drop()

    def _drop(self) -> None:
        oldest = list(self._shapes)[: max(1, self._most // 2)]
        del self._shapes[min(oldest, key=lambda shape: self._shapes[shape][0])]

    def samples(self, most: int) -> list[Sample]:
        """The commonest shapes first."""
        found = sorted(self._shapes.values(), key=lambda one: -one[0])[:most]
        return [Sample(line.decode(errors="replace"), count) for count, line in found]
