"""What a resource says of itself: cron, zones, patterns, moments parse; step graphs are sound."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from olympus.kernel.diagnostics import did_you_mean
from olympus.spec.checks.graph import cycle_in
from olympus.spec.checks.known import event_fields
from olympus.spec.checks.problem import Problem, Subject, as_far
from olympus.spec.cron import parse_cron, zone
from olympus.spec.json_schema import schema_faults
from olympus.spec.loader import Path
from olympus.spec.regex import compile_pattern, group_names


def check(subject: Subject) -> Iterator[Problem]:
    """All of it for one document."""
    if subject.kind in _CHECKS:
        yield from as_far(subject, _CHECKS[subject.kind](subject))


def _schedule(subject: Subject) -> Iterator[Problem]:
    raw = subject.spec
    zone_name = raw.get("timezone", "UTC")
    bad_zone = list(_tried(("spec", "timezone"), zone, zone_name))
    yield from bad_zone
    if "cron" in raw:
        yield from _tried(("spec", "cron"), parse_cron, raw["cron"])


def _log_watch(subject: Subject) -> Iterator[Problem]:
    raw = subject.spec
    for key, pattern in (raw.get("multiline") or {}).items():
        yield from _tried(("spec", "multiline", key), compile_pattern, pattern)
    names: set[str] = set()
    for index, match in enumerate(raw["match"]):
        path: Path = ("spec", "match", index)
        if match["name"] in names:
            yield Problem((*path, "name"), f"duplicate match '{match['name']}'")
        names.add(match["name"])
        pattern = match.get("pattern")
        if pattern is None:
            yield from _tried((*path, "absent", "pattern"), compile_pattern, match["absent"]["pattern"])
            continue
        wrong = list(_tried((*path, "pattern"), compile_pattern, pattern))
        yield from wrong
        if not wrong:
            known = group_names(pattern)
            for group in match.get("types") or {}:
                if group not in known:
                    hint = did_you_mean(group, known)
                    message = f"the pattern has no group '{group}'{hint}"
                    yield Problem((*path, "types", group), message, at_key=True)


def _rule(subject: Subject) -> Iterator[Problem]:
    raw = subject.spec
    for name, ask in (raw.get("ask") or {}).items():
        pattern = (ask.get("argos") or {}).get("pattern")
        if pattern is not None and "${{" not in pattern:
            yield from _tried(("spec", "ask", name, "argos", "pattern"), compile_pattern, pattern)


def _rule_test(subject: Subject) -> Iterator[Problem]:
    raw = subject.spec
    for index, given in enumerate(raw["given"]):
        known = event_fields(given.get("event"))
        for name in given.get("data") or ():
            if known and name not in known:
                hint = did_you_mean(name, known) or f": it has {', '.join(known)}"
                message = f"the data of {given['event']} has no '{name}'{hint}"
                yield Problem(("spec", "given", index, "data", name), message, at_key=True)


def _pipeline(subject: Subject) -> Iterator[Problem]:
    raw = subject.spec
    if raw.get("params") is not None:
        yield from _params_schema(raw["params"])
    steps: list[Mapping[str, Any]] = raw["steps"]
    names: dict[str, int] = {}
    for index, step in enumerate(steps):
        if step["name"] in names:
            yield Problem(("spec", "steps", index, "name"), f"duplicate step '{step['name']}'")
        names.setdefault(step["name"], index)
    saved = {name for step in steps for name in _artifacts(step, "save")}
    for index, step in enumerate(steps):
        path: Path = ("spec", "steps", index)
        for at, needed in enumerate(step.get("needs") or ()):
            if needed not in names:
                hint = did_you_mean(needed, names)
                yield Problem((*path, "needs", at), f"there is no step '{needed}'{hint}")
        for name in _artifacts(step, "load"):
            if name not in saved:
                message = f"no step saves the artifact '{name}'{did_you_mean(name, saved)}"
                yield Problem((*path, "artifacts", "load", name), message, at_key=True)
    cycle = cycle_in(subject.graph.needs)
    if cycle:
        message = f"steps need each other in a circle: {' → '.join(cycle)}"
        yield Problem(("spec", "steps", names[cycle[0]], "needs"), message)


def _artifacts(step: Mapping[str, Any], what: str) -> Mapping[str, Any]:
    return (step.get("artifacts") or {}).get(what) or {}


def _params_schema(schema: Any) -> Iterator[Problem]:
    for fault in schema_faults(schema):
        yield Problem(("spec", "params", *fault.path), fault.message)


def _tried(path: Path, parse: Callable[..., Any], value: object) -> Iterator[Problem]:
    try:
        parse(value)
    except ValueError as error:
        yield Problem(path, str(error))


_CHECKS: Final[dict[str, Callable[[Subject], Iterator[Problem]]]] = {
    "Schedule": _schedule,
    "Window": _schedule,
    "Rule": _rule,
    "RuleTest": _rule_test,
    "LogWatch": _log_watch,
    "Pipeline": _pipeline,
}
