"""A raw document → a Resource, or every error in it: where it stands, what it is, and what was perhaps meant."""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final

from pydantic import BaseModel, Field, StringConstraints, ValidationError

from olympus.kernel.diagnostics import Diagnostic, did_you_mean
from olympus.spec.catalog import Resource, resource_of
from olympus.spec.duration import PATTERN as DURATION
from olympus.spec.kinds import API_VERSION, KINDS
from olympus.spec.kinds.base import DNS_LABEL, IDENTIFIER, Name, Spec
from olympus.spec.loader import Path, RawDocument

_ENVELOPE: Final = ("apiVersion", "kind", "metadata", "spec")

LabelKey = Annotated[
    str,
    StringConstraints(pattern=r"^([a-z0-9.-]+/)?[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?$", max_length=253),
]
LabelValue = Annotated[
    str, StringConstraints(pattern=r"^([A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?)?$", max_length=63)
]


class Metadata(Spec):
    """Who it is: `name` is unique within its kind."""

    name: Name
    labels: dict[LabelKey, LabelValue] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)


def parse_document(document: RawDocument) -> tuple[Resource | None, list[Diagnostic]]:
    """The resource, or None and all that is wrong."""
    errors = list(_errors(document))
    if errors:
        return None, sorted(set(errors))
    line, _ = document.position(())
    return resource_of(document.value, file=document.file, line=line), []


def _errors(document: RawDocument) -> Iterator[Diagnostic]:
    value = document.value
    if not isinstance(value, dict):
        yield _at(document, (), f"a spec is a mapping with {', '.join(_ENVELOPE)}; this is {_what(value)}")
        return
    for key in value:
        if key not in _ENVELOPE:
            yield _at_key(document, (key,), f"unknown field '{key}'{did_you_mean(key, _ENVELOPE)}")
    for key in _ENVELOPE:
        if key not in value:
            yield _at(document, (), f"missing field '{key}'")
    if "apiVersion" in value and value["apiVersion"] != API_VERSION:
        yield _at(
            document,
            ("apiVersion",),
            f"{_shown(value['apiVersion'])} is no known version: write {API_VERSION}",
        )
    kind = value.get("kind")
    if "kind" in value and kind not in KINDS:
        hint = did_you_mean(str(kind), KINDS) or f": write one of {', '.join(KINDS)}"
        yield _at(document, ("kind",), f"{_shown(kind)} is no kind{hint}")
    if "metadata" in value:
        yield from _model_errors(document, ("metadata",), Metadata, value["metadata"])
    if kind in KINDS and "spec" in value:
        yield from _model_errors(document, ("spec",), KINDS[kind], value["spec"])


def _model_errors(
    document: RawDocument, path: Path, model: type[Spec], value: object
) -> Iterator[Diagnostic]:
    try:
        model.model_validate(value)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=True)
    else:
        return
    by_place: dict[Path, list[Any]] = {}
    for one in found:
        by_place.setdefault(_real_path(one["loc"], value), []).append(one)
    for place, errors in by_place.items():
        # The branches of a union each complain: what lies deeper says more than that a branch doesn't fit.
        if any(len(other) > len(place) and other[: len(place)] == place for other in by_place) and all(
            one["type"].endswith("_type") for one in errors
        ):
            continue
        yield _diagnostic(document, path, model, place, errors)


def _diagnostic(
    document: RawDocument, path: Path, model: type[Spec], place: Path, errors: list[Any]
) -> Diagnostic:
    first, full = errors[0], path + place
    if first["type"] == "extra_forbidden":
        owner = _models_at(model, place[:-1])
        known = sorted({field.alias or name for one in owner for name, field in one.model_fields.items()})
        hint = did_you_mean(str(place[-1]), known) or f": there are {', '.join(known)}"
        return _at_key(document, full, f"unknown field '{place[-1]}'{hint}")
    if first["type"] == "missing":
        return _at(document, full[:-1], f"missing field '{place[-1]}'{_of(full[:-1])}")
    said = list(dict.fromkeys(_sentence(one) for one in errors))
    return _at(document, full, " or ".join(said))


def _sentence(error: Mapping[str, Any]) -> str:
    given, context = error.get("input"), error.get("ctx") or {}
    match error["type"]:
        case "value_error":
            return str(context.get("error") or error["msg"])
        case "literal_error":
            words = str(context["expected"])
            known = [word.strip("' ") for word in words.replace(" or ", ", ").split(",")]
            return f"{_shown(given)} is not one of {', '.join(known)}{did_you_mean(str(given), known)}"
        case "string_pattern_mismatch":
            return f"{_shown(given)} {_PATTERNS.get(context['pattern'], 'has not the form ' + context['pattern'])}"
        case kind if kind in _TYPES:
            hint = ": put it in quotes" if kind == "string_type" and isinstance(given, int | float) else ""
            return f"{_shown(given)} is {_what(given)}, not {_TYPES[kind]}{hint}"
    return f"{_shown(given)}: {error['msg'][0].lower()}{error['msg'][1:]}"


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
    DURATION: "is no duration: write a number with ms, s, m, h or d, as in 10s or 1h30m",
    r"^[^/\x00][^\x00]*$": "is no path within the specs repository: it must not begin with '/'",
    r"^/[^\x00]*$": "is no absolute path: it has to begin with '/'",
    r"^(https?://|\$\{\{)": "is no URL: it has to begin with http:// or https://",
}


def _real_path(location: tuple[Any, ...], value: Any) -> Path:
    """Without the names that pydantic puts in for the branches of unions."""
    path: list[str | int] = []
    for index, part in enumerate(location):
        if (isinstance(value, dict) and part in value) or (
            isinstance(value, list) and isinstance(part, int) and part < len(value)
        ):
            path.append(part)
            value = value[part]
        elif (
            index == len(location) - 1
            and isinstance(value, dict)
            and isinstance(part, str)
            and part.isidentifier()
        ):
            # A missing field; the names of branches have brackets in them, or are those of types.
            if part[0].islower() and part not in (
                "str",
                "int",
                "float",
                "bool",
                "dict",
                "list",
                "constrained",
            ):
                path.append(part)
    return tuple(path)


def _models_at(model: type[BaseModel], path: Path) -> list[type[BaseModel]]:
    """The models that may stand at `path` below `model`."""
    found: list[type[BaseModel]] = [model]
    for part in path:
        fields = [
            field.annotation
            for one in found
            for name, field in one.model_fields.items()
            if (field.alias or name) == part
        ]
        if fields:
            found = [one for annotation in fields for one in _models_in(annotation)]
    return found


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if typing.get_origin(annotation) in (list, dict, typing.Union, types.UnionType, Annotated):
        return [one for argument in typing.get_args(annotation) for one in _models_in(argument)]
    return []


def _at(document: RawDocument, path: Path, message: str) -> Diagnostic:
    line, column = document.position(path)
    return Diagnostic(document.file, line, column, message)


def _at_key(document: RawDocument, path: Path, message: str) -> Diagnostic:
    line, column = document.key_position(path)
    return Diagnostic(document.file, line, column, message)


def _of(path: Path) -> str:
    names = [str(part) for part in path if isinstance(part, str) and part != "spec"]
    return f" of '{names[-1]}'" if names else ""


def _shown(value: object) -> str:
    text = repr(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "…"


def _what(value: object) -> str:
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
