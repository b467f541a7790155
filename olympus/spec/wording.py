"""How an error of a model is said to the person who wrote the value."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any, Final

from olympus.kernel.diagnostics import did_you_mean
from olympus.spec.kinds.base import DNS_LABEL, IDENTIFIER, WORDS

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
_SAID_TRUE: Final = frozenset({"true", "yes", "on", "y"})
_SAID_FALSE: Final = frozenset({"false", "no", "off", "n"})


def sentence(error: Mapping[str, Any]) -> str:
    """Of one of pydantic's `ValidationError.errors()`."""
    given, context = error.get("input"), error.get("ctx") or {}
    match error["type"]:
        case "value_error":
            return str(context.get("error") or error["msg"])
        case kind if given is None and (wanted := _wanted(error)):
            return f"this is empty: write {wanted}"
        case "literal_error":
            known = _choices(error)
            return f"{shown(given)} is not one of {', '.join(known)}{did_you_mean(str(given), known)}"
        case "string_pattern_mismatch":
            return _malformed(str(given), context["pattern"])
        case kind if kind in _TYPES:
            return f"{shown(given)} is {what_is(given)}, not {_TYPES[kind]}{_instead(given, kind)}"
    return _out_of_bounds(error["type"], given, context) or (
        f"{shown(given)}: {error['msg'][0].lower()}{error['msg'][1:]}"
    )


def _out_of_bounds(kind: str, given: object, context: Mapping[str, Any]) -> str | None:
    match kind:
        case "too_short" | "string_too_short":
            return f"this is empty: at least {context['min_length']} is needed"
        case "too_long":
            return f"this has {context['actual_length']} entries, {context['max_length']} are allowed"
        case "string_too_long":
            return f"{shown(given)} has {len(str(given))} characters, {context['max_length']} are allowed"
        case "greater_than_equal":
            return f"{shown(given)} is too small: {context['ge']:g} at least"
        case "greater_than":
            return f"{shown(given)} is too small: it has to be more than {context['gt']:g}"
    return None


def either(errors: Sequence[Mapping[str, Any]]) -> str:
    """Of the errors of all branches of a union, at one place."""
    wanted = list(dict.fromkeys(filter(None, map(_wanted, errors))))
    said = list(dict.fromkeys(map(sentence, errors)))
    if len(said) == 1 or len(wanted) < len(said):
        return " or ".join(said)
    given = errors[0].get("input")
    if given is None:
        return f"this is empty: write {' or '.join(wanted)}"
    return f"{shown(given)} is neither {' nor '.join(wanted)}"


def _wanted(error: Mapping[str, Any]) -> str | None:
    """What the type of a field is, where another one was given."""
    if error["type"] == "literal_error":
        known = _choices(error)
        return f"'{known[0]}'" if len(known) == 1 else f"one of {', '.join(known)}"
    return _TYPES.get(error["type"])


def _choices(error: Mapping[str, Any]) -> list[str]:
    words = str(error["ctx"]["expected"])
    return [word.strip("' ") for word in words.replace(" or ", ", ").split(",")]


def _malformed(given: str, pattern: str) -> str:
    said = f"{shown(given)} {WORDS.get(pattern, 'has not the form ' + pattern)}"
    if pattern not in (DNS_LABEL, IDENTIFIER):
        return said
    joint = "-" if pattern == DNS_LABEL else "_"
    parts = "".join(one if one.isascii() and one.isalnum() else " " for one in given.lower()).split()
    meant = joint.join(parts)
    fits = meant and len(meant) <= 63 and (pattern == DNS_LABEL or meant[0].isalpha())
    return f"{said}; did you mean '{meant}'?" if fits else said


def _instead(given: object, kind: str) -> str:
    """What to write, where that is plain."""
    if kind == "string_type" and isinstance(given, bool | int | float):
        return ": put it in quotes"
    if kind == "list_type" and isinstance(given, dict):
        return ": begin it with '- ', or put it in [ ]"
    if not isinstance(given, str):
        return ""
    if kind == "bool_type" and given.lower() in _SAID_TRUE | _SAID_FALSE:
        return f": write {'true' if given.lower() in _SAID_TRUE else 'false'}, without quotes"
    if kind in ("int_type", "float_type") and given.strip().lstrip("-").isdigit():
        return ": write it without quotes"
    if kind == "list_type" and 0 < len(given) <= 60:
        return f": write {_as_list(given)}"
    return ""


def _as_list(given: str) -> str:
    try:
        words = shlex.split(given)
    except ValueError:
        words = [given]
    plain = [one if one and not set(one) & set(",[]{}:#'\"&*!|>%@`") else json.dumps(one) for one in words]
    return f"[{', '.join(plain)}]"


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
