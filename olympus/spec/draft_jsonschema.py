"""Draft 2020-12 of JSON Schema, by jsonschema. Its only home."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError, best_match
from jsonschema.validators import extend
from referencing.exceptions import Unresolvable
from referencing.jsonschema import EMPTY_REGISTRY

from olympus.spec.json_schema import Fault
from olympus.spec.loader import Path
from olympus.spec.regex import search
from olympus.spec.schemas import is_exclusion


class UserSchema:
    """A schema that was found sound by `schema_faults`."""

    def __init__(self, schema: Any) -> None:
        self._validator = _Validator(
            schema, registry=EMPTY_REGISTRY, format_checker=Draft202012Validator.FORMAT_CHECKER
        )

    def faults(self, value: Any, part: Any = None) -> list[Fault]:
        """Of a value; `part` is a part of the schema to hold it against, instead of the whole."""
        validator = self._validator if part is None else self._validator.evolve(schema=part)
        try:
            errors = list(validator.iter_errors(value))
        except Unresolvable as error:
            return [Fault((), f"the schema's {error.ref} leads nowhere")]
        except RecursionError:
            return [Fault((), "the schema refers to itself without end")]
        return [Fault(tuple(error.absolute_path), error.message) for error in errors]


def unsound(schema: Any) -> tuple[Path, Any, str] | None:
    """Where it is no schema, what stands there, and what is wrong with it."""
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        return tuple(error.absolute_path), error.instance, error.message
    return None


class KindSchema:
    """A schema of ours, as `schemas` makes it."""

    def __init__(self, schema: Any) -> None:
        self._validator = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)

    def errors(self, document: Any) -> Iterator[ValidationError]:
        """Of a union, what its nearest branch says, unless it is one of exclusive fields."""
        for error in self._validator.iter_errors(document):
            if error.validator in ("anyOf", "oneOf") and not is_exclusion(error.validator_value):
                nearest = best_match([error])
                yield error if nearest is None else nearest
            else:
                yield error


def _pattern(_: Any, pattern: str, value: Any, __: Any) -> Iterator[ValidationError]:
    if isinstance(value, str) and not search(pattern, value):
        yield ValidationError(f"{value!r} does not match {pattern!r}")


def _pattern_properties(validator: Any, patterns: Any, value: Any, _: Any) -> Iterator[ValidationError]:
    if isinstance(value, dict):
        for pattern, schema in patterns.items():
            for name, one in value.items():
                if search(pattern, name):
                    yield from validator.descend(one, schema, path=name, schema_path=pattern)


def _additional(validator: Any, allowed: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
    if not isinstance(value, dict):
        return
    known, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    for name, one in value.items():
        if name in known or any(search(pattern, name) for pattern in patterns):
            continue
        if allowed is False:
            yield ValidationError(f"{name!r} is not known: there are {', '.join(sorted(known))}")
        elif allowed is not True:
            yield from validator.descend(one, allowed, path=name)


_Validator: Final[Any] = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    {"pattern": _pattern, "patternProperties": _pattern_properties, "additionalProperties": _additional},
)
