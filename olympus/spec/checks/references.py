"""What resources name has to be there, may be used, and must not go in circles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from olympus.kernel.diagnostics import did_you_mean
from olympus.spec.catalog import Ref, Resource
from olympus.spec.checks.own import cycle_in
from olympus.spec.checks.problem import Problem, Subject, Whole, as_far
from olympus.spec.loader import Path

# Kind → [(where below its spec a name stands, the kind that it is of)]. `*` is any index or key.
_NAMES: Final[Mapping[str, tuple[tuple[tuple[str, ...], str], ...]]] = {
    "Service": (
        (("dependsOn", "*"), "Service"),
        (("onFailure", "pipeline"), "Pipeline"),
    ),
    "Schedule": (
        (("pipeline",), "Pipeline"),
        (("except", "*"), "Window"),
    ),
    "Webhook": (
        (("pipeline",), "Pipeline"),
        (("verify", "*", "secret"), "Secret"),
    ),
    "Pipeline": (
        (("steps", "*", "pipeline", "name"), "Pipeline"),
        (("steps", "*", "service", "name"), "Service"),
        (("steps", "*", "wait", "until", "service"), "Service"),
        (("steps", "*", "wait", "until", "check"), "Check"),
        (("steps", "*", "secrets", "*"), "Secret"),
        (("steps", "*", "http", "headers", "*", "secret"), "Secret"),
    ),
    "Rule": (
        (("solve", "*", "pipeline"), "Pipeline"),
        (("otherwise", "pipeline"), "Pipeline"),
        (("ask", "*", "hephaestus", "pipeline"), "Pipeline"),
        (("solve", "*", "verify", "until", "service"), "Service"),
        (("solve", "*", "verify", "until", "check"), "Check"),
    ),
    "RuleTest": (
        (("rule",), "Rule"),
        (("expect", "*", "run"), "Pipeline"),
        (("never", "*", "run"), "Pipeline"),
    ),
    "LogWatch": ((("source", "service"), "Service"),),
    "Secret": (
        (("pipelines", "*"), "Pipeline"),
        (("webhooks", "*"), "Webhook"),
    ),
    "Silence": ((("rules", "*"), "Rule"),),
}

_FILES: Final[Mapping[str, tuple[tuple[str, ...], ...]]] = {
    "Service": (
        ("files", "*", "source"),
        ("run", "systemd", "file"),
    ),
    "Pipeline": (("workspace", "files", "*"),),
}

_SECRETS: Final[Mapping[str, tuple[tuple[tuple[str, ...], str], ...]]] = {
    "Pipeline": (
        (("steps", "*", "secrets", "*"), "pipelines"),
        (("steps", "*", "http", "headers", "*", "secret"), "pipelines"),
    ),
    "Webhook": ((("verify", "*", "secret"), "webhooks"),),
}
"""Kind → [(where it names a secret, the field of the Secret that has to name it)]."""


def check(subject: Subject, whole: Whole) -> Iterator[Problem]:
    """All of it for one document."""
    yield from as_far(subject, _named(subject, whole))
    yield from as_far(subject, _files(subject, whole))
    yield from as_far(subject, _secrets(subject, whole))


def check_circles(whole: Whole) -> Iterator[tuple[Ref, Problem]]:
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
            yield resource.ref, Problem(("spec", field), message)


def used_files(kind: str, spec: Mapping[str, Any]) -> list[str]:
    """The files of the tree that a resource needs."""
    found = (value for pattern in _FILES.get(kind, ()) for _, value in _at(spec, pattern))
    return [value for value in found if isinstance(value, str)]


def _named(subject: Subject, whole: Whole) -> Iterator[Problem]:
    for pattern, wanted in _NAMES.get(subject.kind, ()):
        for path, name in _at(subject.spec, pattern):
            if isinstance(name, str) and "${{" not in name and whole.lacks(wanted, name):
                yield Problem(path, whole.missing(wanted, name))


def _files(subject: Subject, whole: Whole) -> Iterator[Problem]:
    for pattern in _FILES.get(subject.kind, ()):
        for path, name in _at(subject.spec, pattern):
            if ".." in name.split("/"):
                yield Problem(path, f"'{name}' would leave the specs repository")
            elif name not in whole.paths:
                hint = did_you_mean(name, whole.paths)
                yield Problem(path, f"there is no file '{name}' in the specs repository{hint}")


def _secrets(subject: Subject, whole: Whole) -> Iterator[Problem]:
    for pattern, field in _SECRETS.get(subject.kind, ()):
        for path, name in _at(subject.spec, pattern):
            secret = whole.catalog.get("Secret", name)
            if secret is not None and subject.name not in getattr(secret.spec, field):
                yield Problem(path, _not_allowed(secret, field, subject.name))


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
