"""Expressions and conditions: JMESPath (jmespath.org) with the contract's two changes.

- Bare numbers may be literals: `steps.look.exit == 0`.
- A missing path equals nothing: a clause that needs it is false with the reason "missing" (plain JMESPath says
  null == null is true), and so is its opposite: `!data.x` needs a data.x. A null that is there is a value, which
  may be compared with anything: ``data.x == `null` `` holds for `{"x": null}`.

Unlike types are never equal and never different: such a clause is false, with its reason.

`dialect` reads them, `evaluation` says what they yield, within bounds; here is whether a condition holds, and
why not, clause by clause.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, TypeAlias

from olympus.spec.dialect import ExpressionError, comparison, junction, parse, paths, unwrapped
from olympus.spec.evaluation import (
    MISSING,
    Budget,
    MissingError,
    a_kind,
    compare,
    compile_node,
    is_true,
    kind_of,
    shown,
    unlike,
)

__all__ = [
    "Clause",
    "Condition",
    "ExpressionError",
    "Leaf",
    "Value",
    "Verdict",
    "compile_condition",
    "compile_value",
]

Truth: TypeAlias = Literal["true", "false", "missing"]


@dataclass(frozen=True, slots=True)
class Clause:
    """An operand of the condition's and/or, as it was written, and what became of it."""

    text: str
    value: Truth
    because: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a condition holds, and why."""

    value: bool
    clauses: tuple[Clause, ...]


class Value:
    """A compiled expression. Made by `compile_value`."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.ast = parse(text)
        try:
            self._evaluate = compile_node(self.ast)
        except RecursionError as error:
            raise ExpressionError(f"{text[:60]!r}… is nested too deeply") from error

    def evaluate(self, roots: Mapping[str, Any]) -> Any:
        """The JSON value. Raises ExpressionError, also where a path is missing."""
        found = self.look(roots, Budget())
        if found is MISSING:
            raise MissingError(f"{self.text} is missing")
        return found

    def look(self, roots: Mapping[str, Any], budget: Budget) -> Any:
        """As `evaluate`, but MISSING where a path is missing."""
        try:
            return self._evaluate(roots, budget)
        except ExpressionError:
            raise
        except (TypeError, ValueError, RecursionError, OverflowError, AttributeError) as error:
            raise ExpressionError(f"{self.text}: {error}") from error

    def roots(self) -> frozenset[str]:
        """The names that it begins its paths with."""
        return frozenset(path[0] for path in self.paths())

    def paths(self) -> tuple[tuple[str, ...], ...]:
        """What it reads, as far as it is plain: `a.b[0].c` gives (a, b)."""
        return tuple(dict.fromkeys(paths(self.ast)))


@lru_cache(maxsize=8192)
def compile_value(text: str) -> Value:
    """Raises ExpressionError, with the column, where it can't be parsed."""
    return Value(text)


class Condition:
    """A compiled condition. Made by `compile_condition`."""

    def __init__(self, text: str) -> None:
        self.text = text
        # The whole has to parse, and not only its parts.
        parse(text)
        self._tree = _split(text)

    def evaluate(self, roots: Mapping[str, Any]) -> Verdict:
        """Never raises: what can't be evaluated is false, with its reason. All clauses are evaluated."""
        clauses: list[Clause] = []
        value = self._tree.evaluate(roots, Budget(), clauses)
        return Verdict(value, tuple(clauses))

    def holds(self, roots: Mapping[str, Any]) -> bool:
        """As `evaluate`, without reasons."""
        return self._tree.holds(roots, Budget())

    def decided(self, roots: Mapping[str, Any]) -> bool | None:
        """As `holds`, but None where it hangs on a clause that can't be told: missing, unlike, or failed."""
        return self._tree.decided(roots, Budget())

    def roots(self) -> frozenset[str]:
        return frozenset(path[0] for path in self.paths())

    def paths(self) -> tuple[tuple[str, ...], ...]:
        return tuple(dict.fromkeys(path for leaf in self.leaves() for path in leaf.paths()))

    def leaves(self) -> tuple[Leaf, ...]:
        """The clauses, in the order they were written."""
        return tuple(self._tree.leaves())


@lru_cache(maxsize=8192)
def compile_condition(text: str) -> Condition:
    """Raises ExpressionError where it can't be parsed, or can never hold because its types are unlike."""
    return Condition(text)


@dataclass(frozen=True, slots=True)
class _Junction:
    """`parts` joined by && (all) or || (any)."""

    all: bool
    parts: tuple[_Junction | Leaf, ...]

    def evaluate(self, roots: Mapping[str, Any], budget: Budget, clauses: list[Clause]) -> bool:
        values = [part.evaluate(roots, budget, clauses) for part in self.parts]
        return all(values) if self.all else any(values)

    def holds(self, roots: Mapping[str, Any], budget: Budget) -> bool:
        if self.all:
            return all(part.holds(roots, budget) for part in self.parts)
        return any(part.holds(roots, budget) for part in self.parts)

    def decided(self, roots: Mapping[str, Any], budget: Budget) -> bool | None:
        values = [part.decided(roots, budget) for part in self.parts]
        if (not self.all) in values:
            return not self.all
        return None if None in values else self.all

    def leaves(self) -> Iterator[Leaf]:
        for part in self.parts:
            yield from part.leaves()


def _split(text: str) -> _Junction | Leaf:
    text = unwrapped(text)
    parts = junction(text)
    return Leaf(text) if parts is None else _Junction(parts[0], tuple(map(_split, parts[1])))


class Leaf:
    """One clause: a comparison, or anything that is true or false by itself."""

    def __init__(self, text: str) -> None:
        self.text = text
        sides = comparison(text)
        self.operator: str | None = None
        if sides is None:
            self.left = self.right = compile_value(text)
        else:
            left, self.operator, right = sides
            self.left, self.right = compile_value(left), compile_value(right)
            self._refuse_unlike()

    def _refuse_unlike(self) -> None:
        ordering = self.operator not in ("==", "!=")
        for side in (self.left, self.right):
            if ordering and side.ast["type"] == "literal" and kind_of(side.ast["value"]) != "number":
                raise ExpressionError(
                    f"{self.text}: only numbers can be ordered, and {side.text} is {a_kind(side.ast['value'])}"
                )
        if self.left.ast["type"] == self.right.ast["type"] == "literal":
            left, right = self.left.ast["value"], self.right.ast["value"]
            if unlike(left, right):
                raise ExpressionError(f"{self.text}: {a_kind(left)} never equals {a_kind(right)}")

    def evaluate(self, roots: Mapping[str, Any], budget: Budget, clauses: list[Clause]) -> bool:
        try:
            clause = self._judge(roots, budget)
        except MissingError as error:
            clause = Clause(self.text, "missing", str(error))
        except ExpressionError as error:
            clause = Clause(self.text, "false", str(error))
        clauses.append(clause)
        return clause.value == "true"

    def holds(self, roots: Mapping[str, Any], budget: Budget) -> bool:
        try:
            left = self.left.look(roots, budget)
            if self.operator is None:
                return is_true(left)
            right = self.right.look(roots, budget)
        except ExpressionError:
            return False
        return left is not MISSING and right is not MISSING and compare(self.operator, left, right) is True

    def decided(self, roots: Mapping[str, Any], budget: Budget) -> bool | None:
        try:
            left = self.left.look(roots, budget)
            right = left if self.operator is None else self.right.look(roots, budget)
        except ExpressionError:
            return None
        if left is MISSING or right is MISSING:
            return None
        return is_true(left) if self.operator is None else compare(self.operator, left, right)

    def _judge(self, roots: Mapping[str, Any], budget: Budget) -> Clause:
        left = self.left.look(roots, budget)
        if left is MISSING:
            return Clause(self.text, "missing", f"{self.left.text} is missing")
        if self.operator is None:
            return Clause(self.text, "true" if is_true(left) else "false", f"it is {shown(left)}")
        right = self.right.look(roots, budget)
        if right is MISSING:
            return Clause(self.text, "missing", f"{self.right.text} is missing")
        held = compare(self.operator, left, right)
        said = f"{self.left.text} is {shown(left)}" if self.left.ast["type"] != "literal" else ""
        if self.right.ast["type"] != "literal":
            said += f"{' and ' if said else ''}{self.right.text} is {shown(right)}"
        if held is True:
            return Clause(self.text, "true", said)
        if held is None:
            return Clause(
                self.text, "false", f"{said}: {a_kind(left)} can't be compared with {a_kind(right)}"
            )
        return Clause(self.text, "false", f"{said}, not {self.operator} {shown(right)}")

    def leaves(self) -> Iterator[Leaf]:
        yield self

    def paths(self) -> tuple[tuple[str, ...], ...]:
        return self.left.paths() if self.operator is None else (*self.left.paths(), *self.right.paths())
