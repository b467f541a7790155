"""What is enough for a window: marks are told in order, and the earliest moment at which they suffice is found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

Form: TypeAlias = Literal["all", "any", "sequence", "absent", "count", "distinct", "rate"]
Order: TypeAlias = tuple[int, str]
"""(microseconds since 1970, id): where an event has its place."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a window waits for. need: entries of all and sequence, values of count, distinct and rate."""

    form: Form
    within: int
    slack: int
    need: int
    keyed: bool
    digest: str
    """Changes with the rule's `correlate`: windows of another are void."""


@dataclass(frozen=True, slots=True)
class Mark:
    """An event that takes part. values: the entries that it matches, or what counts as distinct."""

    at: int
    id: str
    values: tuple[str, ...]
    body: Mapping[str, Any] | None = None

    @property
    def order(self) -> Order:
        return (self.at, self.id)


class Scan(Protocol):
    """Is told marks in order; says what makes a completion, and begins anew."""

    def __call__(self, mark: Mark) -> tuple[Mark, ...] | None: ...

    def alive(self, since: int) -> list[Mark]:
        """Of what was told since the last completion: what can be part of the next, unless it is before `since`."""
        ...

    def standing(self, since: int) -> list[Mark]:
        """As `alive`, but of a sequence only its longest beginning."""
        ...


class _Gather:
    """So many values, each by its latest event, within the time."""

    def __init__(self, need: int, within: int) -> None:
        self._need = need
        self._within = within
        self._latest: dict[str, Mark] = {}

    def __call__(self, mark: Mark) -> tuple[Mark, ...] | None:
        latest = self._latest
        for value in mark.values or (mark.id,):
            latest.pop(value, None)
            latest[value] = mark
        self._forget(mark.at - self._within)
        if len(latest) < self._need:
            return None
        made = tuple(distinct(latest.values()))
        latest.clear()
        return made

    def alive(self, since: int) -> list[Mark]:
        self._forget(since)
        return distinct(self._latest.values())

    def standing(self, since: int) -> list[Mark]:
        return self.alive(since)

    def _forget(self, before: int) -> None:
        # The longest ago come first.
        while self._latest:
            value, mark = next(iter(self._latest.items()))
            if mark.at >= before:
                return
            del self._latest[value]


class _Chain:
    """One after the other. Of each beginning the one that began last: no other can be in time where it is not."""

    def __init__(self, need: int, within: int) -> None:
        self._within = within
        self._best: list[tuple[Mark, ...]] = [()] * need

    def __call__(self, mark: Mark) -> tuple[Mark, ...] | None:
        best = self._best
        for step in sorted(map(int, mark.values), reverse=True):
            before = best[step - 1] if step else ()
            if step and (not before or mark.at - before[0].at > self._within):
                continue
            best[step] = (*before, mark)
            if step == len(best) - 1:
                made = best[step]
                best[:] = [()] * len(best)
                return made
        return None

    def alive(self, since: int) -> list[Mark]:
        chains = (chain for chain in self._best[:-1] if chain and chain[0].at >= since)
        return distinct(mark for chain in chains for mark in chain)

    def standing(self, since: int) -> list[Mark]:
        return list(next((chain for chain in reversed(self._best) if chain and chain[0].at >= since), ()))


def scan_of(shape: Shape) -> Scan:
    kind: Callable[[int, int], Scan] = _Chain if shape.form == "sequence" else _Gather
    return kind(shape.need, shape.within)


def distinct(marks: Iterable[Mark]) -> list[Mark]:
    return sorted({mark.order: mark for mark in marks}.values(), key=lambda mark: mark.order)
