"""What expressions mean: a parsed tree becomes a function, bounded in steps and in the size of what it makes.

A path that leads nowhere is MISSING, which is not null: it equals nothing, and neither does its opposite (`!`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from olympus.kernel.diagnostics import did_you_mean
from olympus.spec.dialect import FUNCTIONS, ExpressionError, Node, call, check_arity

MAX_STEPS: Final = 50_000
MAX_SIZE: Final = 256 * 1024


class MissingError(ExpressionError):
    """A path that has to be there is not."""


class _Missing:
    """What a path that leads nowhere evaluates to."""

    def __repr__(self) -> str:
        return "missing"


MISSING: Final = _Missing()


class Budget:
    """Steps and sizes of one evaluation."""

    def __init__(self) -> None:
        self.left = MAX_STEPS

    def spend(self, steps: int = 1) -> None:
        self.left -= steps
        if self.left < 0:
            raise ExpressionError(f"it takes more than {MAX_STEPS} steps")

    def weigh(self, value: Any) -> Any:
        """`value`, unless it is over the limits: shared parts count as often as they are shown."""
        size, stack = 0, [value]
        while stack:
            self.spend()
            one = stack.pop()
            if isinstance(one, str):
                size += len(one)
            elif isinstance(one, list):
                size += 1
                stack.extend(one)
            elif isinstance(one, dict):
                size += sum(map(len, one))
                stack.extend(one.values())
            elif isinstance(one, float) and not math.isfinite(one):
                raise ExpressionError(f"it yields {one}, which is no number in JSON")
            if size > MAX_SIZE or len(stack) > MAX_STEPS:
                raise ExpressionError(f"its result is larger than {MAX_SIZE} bytes")
        return value


Evaluator: TypeAlias = Callable[[Any, Budget], Any]


def compile_node(node: Node) -> Evaluator:
    """Raises ExpressionError where it calls what is not there."""
    return _COMPILERS[node["type"]](node)


# --- values ----------------------------------------------------------------------------------------------


def is_true(value: Any) -> bool:
    """As JMESPath has it: 0 is true; what is empty, null or missing is false."""
    return value is not MISSING and (_is_number(value) or bool(value))


def compare(operator: str, left: Any, right: Any) -> bool | None:
    """None where they can't be compared."""
    if operator in ("==", "!="):
        if unlike(left, right):
            return None
        return (left == right) is (operator == "==")
    if not _is_number(left) or not _is_number(right):
        return None
    match operator:
        case "<":
            return bool(left < right)
        case "<=":
            return bool(left <= right)
        case ">":
            return bool(left > right)
    return bool(left >= right)


def unlike(left: Any, right: Any) -> bool:
    """Whether they can't be compared: null can with anything, true (for Python) not with 1."""
    return kind_of(left) != kind_of(right) and left is not None and right is not None


def kind_of(value: Any) -> str:
    """Its type in words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "text"
    return "list" if isinstance(value, list | tuple) else "object"


def a_kind(value: Any) -> str:
    """`a number`, `an object`."""
    kind = kind_of(value)
    return kind if kind == "null" else f"an {kind}" if kind == "object" else f"a {kind}"


def shown(value: Any) -> str:
    """As JSON, cut where it is long."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else text[:77] + "…"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _or_null(value: Any) -> Any:
    return None if value is MISSING else value


# --- one function for each kind of node ------------------------------------------------------------------


def _field(node: Node) -> Evaluator:
    name = node["value"]

    def evaluate(value: Any, budget: Budget) -> Any:
        budget.left -= 1
        return value.get(name, MISSING) if isinstance(value, Mapping) else MISSING

    return evaluate


def _chain(node: Node) -> Evaluator:
    parts = [compile_node(child) for child in node["children"]]

    def evaluate(value: Any, budget: Budget) -> Any:
        for part in parts:
            value = part(value, budget)
            if value is MISSING:
                return MISSING
        return value

    return evaluate


def _index(node: Node) -> Evaluator:
    at = node["value"]

    def evaluate(value: Any, _budget: Budget) -> Any:
        if not isinstance(value, list) or not -len(value) <= at < len(value):
            return MISSING
        return value[at]

    return evaluate


def _slice(node: Node) -> Evaluator:
    span = slice(*node["children"])
    if span.step == 0:
        raise ExpressionError("the step of a slice can't be 0")
    return lambda value, _: value[span] if isinstance(value, list) else MISSING


def _projected(node: Node, items: Callable[[Any, Budget], list[Any] | None]) -> Evaluator:
    right = compile_node(node["children"][1])

    def evaluate(value: Any, budget: Budget) -> Any:
        base = items(value, budget)
        if base is None:
            return MISSING
        budget.spend(len(base))
        found = (right(one, budget) for one in base)
        return [one for one in found if one is not MISSING and one is not None]

    return evaluate


def _projection(node: Node) -> Evaluator:
    left = compile_node(node["children"][0])

    def items(value: Any, budget: Budget) -> list[Any] | None:
        base = left(value, budget)
        return base if isinstance(base, list) else None

    return _projected(node, items)


def _value_projection(node: Node) -> Evaluator:
    left = compile_node(node["children"][0])

    def items(value: Any, budget: Budget) -> list[Any] | None:
        base = left(value, budget)
        return list(base.values()) if isinstance(base, Mapping) else None

    return _projected(node, items)


def _filter_projection(node: Node) -> Evaluator:
    left, condition = compile_node(node["children"][0]), compile_node(node["children"][2])

    def items(value: Any, budget: Budget) -> list[Any] | None:
        base = left(value, budget)
        if not isinstance(base, list):
            return None
        budget.spend(len(base))
        return [one for one in base if is_true(condition(one, budget))]

    return _projected(node, items)


def _flatten(node: Node) -> Evaluator:
    inner = compile_node(node["children"][0])

    def evaluate(value: Any, budget: Budget) -> Any:
        base = inner(value, budget)
        if not isinstance(base, list):
            return MISSING
        out: list[Any] = []
        for one in base:
            out.extend(one if isinstance(one, list) else [one])
        budget.spend(len(out))
        return out

    return evaluate


def _comparator(node: Node) -> Evaluator:
    operator = {"eq": "==", "ne": "!=", "lt": "<", "gt": ">", "lte": "<=", "gte": ">="}[node["value"]]
    left, right = (compile_node(child) for child in node["children"])

    def evaluate(value: Any, budget: Budget) -> Any:
        a, b = left(value, budget), right(value, budget)
        return MISSING if a is MISSING or b is MISSING else compare(operator, a, b) is True

    return evaluate


def _or(node: Node) -> Evaluator:
    left, right = (compile_node(child) for child in node["children"])

    def evaluate(value: Any, budget: Budget) -> Any:
        found = left(value, budget)
        return found if is_true(found) else right(value, budget)

    return evaluate


def _and(node: Node) -> Evaluator:
    left, right = (compile_node(child) for child in node["children"])

    def evaluate(value: Any, budget: Budget) -> Any:
        found = left(value, budget)
        return right(value, budget) if is_true(found) else found

    return evaluate


def _not(node: Node) -> Evaluator:
    inner = compile_node(node["children"][0])

    def evaluate(value: Any, budget: Budget) -> Any:
        found = inner(value, budget)
        return MISSING if found is MISSING else not is_true(found)

    return evaluate


def _literal(node: Node) -> Evaluator:
    value = node["value"]
    return lambda _value, _budget: value


def _multi_select_list(node: Node) -> Evaluator:
    parts = [compile_node(child) for child in node["children"]]
    return lambda value, budget: budget.weigh([_or_null(part(value, budget)) for part in parts])


def _multi_select_dict(node: Node) -> Evaluator:
    pairs = [(child["value"], compile_node(child["children"][0])) for child in node["children"]]
    return lambda value, budget: budget.weigh({key: _or_null(part(value, budget)) for key, part in pairs})


class _Expression:
    """What the library's functions take for `&expr`: they know it by the name of its class."""

    def __init__(self, evaluate: Evaluator, budget: Budget) -> None:
        self.expression = evaluate
        self.interpreter = self
        self._budget = budget

    def visit(self, evaluate: Evaluator, value: Any, *_: Any, **__: Any) -> Any:
        self._budget.spend()
        return _or_null(evaluate(value, self._budget))


def _expref(node: Node) -> Evaluator:
    inner = compile_node(node["children"][0])
    return lambda _value, budget: _Expression(inner, budget)


def _function(node: Node) -> Evaluator:
    name = node["value"]
    if name not in FUNCTIONS:
        hint = did_you_mean(name, FUNCTIONS) or f": there are {', '.join(sorted(FUNCTIONS))}"
        raise ExpressionError(f"there is no function {name}(){hint}")
    check_arity(name, len(node["children"]))
    parts = [compile_node(child) for child in node["children"]]

    def evaluate(value: Any, budget: Budget) -> Any:
        arguments = [part(value, budget) for part in parts]
        if name == "not_null":
            arguments = [_or_null(argument) for argument in arguments]
        elif any(argument is MISSING for argument in arguments):
            raise MissingError(f"an argument of {name}() is missing")
        for argument in arguments:
            if not isinstance(argument, _Expression):
                budget.weigh(argument)
        return budget.weigh(call(name, arguments))

    return evaluate


_COMPILERS: Final[dict[str, Callable[[Node], Evaluator]]] = {
    "field": _field,
    "subexpression": _chain,
    "index_expression": _chain,
    "pipe": _chain,
    "index": _index,
    "slice": _slice,
    "projection": _projection,
    "value_projection": _value_projection,
    "filter_projection": _filter_projection,
    "flatten": _flatten,
    "comparator": _comparator,
    "or_expression": _or,
    "and_expression": _and,
    "not_expression": _not,
    "literal": _literal,
    "multi_select_list": _multi_select_list,
    "multi_select_dict": _multi_select_dict,
    "function_expression": _function,
    "expref": _expref,
    "identity": lambda _: lambda value, _budget: value,
    "current": lambda _: lambda value, _budget: value,
}
