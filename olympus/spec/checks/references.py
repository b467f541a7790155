"""What resources name has to be there, may be used, and must not go in circles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from olympus.kernel.diagnostics import did_you_mean
from olympus.spec.catalog import Resource
from olympus.spec.checks.own import cycle_in
from olympus.spec.checks.problem import Problem, Whole
from olympus.spec.loader import Path
from olympus.spec.template import has_holes

# Where a name stands → the kind that it is of. `*` is any index or key.
_NAMES: Final[tuple[tuple[str, tuple[str, ...], str], ...]] = (
    ("Service", ("dependsOn", "*"), "Service"),
    ("Service", ("onFailure", "pipeline"), "Pipeline"),
    ("Schedule", ("pipeline",), "Pipeline"),
    ("Schedule", ("except", "*"), "Window"),
    ("Webhook", ("pipeline",), "Pipeline"),
    ("Webhook", ("verify", "*", "secret"), "Secret"),
    ("Pipeline", ("steps", "*", "pipeline", "name"), "Pipeline"),
    ("Pipeline", ("steps", "*", "service", "name"), "Service"),
    ("Pipeline", ("steps", "*", "wait", "until", "service"), "Service"),
    ("Pipeline", ("steps", "*", "wait", "until", "check"), "Check"),
    ("Pipeline", ("steps", "*", "secrets", "*"), "Secret"),
    ("Pipeline", ("steps", "*", "http", "headers", "*", "secret"), "Secret"),
    ("Rule", ("solve", "*", "pipeline"), "Pipeline"),
    ("Rule", ("otherwise", "pipeline"), "Pipeline"),
    ("Rule", ("ask", "*", "hephaestus", "pipeline"), "Pipeline"),
    ("Rule", ("solve", "*", "verify", "until", "service"), "Service"),
    ("Rule", ("solve", "*", "verify", "until", "check"), "Check"),
    ("RuleTest", ("rule",), "Rule"),
    ("RuleTest", ("expect", "*", "run"), "Pipeline"),
    ("RuleTest", ("never", "*", "run"), "Pipeline"),
    ("LogWatch", ("source", "service"), "Service"),
    ("Secret", ("pipelines", "*"), "Pipeline"),
    ("Secret", ("webhooks", "*"), "Webhook"),
    ("Silence", ("rules", "*"), "Rule"),
)

_FILES: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("Service", ("files", "*", "source")),
    ("Service", ("run", "systemd", "file")),
    ("Pipeline", ("workspace", "files", "*")),
)


def check(resource: Resource, whole: Whole) -> Iterator[Problem]:
    """All of it for one resource."""
    raw = resource.spec.to_json()
    yield from _named(resource, raw, whole)
    yield from _files(resource, raw, whole)
    if resource.kind == "Pipeline":
        yield from _secrets_of_pipeline(resource, raw, whole)
    elif resource.kind == "Webhook":
        secret = whole.catalog.get("Secret", resource.spec.verify.secret)
        if secret is not None and resource.name not in secret.spec.webhooks:
            method = next(iter(raw["verify"]))
            path: Path = ("spec", "verify", method, "secret")
            yield Problem(resource, path, _not_allowed(secret, "webhooks", resource.name))


def check_circles(whole: Whole) -> Iterator[Problem]:
    """Services that depend on each other, pipelines that call each other."""
    services = {one.name: tuple(one.spec.depends_on) for one in whole.catalog.all("Service")}
    pipelines = {
        one.name: tuple(step.pipeline.name for step in one.spec.steps if step.pipeline)
        for one in whole.catalog.all("Pipeline")
    }
    for kind, graph, field, verb in (
        ("Service", services, "dependsOn", "depend on"),
        ("Pipeline", pipelines, "steps", "call"),
    ):
        cycle = cycle_in(graph)
        resource = whole.catalog.get(kind, cycle[0]) if cycle else None
        if resource is not None:
            message = f"{kind.lower()}s {verb} each other in a circle: {' → '.join(cycle)}"
            yield Problem(resource, ("spec", field), message)


def used_files(resource: Resource) -> list[str]:
    """The files of the tree that a resource needs."""
    raw = resource.spec.to_json()
    return [
        value
        for kind, pattern in _FILES
        if kind == resource.kind
        for _, value in _at(raw, pattern)
        if isinstance(value, str)
    ]


def _named(resource: Resource, raw: Mapping[str, Any], whole: Whole) -> Iterator[Problem]:
    for kind, pattern, wanted in _NAMES:
        if kind != resource.kind:
            continue
        for path, name in _at(raw, pattern):
            if isinstance(name, str) and not has_holes(name) and whole.lacks(wanted, name):
                yield Problem(resource, path, whole.missing(wanted, name))


def _files(resource: Resource, raw: Mapping[str, Any], whole: Whole) -> Iterator[Problem]:
    for kind, pattern in _FILES:
        if kind != resource.kind:
            continue
        for path, name in _at(raw, pattern):
            if ".." in name.split("/"):
                yield Problem(resource, path, f"'{name}' would leave the specs repository")
            elif name not in whole.paths:
                hint = did_you_mean(name, whole.paths)
                yield Problem(resource, path, f"there is no file '{name}' in the specs repository{hint}")


def _secrets_of_pipeline(resource: Resource, raw: Mapping[str, Any], whole: Whole) -> Iterator[Problem]:
    for pattern in (("steps", "*", "secrets", "*"), ("steps", "*", "http", "headers", "*", "secret")):
        for path, name in _at(raw, pattern):
            secret = whole.catalog.get("Secret", name)
            if secret is not None and resource.name not in secret.spec.pipelines:
                yield Problem(resource, path, _not_allowed(secret, "pipelines", resource.name))


def _not_allowed(secret: Resource, field: str, user: str) -> str:
    place = f"{secret.file}:{secret.line}"
    return f"secret '{secret.name}' may not be used here: add '{user}' to its {field} ({place})"


def _at(raw: Mapping[str, Any], pattern: tuple[str, ...]) -> Iterator[tuple[Path, Any]]:
    """What stands at `pattern` below spec."""
    found: list[tuple[Path, Any]] = [(("spec",), raw)]
    for part in pattern:
        after: list[tuple[Path, Any]] = []
        for path, value in found:
            if isinstance(value, Mapping):
                keys = value if part == "*" else [part] if part in value else []
                after += [((*path, key), value[key]) for key in keys]
            elif isinstance(value, list) and part == "*":
                after += [((*path, index), one) for index, one in enumerate(value)]
        found = after
    yield from found
