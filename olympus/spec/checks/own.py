"""What a resource says of itself: cron, zones, patterns, moments parse; step graphs are sound."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from graphlib import CycleError, TopologicalSorter
from typing import Any, Final

from olympus.kernel.diagnostics import did_you_mean
from olympus.spec.catalog import Resource
from olympus.spec.checks.problem import Problem
from olympus.spec.cron import parse_cron, zone
from olympus.spec.json_schema import schema_faults
from olympus.spec.kinds.pipeline import PipelineSpec, Step
from olympus.spec.loader import Path
from olympus.spec.regex import compile_pattern, group_names


def check(resource: Resource) -> Iterator[Problem]:
    """All of it for one resource."""
    if resource.kind in _CHECKS:
        yield from _CHECKS[resource.kind](resource, resource.spec.to_json())


def _schedule(resource: Resource, raw: Mapping[str, Any]) -> Iterator[Problem]:
    zone_name = raw.get("timezone", "UTC")
    bad_zone = list(_tried(resource, ("spec", "timezone"), zone, zone_name))
    yield from bad_zone
    if "cron" in raw:
        yield from _tried(resource, ("spec", "cron"), parse_cron, raw["cron"])
    for name in ("at", "until"):
        if name in raw:
            yield from _tried(resource, ("spec", name), datetime.fromisoformat, raw[name])


def _log_watch(resource: Resource, raw: Mapping[str, Any]) -> Iterator[Problem]:
    for key, pattern in (raw.get("multiline") or {}).items():
        yield from _tried(resource, ("spec", "multiline", key), compile_pattern, pattern)
    names: set[str] = set()
    for index, match in enumerate(raw["match"]):
        path: Path = ("spec", "match", index)
        if match["name"] in names:
            yield Problem(resource, (*path, "name"), f"duplicate match '{match['name']}'")
        names.add(match["name"])
        pattern = match.get("pattern")
        if pattern is None:
            yield from _tried(
                resource, (*path, "absent", "pattern"), compile_pattern, match["absent"]["pattern"]
            )
            continue
        wrong = list(_tried(resource, (*path, "pattern"), compile_pattern, pattern))
        yield from wrong
        if not wrong:
            known = group_names(pattern)
            for group in match.get("types") or {}:
                if group not in known:
                    hint = did_you_mean(group, known)
                    message = f"the pattern has no group '{group}'{hint}"
                    yield Problem(resource, (*path, "types", group), message, at_key=True)


def _pipeline(resource: Resource, raw: Mapping[str, Any]) -> Iterator[Problem]:
    spec: PipelineSpec = resource.spec
    if spec.params is not None:
        yield from _params_schema(resource, raw["params"])
    names: dict[str, int] = {}
    for index, step in enumerate(spec.steps):
        path: Path = ("spec", "steps", index)
        if step.name in names:
            yield Problem(resource, (*path, "name"), f"duplicate step '{step.name}'")
        names.setdefault(step.name, index)
    saved = {name for step in spec.steps if step.artifacts for name in step.artifacts.save}
    for index, step in enumerate(spec.steps):
        path = ("spec", "steps", index)
        for at, needed in enumerate(step.needs or ()):
            if needed not in names:
                hint = did_you_mean(needed, names)
                yield Problem(resource, (*path, "needs", at), f"there is no step '{needed}'{hint}")
        for name in step.artifacts.load if step.artifacts else ():
            if name not in saved:
                message = f"no step saves the artifact '{name}'{did_you_mean(name, saved)}"
                yield Problem(resource, (*path, "artifacts", "load", name), message, at_key=True)
    cycle = cycle_in(needs_of(spec.steps))
    if cycle:
        index = names[cycle[0]]
        message = f"steps need each other in a circle: {' → '.join(cycle)}"
        yield Problem(resource, ("spec", "steps", index, "needs"), message)


def _params_schema(resource: Resource, schema: Any) -> Iterator[Problem]:
    for fault in schema_faults(schema):
        yield Problem(resource, ("spec", "params", *fault.path), fault.message)


def needs_of(steps: Sequence[Step]) -> dict[str, tuple[str, ...]]:
    """What each step waits for: its needs, or the step before it; a handler waits for all before it."""
    out: dict[str, tuple[str, ...]] = {}
    before: list[str] = []
    for step in steps:
        implied = before[-1:] if step.on == "success" else before
        out[step.name] = tuple(implied if step.needs is None else step.needs)
        before.append(step.name)
    return out


def cycle_in(graph: Mapping[str, Sequence[str]]) -> list[str]:
    """A circle, its first name again at its end; empty where there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        # The sorter names them from what is needed to what needs it.
        return list(reversed(error.args[1]))
    return []


def _tried(resource: Resource, path: Path, parse: Callable[..., Any], value: object) -> Iterator[Problem]:
    try:
        parse(value)
    except ValueError as error:
        yield Problem(resource, path, str(error))


_CHECKS: Final[dict[str, Callable[[Resource, Mapping[str, Any]], Iterator[Problem]]]] = {
    "Schedule": _schedule,
    "Window": _schedule,
    "Silence": _schedule,
    "LogWatch": _log_watch,
    "Pipeline": _pipeline,
}
