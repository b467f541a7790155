"""Which clauses of a rule its tests have seen true, and which false."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from olympus.athena.reasons import entries_of
from olympus.athena.rules import Rule
from olympus.spec.expression import Clause, Condition, compile_condition


@dataclass(slots=True)
class Coverage:
    """(where in the rule, clause) → the values that it had; missing counts as false."""

    seen: dict[tuple[str, str], set[bool]] = field(default_factory=dict)

    def add(self, place: str, clauses: Iterable[Clause]) -> None:
        for clause in clauses:
            self.add_value(place, clause.text, held=clause.value == "true")

    def add_value(self, place: str, text: str, *, held: bool) -> None:
        """What the rule has not at that place is left out."""
        if (place, text) in self.seen:
            self.seen[place, text].add(held)

    def join(self, other: Coverage) -> None:
        """What another test of the rule has seen."""
        for at, values in other.seen.items():
            self.seen.setdefault(at, set()).update(values)

    @property
    def lacking(self) -> list[tuple[str, str, str]]:
        """(where, clause, `never true`, `never false` or `never looked at`)."""
        words = {(): "never looked at", (False,): "never true", (True,): "never false"}
        return [
            (place, text, words[tuple(values)])
            for (place, text), values in self.seen.items()
            if len(values) < 2
        ]


def coverage_of(rule: Rule) -> Coverage:
    """Of a rule that nothing has been seen of yet."""
    return Coverage({(place, leaf.text): set() for place, one in conditions(rule) for leaf in one.leaves()})


def conditions(rule: Rule) -> Iterator[tuple[str, Condition]]:
    """With their places in the spec."""
    for entry in entries_of(rule):
        if entry.where is not None:
            yield "where", entry.where
    if rule.when is not None:
        yield "when", rule.when
    for index, rung in enumerate(rule.raw["solve"]):
        for place, text in _verified_by(rung["verify"]):
            if "${{" not in text:
                yield f"solve[{index}].verify.{place}", compile_condition(text)


def _verified_by(verify: dict[str, Any]) -> Iterator[tuple[str, str]]:
    absent, until = verify.get("absent") or {}, verify.get("until")
    if absent.get("where") is not None:
        yield "absent.where", absent["where"]
    if isinstance(until, str):
        yield "until", until
