"""Expressions and conditions: JMESPath (jmespath.org) with the contract's two changes. The only home of jmespath.

- Bare numbers may be literals: `steps.look.exit == 0`.
- A missing path equals nothing: a clause that needs it is false with the reason "missing" (plain JMESPath says
  null == null is true). A null that is there is a value: `data.x == null` holds for `{"x": null}`.

The library parses; evaluation is ours, so that it can be bounded in steps and size, can tell missing from null,
and can say why a clause is false.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal, TypeAlias

import jmespath
from jmespath import functions as jmespath_functions
from jmespath.exceptions import JMESPathError

MAX_LENGTH: Final = 2_000
MAX_STEPS: Final = 50_000
MAX_SIZE: Final = 256 * 1024

Truth: TypeAlias = Literal["true", "false", "missing"]
Node: TypeAlias = dict[str, Any]


class ExpressionError(ValueError):
    """It can't be parsed, or its evaluation failed; the text says why."""


class _MissingError(ExpressionError):
    """A path that has to be there is not."""


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


class _Missing:
    """What a path that leads nowhere evaluates to."""

    def __repr__(self) -> str:
        return "missing"


MISSING: Final = _Missing()


class _Budget:
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
            if size > MAX_SIZE or len(stack) > MAX_STEPS:
                raise ExpressionError(f"its result is larger than {MAX_SIZE} bytes")
        return value


Evaluator: TypeAlias = Callable[[Any, _Budget], Any]


class Value:
    """A compiled expression. Made by `compile_value`."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.ast = _parse(text)
        self._evaluate = _compile(self.ast)

    def evaluate(self, roots: Mapping[str, Any]) -> Any:
        """The JSON value. Raises ExpressionError, also where a path is missing."""
        found = self.look(roots, _Budget())
        if found is MISSING:
            raise _MissingError(f"{self.text} is missing")
        return found

    def look(self, roots: Mapping[str, Any], budget: _Budget) -> Any:
        """As `evaluate`, but MISSING where a path is missing."""
        try:
            return self._evaluate(roots, budget)
        except (JMESPathError, TypeError, RecursionError, OverflowError, AttributeError) as error:
            raise ExpressionError(f"{self.text}: {error}") from error

    def roots(self) -> frozenset[str]:
        """The names that it begins its paths with."""
        return frozenset(path[0] for path in self.paths())

    def paths(self) -> tuple[tuple[str, ...], ...]:
        """What it reads, as far as it is plain: `a.b[0].c` gives (a, b)."""
        return tuple(dict.fromkeys(_paths(self.ast)))


@lru_cache(maxsize=8192)
def compile_value(text: str) -> Value:
    """Raises ExpressionError, with the column, where it can't be parsed."""
    return Value(text)


class Condition:
    """A compiled condition. Made by `compile_condition`."""

    def __init__(self, text: str) -> None:
        self.text = text
        # The whole has to parse, and not only its parts.
        _parse(text)
        self._tree = _split(text)

    def evaluate(self, roots: Mapping[str, Any]) -> Verdict:
        """Never raises: what can't be evaluated is false, with its reason. All clauses are evaluated."""
        clauses: list[Clause] = []
        value = self._tree.evaluate(roots, _Budget(), clauses)
        return Verdict(value, tuple(clauses))

    def holds(self, roots: Mapping[str, Any]) -> bool:
        """As `evaluate`, without reasons."""
        return self._tree.holds(roots, _Budget())

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

    def evaluate(self, roots: Mapping[str, Any], budget: _Budget, clauses: list[Clause]) -> bool:
        values = [part.evaluate(roots, budget, clauses) for part in self.parts]
        return all(values) if self.all else any(values)

    def holds(self, roots: Mapping[str, Any], budget: _Budget) -> bool:
        if self.all:
            return all(part.holds(roots, budget) for part in self.parts)
        return any(part.holds(roots, budget) for part in self.parts)

    def leaves(self) -> Iterator[Leaf]:
        for part in self.parts:
            yield from part.leaves()


class Leaf:
    """One clause: a comparison, or anything that is true or false by itself."""

    def __init__(self, text: str) -> None:
        self.text = text
        sides = _comparison(text)
        self.operator: str | None = None
        if sides is None:
            # The library binds ! tighter than a dot: !a.b would be (!a).b.
            plain = f"!({text[1:]})" if re.match(r"!(?!=)", text) else text
            self.left = self.right = compile_value(plain)
        else:
            left, self.operator, right = sides
            self.left, self.right = compile_value(left), compile_value(right)
            self._refuse_unlike()

    def _refuse_unlike(self) -> None:
        ordering = self.operator not in ("==", "!=")
        for side in (self.left, self.right):
            if ordering and side.ast["type"] == "literal" and _kind(side.ast["value"]) != "number":
                raise ExpressionError(
                    f"{self.text}: only numbers can be ordered, and {side.text} is {_a(side.ast['value'])}"
                )
        if self.left.ast["type"] == self.right.ast["type"] == "literal":
            left, right = self.left.ast["value"], self.right.ast["value"]
            if _kind(left) != _kind(right):
                raise ExpressionError(f"{self.text}: {_a(left)} never equals {_a(right)}")

    def evaluate(self, roots: Mapping[str, Any], budget: _Budget, clauses: list[Clause]) -> bool:
        try:
            clause = self._judge(roots, budget)
        except _MissingError as error:
            clause = Clause(self.text, "missing", str(error))
        except ExpressionError as error:
            clause = Clause(self.text, "false", str(error))
        clauses.append(clause)
        return clause.value == "true"

    def holds(self, roots: Mapping[str, Any], budget: _Budget) -> bool:
        try:
            left = self.left.look(roots, budget)
            if self.operator is None:
                return _true(left)
            right = self.right.look(roots, budget)
        except ExpressionError:
            return False
        return left is not MISSING and right is not MISSING and _compare(self.operator, left, right) is True

    def _judge(self, roots: Mapping[str, Any], budget: _Budget) -> Clause:
        left = self.left.look(roots, budget)
        if left is MISSING:
            return Clause(self.text, "missing", f"{self.left.text} is missing")
        if self.operator is None:
            return Clause(self.text, "true" if _true(left) else "false", f"it is {_shown(left)}")
        right = self.right.look(roots, budget)
        if right is MISSING:
            return Clause(self.text, "missing", f"{self.right.text} is missing")
        held = _compare(self.operator, left, right)
        said = f"{self.left.text} is {_shown(left)}" if self.left.ast["type"] != "literal" else ""
        if self.right.ast["type"] != "literal":
            said += f"{' and ' if said else ''}{self.right.text} is {_shown(right)}"
        if held is True:
            return Clause(self.text, "true", said)
        if held is None:
            return Clause(self.text, "false", f"{said}: {_a(left)} can't be ordered against {_a(right)}")
        if self.operator == "==" and _kind(left) != _kind(right):
            return Clause(self.text, "false", f"{said}: {_a(left)} never equals {_a(right)}")
        return Clause(self.text, "false", f"{said}, not {self.operator} {_shown(right)}")

    def leaves(self) -> Iterator[Leaf]:
        yield self

    def paths(self) -> tuple[tuple[str, ...], ...]:
        return self.left.paths() if self.operator is None else (*self.left.paths(), *self.right.paths())


# --- reading ---------------------------------------------------------------------------------------------

_QUOTED: Final = r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|`(?:\\.|[^`\\])*`"""
_INDEX: Final = r"\[\s*-?\d*\s*(?::\s*-?\d*\s*){0,2}\]"
_NUMBER = re.compile(
    rf"(?P<skip>{_QUOTED}|{_INDEX}|[A-Za-z_]\w*)|(?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)(?![\w.])"
)
_TOKEN = re.compile(rf"{_QUOTED}|&&|\|\||[=!<>]=|[<>|!()\[\]{{}}]|[^\s]")


def _parse(text: str) -> Node:
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"it is longer than {MAX_LENGTH} characters")
    if not text.strip():
        raise ExpressionError("it is empty")
    plain = _NUMBER.sub(lambda m: m["skip"] or f"`{m['number']}`", text)
    try:
        ast: Node = dict(jmespath.compile(plain).parsed)
    except (JMESPathError, RecursionError) as error:
        lines = [line for line in str(error).splitlines() if line.strip(" ^")]
        reason = lines[0] if lines else type(error).__name__
        hint = " (a name with '-' needs quotes: \"a-b\")" if re.search(r"\w-\w", text) else ""
        raise ExpressionError(f"{text!r} is no expression: {reason}{hint}") from error
    return ast


def _tokens(text: str) -> Iterator[tuple[str, int, int]]:
    """Each token with its place and how deep in brackets it stands."""
    depth = 0
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token in ")]}":
            depth -= 1
        yield token, match.start(), depth
        if token in "([{":
            depth += 1


def _split(text: str) -> _Junction | Leaf:
    text = _unwrapped(text.strip())
    top = [(token, at) for token, at, depth in _tokens(text) if depth == 0]
    if not any(token == "|" for token, _ in top):
        for operator, is_all in (("||", False), ("&&", True)):
            cuts = [at for token, at in top if token == operator]
            if cuts:
                starts, ends = [0, *(cut + 2 for cut in cuts)], [*cuts, len(text)]
                parts = tuple(_split(text[a:b]) for a, b in zip(starts, ends, strict=True))
                return _Junction(is_all, parts)
    return Leaf(text)


def _unwrapped(text: str) -> str:
    """Without brackets around the whole of it."""
    while text.startswith("("):
        closing = next((at for token, at, depth in _tokens(text) if token == ")" and depth == 0), None)
        if closing != len(text) - 1:
            break
        text = text[1:-1].strip()
    return text


def _comparison(text: str) -> tuple[str, str, str] | None:
    """Left side, operator, right side, where the whole is one comparison."""
    top = [(token, at) for token, at, depth in _tokens(text) if depth == 0]
    found = [(token, at) for token, at in top if token in ("==", "!=", "<", ">", "<=", ">=")]
    if len(found) != 1 or any(token in ("|", "!", "&&", "||") for token, _ in top):
        return None
    operator, at = found[0]
    return text[:at].strip(), operator, text[at + len(operator) :].strip()


# --- evaluating ------------------------------------------------------------------------------------------


def _compile(node: Node) -> Evaluator:
    return _COMPILERS[node["type"]](node)


def _field(node: Node) -> Evaluator:
    name = node["value"]

    def evaluate(value: Any, budget: _Budget) -> Any:
        budget.left -= 1
        return value.get(name, MISSING) if isinstance(value, Mapping) else MISSING

    return evaluate


def _chain(node: Node) -> Evaluator:
    parts = [_compile(child) for child in node["children"]]

    def evaluate(value: Any, budget: _Budget) -> Any:
        for part in parts:
            value = part(value, budget)
            if value is MISSING:
                return MISSING
        return value

    return evaluate


def _index(node: Node) -> Evaluator:
    at = node["value"]

    def evaluate(value: Any, _budget: _Budget) -> Any:
        if not isinstance(value, list) or not -len(value) <= at < len(value):
            return MISSING
        return value[at]

    return evaluate


def _slice(node: Node) -> Evaluator:
    span = slice(*node["children"])
    if span.step == 0:
        raise ExpressionError("the step of a slice can't be 0")
    return lambda value, _: value[span] if isinstance(value, list) else MISSING


def _projected(node: Node, items: Callable[[Any, _Budget], list[Any] | None]) -> Evaluator:
    right = _compile(node["children"][1])

    def evaluate(value: Any, budget: _Budget) -> Any:
        base = items(value, budget)
        if base is None:
            return MISSING
        budget.spend(len(base))
        found = (right(one, budget) for one in base)
        return [one for one in found if one is not MISSING and one is not None]

    return evaluate


def _projection(node: Node) -> Evaluator:
    left = _compile(node["children"][0])

    def items(value: Any, budget: _Budget) -> list[Any] | None:
        base = left(value, budget)
        return base if isinstance(base, list) else None

    return _projected(node, items)


def _value_projection(node: Node) -> Evaluator:
    left = _compile(node["children"][0])

    def items(value: Any, budget: _Budget) -> list[Any] | None:
        base = left(value, budget)
        return list(base.values()) if isinstance(base, Mapping) else None

    return _projected(node, items)


def _filter_projection(node: Node) -> Evaluator:
    left, condition = _compile(node["children"][0]), _compile(node["children"][2])

    def items(value: Any, budget: _Budget) -> list[Any] | None:
        base = left(value, budget)
        if not isinstance(base, list):
            return None
        budget.spend(len(base))
        return [one for one in base if _true(condition(one, budget))]

    return _projected(node, items)


def _flatten(node: Node) -> Evaluator:
    inner = _compile(node["children"][0])

    def evaluate(value: Any, budget: _Budget) -> Any:
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
    left, right = (_compile(child) for child in node["children"])

    def evaluate(value: Any, budget: _Budget) -> Any:
        a, b = left(value, budget), right(value, budget)
        return a is not MISSING and b is not MISSING and _compare(operator, a, b) is True

    return evaluate


def _or(node: Node) -> Evaluator:
    left, right = (_compile(child) for child in node["children"])

    def evaluate(value: Any, budget: _Budget) -> Any:
        found = left(value, budget)
        return found if _true(found) else right(value, budget)

    return evaluate


def _and(node: Node) -> Evaluator:
    left, right = (_compile(child) for child in node["children"])

    def evaluate(value: Any, budget: _Budget) -> Any:
        found = left(value, budget)
        return right(value, budget) if _true(found) else found

    return evaluate


def _not(node: Node) -> Evaluator:
    inner = _compile(node["children"][0])
    return lambda value, budget: not _true(inner(value, budget))


def _literal(node: Node) -> Evaluator:
    value = node["value"]
    return lambda _value, _budget: value


def _multi_select_list(node: Node) -> Evaluator:
    parts = [_compile(child) for child in node["children"]]
    return lambda value, budget: budget.weigh([_or_null(part(value, budget)) for part in parts])


def _multi_select_dict(node: Node) -> Evaluator:
    pairs = [(child["value"], _compile(child["children"][0])) for child in node["children"]]
    return lambda value, budget: budget.weigh({key: _or_null(part(value, budget)) for key, part in pairs})


class _Expression:
    """What the library's functions take for `&expr`: they know it by the name of its class."""

    def __init__(self, evaluate: Evaluator, budget: _Budget) -> None:
        self.expression = evaluate
        self.interpreter = self
        self._budget = budget

    def visit(self, evaluate: Evaluator, value: Any, *_: Any, **__: Any) -> Any:
        self._budget.spend()
        return _or_null(evaluate(value, self._budget))


def _expref(node: Node) -> Evaluator:
    inner = _compile(node["children"][0])
    return lambda _value, budget: _Expression(inner, budget)


_FUNCTIONS: Final = jmespath_functions.Functions()


def _function(node: Node) -> Evaluator:
    name = node["value"]
    if name not in _FUNCTIONS.FUNCTION_TABLE:
        known = ", ".join(sorted(_FUNCTIONS.FUNCTION_TABLE))
        raise ExpressionError(f"there is no function {name}(); there are {known}")
    parts = [_compile(child) for child in node["children"]]

    def evaluate(value: Any, budget: _Budget) -> Any:
        arguments = [part(value, budget) for part in parts]
        if name == "not_null":
            arguments = [_or_null(argument) for argument in arguments]
        elif any(argument is MISSING for argument in arguments):
            raise _MissingError(f"an argument of {name}() is missing")
        for argument in arguments:
            if not isinstance(argument, _Expression):
                budget.weigh(argument)
        return budget.weigh(_FUNCTIONS.call_function(name, arguments))

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


def _or_null(value: Any) -> Any:
    return None if value is MISSING else value


def _true(value: Any) -> bool:
    # JMESPath: 0 is true; empty and null are false.
    return value is not MISSING and (_is_number(value) or bool(value))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _compare(operator: str, left: Any, right: Any) -> bool | None:
    """None where they can't be compared."""
    if operator in ("==", "!="):
        # For Python, true equals 1.
        same = _kind(left) == _kind(right) and left == right
        return same is (operator == "==")
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


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "text"
    return "list" if isinstance(value, list | tuple) else "object"


def _a(value: Any) -> str:
    kind = _kind(value)
    return kind if kind == "null" else f"an {kind}" if kind == "object" else f"a {kind}"


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else text[:77] + "…"


def _paths(node: Node) -> Iterator[tuple[str, ...]]:
    """The plain beginnings of what is read from the roots."""
    kind, children = node["type"], node["children"]
    if kind == "field":
        yield (node["value"],)
    elif kind in ("subexpression", "index_expression", "projection", "value_projection", "filter_projection"):
        plain = _plain(node)
        yield from [plain] if plain else _paths(children[0])
    elif kind in ("pipe", "flatten"):
        yield from _paths(children[0])
    elif kind not in ("literal", "expref", "index", "slice", "current", "identity"):
        for child in children:
            yield from _paths(child["children"][0] if child["type"] == "key_val_pair" else child)


def _plain(node: Node) -> tuple[str, ...]:
    """(a, b) of `a.b`, `a.b[0]`, `a.b[*].c`; () where it doesn't begin with a name."""
    if node["type"] == "field":
        return (node["value"],)
    if node["type"] == "subexpression":
        names: tuple[str, ...] = ()
        for child in node["children"]:
            if child["type"] not in ("field", "subexpression", "index_expression"):
                return names
            part = _plain(child)
            if not part:
                return names
            names += part
            if child["type"] == "index_expression":
                return names
        return names
    if node["type"] in ("index_expression", "projection", "value_projection", "filter_projection", "flatten"):
        return _plain(node["children"][0])
    return ()
