"""A raw document → a Resource, or every error in it: where it stands, what it is, and what was perhaps meant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import orjson
from pydantic import ValidationError

from olympus.kernel.diagnostics import Diagnostic, did_you_mean, nearest
from olympus.spec.annotations import fields, is_required, models_at
from olympus.spec.catalog import Resource, resource_of
from olympus.spec.kinds import API_VERSION, KINDS
from olympus.spec.kinds.base import Spec
from olympus.spec.kinds.metadata import Metadata
from olympus.spec.loader import Path, RawDocument
from olympus.spec.schemas import flaws
from olympus.spec.wording import either, shown, what_is

MAX_ERRORS: Final = 200
"""That are shown of a document."""
MAX_ASKED: Final = 64 * 1024
"""Bytes of a document of which the schemas are asked as well: they take their time."""

_ENVELOPE: Final = ("apiVersion", "kind", "metadata", "spec")


def parse_document(document: RawDocument) -> tuple[Resource | None, list[Diagnostic]]:
    """The resource, or None and all that is wrong.

    What the models accept the schemas accept (a property test holds that), so the schemas, fifty times as slow,
    are asked only about what the models refuse; then they add what a model with wrong fields can't say.
    """
    resource = _resource(document)
    if resource is not None:
        return resource, []
    errors = list(_errors(document))
    errors += _schema_errors(document, errors)
    return None, sorted(set(errors))


def _resource(document: RawDocument) -> Resource | None:
    value = document.value
    if not isinstance(value, dict) or set(value) != set(_ENVELOPE) or value["apiVersion"] != API_VERSION:
        return None
    if _kind(value) is None:
        return None
    try:
        Metadata.model_validate(value["metadata"])
        return resource_of(value, file=document.file, line=document.position(())[0])
    except ValidationError:
        return None


def _errors(document: RawDocument) -> Iterator[Diagnostic]:
    value = document.value
    if not isinstance(value, dict):
        yield _at(document, (), f"a spec is a mapping with {', '.join(_ENVELOPE)}; this is {what_is(value)}")
        return
    missing = [key for key in _ENVELOPE if key not in value]
    for key in value:
        if key not in _ENVELOPE:
            meant = nearest(key, missing)
            missing = [one for one in missing if one != meant]
            hint = f", did you mean '{meant}'?" if meant else f": there are {', '.join(_ENVELOPE)}"
            yield _at_key(document, (key,), f"unknown field '{key}'{hint}")
    for key in missing:
        yield _at(document, (), f"missing field '{key}'")
    if "apiVersion" in value and value["apiVersion"] != API_VERSION:
        yield _at(
            document,
            ("apiVersion",),
            f"{shown(value['apiVersion'])} is no known version: write {API_VERSION}",
        )
    kind = _kind(value)
    if "kind" in value and kind is None:
        hint = did_you_mean(str(value["kind"]), KINDS) or f": write one of {', '.join(KINDS)}"
        yield _at(document, ("kind",), f"{shown(value['kind'])} is no kind{hint}")
    if "metadata" in value:
        yield from _model_errors(document, ("metadata",), Metadata, value["metadata"])
    if kind is not None and "spec" in value:
        yield from _model_errors(document, ("spec",), KINDS[kind], value["spec"])


def _kind(value: Mapping[str, Any]) -> str | None:
    kind = value.get("kind")
    return kind if isinstance(kind, str) and kind in KINDS else None


def _schema_errors(document: RawDocument, known: Iterable[Diagnostic]) -> Iterator[Diagnostic]:
    value = document.value
    kind = _kind(value) if isinstance(value, dict) else None
    if kind is None or len(orjson.dumps(value)) > MAX_ASKED:
        return
    said: dict[tuple[int, int], str] = {}
    for one in known:
        place = (one.line, one.column)
        said[place] = f"{said.get(place, '')} {one.message}"
    for flaw in flaws(kind, value):
        if (
            flaw.excludes
            and isinstance(flaw.given, dict)
            and "exactly one of" not in said.get(document.position(flaw.path), "")
        ):
            names = [one["required"][0] for one in flaw.rule]
            given = [name for name in names if name in flaw.given]
            # Of a slip in its name something is said already.
            if given or not any(nearest(key, names) for key in flaw.given):
                yield _at(document, flaw.path, _exclusion(flaw.path, names, given))


def _exclusion(path: Path, names: list[str], given: list[str]) -> str:
    last = path[-1]
    what = last if isinstance(last, str) else f"an entry of '{path[-2]}'"
    if not given:
        return f"{what} needs exactly one of {', '.join(names)}"
    return f"{what} has {' and '.join(given)}: exactly one of {', '.join(names)} is allowed"


def _model_errors(
    document: RawDocument, path: Path, model: type[Spec], value: object
) -> Iterator[Diagnostic]:
    try:
        model.model_validate(value)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=True)
    else:
        return
    if len(found) > MAX_ERRORS:
        # Nobody reads more, and to look for what was meant costs time for each.
        yield _at(document, path, f"{len(found) - MAX_ERRORS} more errors in this document")
        del found[MAX_ERRORS:]
    by_place: dict[Path, list[Any]] = {}
    for place, one in _without_slips(_nearest(found, value)):
        by_place.setdefault(place, []).append(one)
    for place, errors in by_place.items():
        yield _diagnostic(document, path, model, place, errors)


def _nearest(found: Iterable[Any], value: object) -> Iterator[tuple[Path, Any]]:
    """The errors with their places; of a union, each branch of which complains, those of the nearest branch."""
    unions: dict[Path, dict[str, list[tuple[Path, Any]]]] = {}
    for one in found:
        place, fork = _real_path(one, value)
        if fork is None:
            yield place, one
        else:
            at, branch = fork
            unions.setdefault(at, {}).setdefault(branch, []).append((place, one))
    for at, branches in unions.items():
        ranked = {name: _distance(at, errors) for name, errors in branches.items()}
        least = min(ranked.values())
        for name, errors in branches.items():
            if ranked[name] == least:
                yield from errors


def _distance(union: Path, errors: list[tuple[Path, Any]]) -> tuple[bool, int]:
    """How far a value is from a branch: first whether it is of another type, then how many errors there are."""
    here = [one for place, one in errors if place == union]
    return bool(here) and all(one["type"] in _WHOLE for one in here), len(list(_without_slips(errors)))


_WHOLE: Final = frozenset(
    {"string_type", "int_type", "float_type", "bool_type", "literal_error"}
    | {"list_type", "dict_type", "model_type", "model_attributes_type"}
)


def _without_slips(errors: Iterable[tuple[Path, Any]]) -> Iterator[tuple[Path, Any]]:
    """Without the field that is missing because its name was written wrongly: that is one error, not two."""
    errors = list(errors)
    missing: dict[Path, list[str]] = {}
    for place, one in errors:
        if one["type"] == "missing":
            missing.setdefault(place[:-1], []).append(str(place[-1]))
    slips = {
        (*place[:-1], nearest(str(place[-1]), missing[place[:-1]]))
        for place, one in errors
        if one["type"] == "extra_forbidden" and place[:-1] in missing
    }
    return (pair for pair in errors if pair[1]["type"] != "missing" or pair[0] not in slips)


def _diagnostic(
    document: RawDocument, path: Path, model: type[Spec], place: Path, errors: list[Any]
) -> Diagnostic:
    first, full, last = errors[0], path + place, place[-1] if place else ""
    owners = models_at(model, place[:-1]) if place else []
    if first["type"] == "extra_forbidden":
        known = sorted({name for one in owners for name in fields(one)})
        hint = did_you_mean(str(last), known) or f": there are {', '.join(known) or 'none here'}"
        return _at_key(document, full, f"unknown field '{last}'{hint}")
    if first["type"] == "missing":
        return _at(document, full[:-1], f"missing field '{last}'{_of(full[:-1])}")
    said = _said(errors)
    if first["input"] is None and owners and not any(is_required(one, str(last)) for one in owners):
        said += ", or leave the field out"
    return _at_key(document, full, said) if first["loc"][-1:] == (_KEY,) else _at(document, full, said)


def _said(errors: list[Any]) -> str:
    given = errors[0]["input"]
    if isinstance(given, str) and "${{" in given and errors[0]["type"] != "value_error":
        return f"{shown(given)} can't stand here: this has to be written out, without ${{{{ }}}}"
    return either(errors)


def _real_path(error: Mapping[str, Any], value: Any) -> tuple[Path, tuple[Path, str] | None]:
    """The place in the value; and, of an error in a union's branch, the union's place and the branch."""
    path: Path = ()
    fork: tuple[Path, str] | None = None
    location = error["loc"]
    for index, part in enumerate(location):
        if (isinstance(value, dict) and part in value) or (
            isinstance(value, list) and isinstance(part, int) and part < len(value)
        ):
            path = (*path, part)
            value = value[part]
        elif error["type"] == "missing" and index == len(location) - 1:
            path = (*path, part)
        elif fork is None and part != _KEY:
            # What is not in the value is pydantic's name of a branch.
            fork = (path, str(part))
    return path, fork


_KEY: Final = "[key]"


def _at(document: RawDocument, path: Path, message: str) -> Diagnostic:
    line, column = document.position(path)
    return Diagnostic(document.file, line, column, message)


def _at_key(document: RawDocument, path: Path, message: str) -> Diagnostic:
    line, column = document.key_position(path)
    return Diagnostic(document.file, line, column, message)


def _of(path: Path) -> str:
    """` of 'run'`, ` of an entry of 'steps'`."""
    if len(path) < 2:
        return f" of '{path[0]}'" if path and path[0] != "spec" else ""
    return f" of an entry of '{path[-2]}'" if isinstance(path[-1], int) else f" of '{path[-1]}'"
