"""What schedules, webhooks, rules and steps give to a pipeline has to fit the JSON Schema of its params."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from olympus.kernel.diagnostics import did_you_mean
from olympus.spec.catalog import Resource
from olympus.spec.checks.problem import Problem, Subject, Whole, as_far
from olympus.spec.json_schema import compile_schema, schema_faults
from olympus.spec.loader import Path
from olympus.spec.template import expressions_in


def check(subject: Subject, whole: Whole) -> Iterator[Problem]:
    """For each place of `subject` that starts a pipeline."""
    yield from as_far(subject, _check(subject, whole))


def _check(subject: Subject, whole: Whole) -> Iterator[Problem]:
    raw = subject.spec
    for path, call in _calls(subject.kind, raw):
        name = call.get("pipeline") or call.get("name")
        pipeline = whole.catalog.get("Pipeline", name) if isinstance(name, str) else None
        if pipeline is not None:
            yield from _fits(path, call.get("params"), pipeline)
    itself = whole.catalog.get(subject.kind, subject.name) if subject.kind == "Pipeline" else None
    if itself is not None:
        for index, on in enumerate(raw.get("on") or ()):
            yield from _fits(("spec", "on", index), on.get("params"), itself)


def _calls(kind: str, raw: Mapping[str, Any]) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    if kind in ("Schedule", "Webhook"):
        yield ("spec",), raw
    elif kind == "Rule":
        for index, rung in enumerate(raw["solve"]):
            yield ("spec", "solve", index), rung
        if raw.get("otherwise"):
            yield ("spec", "otherwise"), raw["otherwise"]
    elif kind == "Pipeline":
        for index, step in enumerate(raw["steps"]):
            if step.get("pipeline"):
                yield ("spec", "steps", index, "pipeline"), step["pipeline"]


def _fits(path: Path, given: Any, pipeline: Resource) -> Iterator[Problem]:
    schema = pipeline.spec.params or {}
    given = given or {}
    if not isinstance(schema, Mapping):
        return
    known = schema.get("properties") or {}
    open_ended = "additionalProperties" in schema or "patternProperties" in schema
    for name, value in given.items():
        at = (*path, "params", name)
        if name not in known:
            if not open_ended:
                hint = did_you_mean(name, known) or (
                    f": there are {', '.join(sorted(known))}" if known else ""
                )
                message = f"pipeline '{pipeline.name}' has no param '{name}'{hint}"
                yield Problem(at, message, at_key=True)
        elif not list(expressions_in(value)):
            yield from _value_fits(at, value, known[name], pipeline)
    for name in schema.get("required") or ():
        if name not in given:
            message = f"pipeline '{pipeline.name}' needs the param '{name}'"
            yield Problem((*path, "params") if given else path, message)


def _value_fits(path: Path, value: Any, schema: Any, pipeline: Resource) -> Iterator[Problem]:
    whole = pipeline.spec.params
    if schema_faults(whole):
        return  # That is said where the schema stands.
    for fault in compile_schema(orjson.dumps(whole)).faults(value, schema):
        message = f"param '{path[-1]}' of pipeline '{pipeline.name}': {fault.message}"
        yield Problem((*path, *fault.path), message)
