"""Brute force, slowed: who tries too often waits, ever longer. Pure: the time is passed in.

A try counts when it is made, and not when it has failed: a thousand at once are a thousand tries.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Limit:
    """free: tries that cost nothing; after that each doubles the wait, from a second up to `longest`."""

    free: int
    longest: float


_PAIR: Final = Limit(free=5, longest=900.0)
_ADDRESS: Final = Limit(free=20, longest=900.0)
# Not longer: a stranger must not be able to lock somebody out.
_NAME: Final = Limit(free=100, longest=10.0)
_FORGOTTEN: Final = 3600.0
_REMEMBERED: Final = 10_000


@dataclass(slots=True)
class _Tries:
    count: int
    last: float
    until: float


class Slowing:
    """Tries by name and address together, by address, and by name; all in seconds of one clock."""

    def __init__(self) -> None:
        self._tries: OrderedDict[tuple[str, str], _Tries] = OrderedDict()

    def wait(self, name: str, address: str, now: float) -> float:
        """0: the try may be made, and is counted; else for how long none may be made."""
        limits = {(name, address): _PAIR, ("", address): _ADDRESS, (name, ""): _NAME}
        known = {key: self._known(key, now) for key in limits}
        longest = max(tries.until - now for tries in known.values())
        if longest > 0:
            return longest
        for key, limit in limits.items():
            tries = known[key]
            tries.count += 1
            tries.last = now
            over = tries.count - limit.free
            tries.until = now + min(2.0 ** min(over, 30), limit.longest) if over >= 0 else now
            self._tries[key] = tries
            self._tries.move_to_end(key)
        while len(self._tries) > _REMEMBERED:
            self._tries.popitem(last=False)
        return 0.0

    def succeeded(self, name: str, address: str) -> None:
        """It was the right one. The address stays counted: somebody there may know one password of many."""
        self._tries.pop((name, address), None)
        self._tries.pop((name, ""), None)

    def _known(self, key: tuple[str, str], now: float) -> _Tries:
        found = self._tries.get(key)
        return found if found is not None and now - found.last < _FORGOTTEN else _Tries(0, now, now)
