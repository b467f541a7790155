"""Which step of a Pipeline comes before which; and circles, in this and in other graphs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any

from olympus.spec.kinds.pipeline import MAX_STEPS


class StepGraph:
    """Of steps as they were written. Raises ValueError where there are too many, LookupError where one has no name."""

    def __init__(self, steps: Sequence[Mapping[str, Any]]) -> None:
        if len(steps) > MAX_STEPS:
            raise ValueError(f"{len(steps)} steps")
        self.needs = needs_of(steps)
        self._before: dict[str, frozenset[str]] = {}

    def before(self, name: str) -> frozenset[str]:
        """All steps that have ended when `name` begins."""
        known = self._before.get(name)
        if known is None:
            found: set[str] = set()
            ahead = list(self.needs.get(name, ()))
            while ahead:
                one = ahead.pop()
                if one not in found:
                    found.add(one)
                    ahead.extend(self.needs.get(one, ()))
            known = self._before[name] = frozenset(found)
        return known


def needs_of(steps: Iterable[Mapping[str, Any]]) -> dict[str, tuple[str, ...]]:
    """What each step waits for: its needs, or the step before it; a handler waits for all before it."""
    out: dict[str, tuple[str, ...]] = {}
    before: list[str] = []
    for step in steps:
        implied = before[-1:] if step.get("on", "success") == "success" else before
        needs = step.get("needs")
        out[step["name"]] = tuple(implied if needs is None else needs)
        before.append(step["name"])
    return out


def cycle_in(graph: Mapping[str, Sequence[str]]) -> list[str]:
    """A circle, its first name again at its end; empty where there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        # The sorter names them from what is needed to what needs it.
        return list(reversed(error.args[1]))
    return []
