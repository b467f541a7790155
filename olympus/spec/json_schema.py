"""JSON Schemas that users write (`params` of pipelines): nothing is fetched, patterns take linear time.

`$ref` may only point into the schema itself: a schema comes with a push, and what it names elsewhere would be read
by the controller, from its disk or its network.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import orjson

from olympus.kernel.diagnostics import did_you_mean
from olympus.spec.loader import Path
from olympus.spec.regex import search

if TYPE_CHECKING:
    from olympus.spec.draft_jsonschema import UserSchema

_REFERENCES: Final = ("$ref", "$dynamicRef")


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, and where in the value (or in the schema)."""

    path: Path
    message: str


@lru_cache(maxsize=1024)
def compile_schema(schema: bytes) -> UserSchema:
    """Of its JSON: so that each is compiled once."""
    made: UserSchema = _draft().UserSchema(orjson.loads(schema))
    return made


def schema_faults(schema: Any) -> tuple[Fault, ...]:
    """Why it is no schema that can be used here."""
    return _schema_faults(orjson.dumps(schema))


@lru_cache(maxsize=1024)
def _schema_faults(raw: bytes) -> tuple[Fault, ...]:
    schema = orjson.loads(raw)
    if _is_plain(schema):
        return ()
    unsound = _draft().unsound(schema)
    if unsound is None:
        return tuple(_own_faults(schema, ()))
    path, instance, message = unsound
    if path[-1:] == ("type",) and isinstance(instance, str):
        hint = did_you_mean(instance, _TYPES) or f": there are {', '.join(sorted(_TYPES))}"
        return (Fault(path, f"{instance!r} is no type{hint}"),)
    return (Fault(path, f"params is no JSON Schema: {message}"),)


def _draft() -> Any:
    """Loaded when it is first needed: it takes 5 MB, and most schemas that are written are plain."""
    return importlib.import_module("olympus.spec.draft_jsonschema")


def _is_plain(schema: Any) -> bool:
    """Whether it is sound for sure: most are, and the draft's own schema takes a hundred times as long to say so."""
    if not isinstance(schema, dict):
        return isinstance(schema, bool)
    return all(keyword in _PLAIN and _PLAIN[keyword](value) for keyword, value in schema.items())


def _are_plain(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_plain, value.values()))


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_type(value: Any) -> bool:
    return isinstance(value, str) and value in _TYPES


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value)) and len(set(value)) == len(value)


def _is_anything(_: Any) -> bool:
    return True


_TYPES: Final = frozenset({"array", "boolean", "integer", "null", "number", "object", "string"})
_PLAIN: Final[Mapping[str, Callable[[Any], bool]]] = {
    "type": _is_type,
    "properties": _are_plain,
    "$defs": _are_plain,
    "required": _are_names,
    "items": _is_plain,
    "additionalProperties": _is_plain,
    "const": _is_anything,
    "default": _is_anything,
    "enum": lambda value: isinstance(value, list),
    "examples": lambda value: isinstance(value, list),
    "uniqueItems": lambda value: isinstance(value, bool),
    **dict.fromkeys(("title", "description", "format", "$comment"), _is_text),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), _is_number),
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems"), _is_size),
}
"""Keywords, and what their value may be."""


def _own_faults(schema: Any, path: Path) -> Iterator[Fault]:
    if isinstance(schema, list):
        for index, one in enumerate(schema):
            yield from _own_faults(one, (*path, index))
    if not isinstance(schema, dict):
        return
    for key, value in schema.items():
        if key in _REFERENCES and isinstance(value, str) and not value.startswith("#"):
            yield Fault(
                (*path, key), f"{value!r} leads out of the schema: write it under $defs, and '#/$defs/…'"
            )
        patterns = [value] if key == "pattern" and isinstance(value, str) else []
        if key == "patternProperties" and isinstance(value, Mapping):
            patterns = list(value)
        for pattern in patterns:
            try:
                search(pattern, "")
            except ValueError as error:
                yield Fault((*path, key), str(error))
        yield from _own_faults(value, (*path, key))
