"""How expressions are read: JMESPath (jmespath.org), with bare numbers as literals. The only home of jmespath.

The library gives the parser and the functions; what a text means when it is evaluated is `evaluation`'s.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, ClassVar, Final, TypeAlias

from jmespath import functions as jmespath_functions
from jmespath import parser as jmespath_parser
from jmespath.exceptions import IncompleteExpressionError, JMESPathError

MAX_LENGTH: Final = 2_000

Node: TypeAlias = dict[str, Any]
"""A part of the tree that the library parses to: `{type, children, value}`."""


class ExpressionError(ValueError):
    """It can't be parsed, or its evaluation failed; the text says why."""


_QUOTED: Final = r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|`(?:\\.|[^`\\])*`"""
_INDEX: Final = r"\[\s*-?\d*\s*(?::\s*-?\d*\s*){0,2}\]"
_NUMBER = re.compile(
    rf"(?P<skip>{_QUOTED}|{_INDEX}|[A-Za-z_]\w*)|(?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)(?![\w.])"
)
_TOKEN = re.compile(rf"{_QUOTED}|&&|\|\||[=!<>]=|[<>|!()\[\]{{}}]|[^\s]")
_COMPARISONS: Final = frozenset({"==", "!=", "<", ">", "<=", ">="})


class _Parser(jmespath_parser.Parser):
    # The library binds ! tighter than a dot: !a.b would be (!a).b.
    BINDING_POWER: ClassVar[dict[str, int]] = jmespath_parser.Parser.BINDING_POWER | {"not": 8}
    _CACHE: ClassVar[dict[str, Any]] = {}


def parse(text: str) -> Node:
    """The tree of an expression. Raises ExpressionError."""
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"the expression is longer than {MAX_LENGTH} characters")
    if not text.strip():
        raise ExpressionError("the expression is empty")
    plain = _NUMBER.sub(lambda m: m["skip"] or f"`{m['number']}`", text)
    try:
        ast: Node = dict(_Parser().parse(plain).parsed)
    except (JMESPathError, RecursionError) as error:
        raise ExpressionError(f"{_shown(text)} is no expression: {_reason(text, error)}") from error
    return ast


def _reason(text: str, error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, IncompleteExpressionError):
        return "it ends too early"
    bare = re.sub(_QUOTED, "", text)
    if re.search(r"(?<![=!<>])=(?!=)", bare):
        return "to compare, write =="
    if re.search(r"\w-\w", bare):
        return "a name with '-' needs quotes: \"a-b\""
    if re.search(r"(?<!&)&(?!&)|\b(and|or|not)\b", bare):
        return "write && for and, || for or, ! for not"
    lines = [line for line in str(error).splitlines() if line.strip(" ^")]
    said = re.sub(r"^(Bad|Invalid) jmespath expression: |^Parse error at column \d+, ", "", lines[0]).rstrip(
        ":"
    )
    return re.sub(r", for expression.*|, token \"(.*)\" .*", r" at '\1'", said[:1].lower() + said[1:])


def _shown(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:77] + "…")


# --- as it was written -----------------------------------------------------------------------------------


def junction(text: str) -> tuple[bool, list[str]] | None:
    """The operands of a text that is joined by && (True) or || (False); None where it is one clause."""
    top = [(token, at) for token, at, depth in _tokens(text) if depth == 0]
    if any(token == "|" for token, _ in top):
        return None
    for operator, is_all in (("||", False), ("&&", True)):
        cuts = [at for token, at in top if token == operator]
        if cuts:
            starts, ends = [0, *(cut + 2 for cut in cuts)], [*cuts, len(text)]
            return is_all, [text[a:b] for a, b in zip(starts, ends, strict=True)]
    return None


def comparison(text: str) -> tuple[str, str, str] | None:
    """Left side, operator, right side, where the whole is one comparison."""
    top = [(token, at) for token, at, depth in _tokens(text) if depth == 0]
    found = [(token, at) for token, at in top if token in _COMPARISONS]
    if len(found) != 1 or any(token in ("|", "!", "&&", "||") for token, _ in top):
        return None
    operator, at = found[0]
    return text[:at].strip(), operator, text[at + len(operator) :].strip()


def unwrapped(text: str) -> str:
    """Without brackets around the whole of it."""
    text = text.strip()
    while text.startswith("("):
        closing = next((at for token, at, depth in _tokens(text) if token == ")" and depth == 0), None)
        if closing != len(text) - 1:
            break
        text = text[1:-1].strip()
    return text


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


# --- what it reads ---------------------------------------------------------------------------------------


def paths(node: Node) -> Iterator[tuple[str, ...]]:
    """The plain beginnings of what is read from the roots: `a.b[0].c` gives (a, b)."""
    kind, children = node["type"], node["children"]
    if kind == "field":
        yield (node["value"],)
    elif kind in ("subexpression", "index_expression", "projection", "value_projection", "filter_projection"):
        plain = _plain(node)
        yield from [plain] if plain else paths(children[0])
    elif kind in ("pipe", "flatten"):
        yield from paths(children[0])
    elif kind not in ("literal", "expref", "index", "slice", "current", "identity"):
        for child in children:
            yield from paths(child["children"][0] if child["type"] == "key_val_pair" else child)


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


# --- its functions ---------------------------------------------------------------------------------------

_LIBRARY: Final = jmespath_functions.Functions()
FUNCTIONS: Final = frozenset(_LIBRARY.FUNCTION_TABLE)


def check_arity(name: str, count: int) -> None:
    """Raises ExpressionError where one of FUNCTIONS does not take so many arguments."""
    signature = _LIBRARY.FUNCTION_TABLE[name]["signature"]
    wanted, more = len(signature), bool(signature) and bool(signature[-1].get("variadic"))
    if count < wanted or (count > wanted and not more):
        number = f"{wanted} argument{'' if wanted == 1 else 's'}{' or more' if more else ''}"
        raise ExpressionError(f"{name}() takes {number}, not {count}")


def call(name: str, arguments: list[Any]) -> Any:
    """One of FUNCTIONS. Raises ExpressionError where the arguments are not what it takes."""
    try:
        return _LIBRARY.call_function(name, arguments)
    except JMESPathError as error:
        raise ExpressionError(str(error)) from error
