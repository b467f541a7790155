"""What resources name has to be there, may be used, and must not go in circles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from olympus.kernel.diagnostics import did_you_mean
from olympus.spec.catalog import Ref, Resource
from olympus.spec.checks.graph import cycle_in
from olympus.spec.checks.problem import Problem, Subject, Whole, as_far, found

MAX_CIRCLES: Final = 20
"""That are shown."""

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
    if subject.kind == "RuleTest":
        yield from as_far(subject, _rule_test(subject, whole))
    if subject.kind == "LogWatch":
        yield from as_far(subject, _listens(subject, whole))


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
        left = graph
        for _ in range(MAX_CIRCLES):
            cycle = cycle_in(left)
            resource = whole.catalog.get(kind, cycle[0]) if cycle else None
            if resource is None:
                break
            message = f"{kind.lower()}s {verb} each other in a circle: {' → '.join(cycle)}"
            yield resource.ref, Problem(("spec", field), message)
            left = {name: needs for name, needs in left.items() if name not in cycle}


def used_files(kind: str, spec: Mapping[str, Any]) -> list[str]:
    """The files of the tree that a resource needs."""
    names = (value for pattern in _FILES.get(kind, ()) for _, value in found(spec, pattern))
    return [name for name in names if isinstance(name, str)]


def _named(subject: Subject, whole: Whole) -> Iterator[Problem]:
    for pattern, wanted in _NAMES.get(subject.kind, ()):
        for path, name in found(subject.spec, pattern):
            if isinstance(name, str) and "${{" not in name and whole.lacks(wanted, name):
                yield Problem(path, whole.missing(wanted, name))


def _files(subject: Subject, whole: Whole) -> Iterator[Problem]:
    for pattern in _FILES.get(subject.kind, ()):
        for path, name in found(subject.spec, pattern):
            if ".." in name.split("/"):
                yield Problem(path, f"'{name}' would leave the specs repository")
            elif name not in whole.paths:
                hint = whole.guess(name, whole.paths)
                yield Problem(path, f"there is no file '{name}' in the specs repository{hint}")


def _secrets(subject: Subject, whole: Whole) -> Iterator[Problem]:
    for pattern, field in _SECRETS.get(subject.kind, ()):
        for path, name in found(subject.spec, pattern):
            secret = whole.catalog.get("Secret", name)
            if secret is not None and subject.name not in getattr(secret.spec, field):
                yield Problem(path, _not_allowed(secret, field, subject.name))


def _listens(subject: Subject, whole: Whole) -> Iterator[Problem]:
    """An address that another LogWatch of the same nodes has."""
    for path, address in found(subject.spec, ("source", "syslog", "listen")):
        selector = (subject.spec.get("nodes") or {}).get("selector", "")
        for other in whole.catalog.all("LogWatch"):
            syslog, alike = other.spec.source.syslog, other.spec.nodes.selector == selector
            if alike and other.name < subject.name and syslog is not None and syslog.listen == address:
                yield Problem(
                    path, f"LogWatch '{other.name}' listens there: put its matches into one LogWatch"
                )
                break


def _rule_test(subject: Subject, whole: Whole) -> Iterator[Problem]:
    """Answers that the rule asks for, params that the pipelines have."""
    rule = whole.catalog.get("Rule", subject.spec["rule"])
    if rule is not None:
        asked = rule.spec.ask
        given = [*found(subject.spec, ("answers", "*")), *found(subject.spec, ("given", "*", "answers", "*"))]
        for path, _ in given:
            name = str(path[-1])
            if name not in asked:
                message = f"rule '{rule.name}' does not ask for '{name}'{did_you_mean(name, asked)}"
                yield Problem(path, message, at_key=True)
    for path, expected in (*found(subject.spec, ("expect", "*")), *found(subject.spec, ("never", "*"))):
        pipeline = whole.catalog.get("Pipeline", expected.get("run", ""))
        params: dict[str, Any] = (
            {"additionalProperties": True} if pipeline is None else pipeline.spec.params or {}
        )
        if "additionalProperties" in params:
            continue
        known: Mapping[str, Any] = params.get("properties") or {}
        for name in expected.get("params") or ():
            if name not in known:
                message = f"pipeline '{expected['run']}' has no param '{name}'{did_you_mean(name, known)}"
                yield Problem((*path, "params", name), message, at_key=True)


def _not_allowed(secret: Resource, field: str, user: str) -> str:
    place = f"{secret.file}:{secret.line}"
    return f"secret '{secret.name}' may not be used here: add '{user}' to its {field} ({place})"
