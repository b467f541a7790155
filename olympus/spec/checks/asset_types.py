"""The fields of an asset have to fit the JSON Schema of its type, where there is an AssetType of that name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import orjson

from olympus.kernel.diagnostics import did_you_mean
from olympus.spec.checks.problem import Problem, Subject, Whole, as_far
from olympus.spec.json_schema import compile_schema, schema_faults


def check(subject: Subject, whole: Whole) -> Iterator[Problem]:
    """Of an Asset, or of an AssetType itself."""
    if subject.kind == "Asset":
        yield from as_far(subject, _fits(subject, whole))
    elif subject.kind == "AssetType":
        yield from as_far(subject, _sound(subject))


def _sound(subject: Subject) -> Iterator[Problem]:
    schema = subject.spec.get("fields") or {}
    for fault in schema_faults(schema):
        yield Problem(("spec", "fields", *fault.path), fault.message)
    known = schema.get("properties") if isinstance(schema, Mapping) else None
    for index, name in enumerate(subject.spec.get("reminders") or ()):
        if not isinstance(known, Mapping) or name not in known:
            message = f"fields has no property '{name}'{did_you_mean(name, known or ())}"
            yield Problem(("spec", "reminders", index), message)


def _fits(subject: Subject, whole: Whole) -> Iterator[Problem]:
    name = subject.spec.get("type")
    type_ = whole.catalog.get("AssetType", name) if isinstance(name, str) else None
    if type_ is None or schema_faults(type_.spec.fields):
        return  # Any fields will do, or that is said where the schema stands.
    fields = subject.spec.get("fields") or {}
    at = ("spec", "fields") if fields else ("spec",)
    for fault in compile_schema(orjson.dumps(type_.spec.fields)).faults(fields, type_.spec.fields):
        yield Problem((*at, *fault.path), f"fields of type '{name}': {fault.message}")
