"""How an error of a model is said to the person who wrote the value."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from olympus.kernel.diagnostics import did_you_mean
from olympus.spec.duration import PATTERN as DURATION
from olympus.spec.kinds.base import DNS_LABEL, IDENTIFIER
from olympus.spec.kinds.metadata import LABEL_KEY, LABEL_VALUE


def sentence(error: Mapping[str, Any]) -> str:
    """Of one of pydantic's `ValidationError.errors()`."""
    given, context = error.get("input"), error.get("ctx") or {}
    match error["type"]:
        case "value_error":
            return str(context.get("error") or error["msg"])
        case "literal_error":
            words = str(context["expected"])
            known = [word.strip("' ") for word in words.replace(" or ", ", ").split(",")]
            return f"{shown(given)} is not one of {', '.join(known)}{did_you_mean(str(given), known)}"
        case "string_pattern_mismatch":
            return f"{shown(given)} {_PATTERNS.get(context['pattern'], 'has not the form ' + context['pattern'])}"
        case kind if kind in _TYPES and given is None:
            return f"this is empty: write {_TYPES[kind]}, or leave the field out"
        case kind if kind in _TYPES:
            hint = ": put it in quotes" if kind == "string_type" and isinstance(given, int | float) else ""
            return f"{shown(given)} is {what_is(given)}, not {_TYPES[kind]}{hint}"
        case "too_short" | "string_too_short":
            return f"this is empty: at least {context['min_length']} is needed"
        case "greater_than_equal":
            return f"{shown(given)} is too small: {context['ge']} at least"
    return f"{shown(given)}: {error['msg'][0].lower()}{error['msg'][1:]}"


_TYPES: Final = {
    "string_type": "a text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}

_PATTERNS: Final = {
    DNS_LABEL: "is no name: use a-z, 0-9 and '-', up to 63 characters",
    IDENTIFIER: "can't be named in expressions: use a-z, 0-9 and '_', beginning with a letter",
    LABEL_KEY: "is no label: use letters, digits, '-', '_' and '.', after a prefix with '/' if need be",
    LABEL_VALUE: "is no label's value: use letters, digits, '-', '_' and '.'",
    DURATION: "is no duration: write a number with ms, s, m, h or d, as in 10s or 1h30m",
    r"^[^/\x00][^\x00]*$": "is no path within the specs repository: it must not begin with '/'",
    r"^/[^\x00]*$": "is no absolute path: it has to begin with '/'",
    r"^(https?://|\$\{\{)": "is no URL: it has to begin with http:// or https://",
}


def shown(value: object) -> str:
    """A value as it was written, cut where it is long."""
    text = repr(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "…"


def what_is(value: object) -> str:
    """`a text`, `a list`."""
    match value:
        case None:
            return "empty"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case list():
            return "a list"
    return "a mapping"
