"""Catalog, hosts and orders become goals: services resolved, with durations in seconds and files by content.

Pure. Expressions and templates see `node` (name, address, labels) and `service` (name): what is rendered depends
on the host, so that a service with any is resolved for each.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any, Final, TypeAlias

import orjson

from olympus.kernel.errors import Invalid
from olympus.records.desired import (
    BlobRef,
    FileSpec,
    HealthCheck,
    InstanceSpec,
    ProcessRun,
    RestartPolicy,
    SystemdRun,
)
from olympus.records.hosts import Hosts
from olympus.records.intents import Intent
from olympus.spec.catalog import Catalog, Resource
from olympus.spec.duration import parse_duration
from olympus.spec.expression import ExpressionError
from olympus.spec.kinds.service import ServiceSpec
from olympus.spec.selector import parse_selector
from olympus.spec.template import as_text, render
from olympus.zeus.looks import looks
from olympus.zeus.model import Declared, Goal, Host, UpdatePolicy
from olympus.zeus.plan import Declaration

Intents: TypeAlias = Mapping[tuple[str, str], Intent]
Rendered: TypeAlias = Mapping[tuple[str, str, str], BlobRef]
"""(service, host, path in the commit) → a template's content for that host."""

_HOLE: Final = "${{"


@dataclass(frozen=True, slots=True)
class Contents:
    """files: path in the commit → content; rendered: of templates."""

    files: Mapping[str, BlobRef] = field(default_factory=dict)
    rendered: Rendered = field(default_factory=dict)


def compile_hosts(catalog: Catalog | None, known: Hosts, intents: Intents) -> dict[str, Host]:
    """Every host that registered itself, with what git's Node documents and operators say of it."""
    hosts: dict[str, Host] = {}
    for name, record in known.hosts.items():
        intent = intents.get(("node", name))
        drained = intent is not None and intent.drained
        node = None if catalog is None else catalog.get("Node", name)
        if node is None:
            hosts[name] = Host(name, alive=record.alive, drained=drained, address=record.address)
            continue
        hosts[name] = Host(
            name,
            labels=node.labels,
            alive=record.alive,
            drained=drained or node.spec.maintenance,
            mode=node.spec.mode,
            allow_users=tuple(node.spec.allow.users),
            address=node.spec.address or record.address,
        )
    return hosts


def declaration(catalog: Catalog, revision: str, contents: Contents, intents: Intents) -> Declaration:
    """The catalog as plans and reconciliations see it."""
    resources = {
        one.ref: Declared(one.kind, one.name, _digest(one, contents), partial(_text, one))
        for one in catalog.resources
    }
    goals = {
        one.name: _goal(
            one, resources[one.ref].digest, revision, contents, intents.get(("service", one.name))
        )
        for one in catalog.all("Service")
    }
    return Declaration(revision, resources, goals, looks(catalog, intents))


def templates(catalog: Catalog) -> Iterable[tuple[str, str]]:
    """(service, path in the commit) of every file that has to be rendered for each host."""
    for one in catalog.all("Service"):
        yield from ((one.name, file.source) for file in one.spec.files if file.template)


def render_template(content: bytes, service: str, host: Host) -> bytes:
    """A template's content for a host. Raises Invalid, naming the service and the host."""
    try:
        return as_text(render(content.decode(), _roots(service, host))).encode()
    except (ExpressionError, UnicodeDecodeError) as exc:
        raise Invalid(f"service {service}: a template can not be rendered for {host.name}: {exc}") from exc


def _roots(service: str, host: Host) -> dict[str, Any]:
    return {
        "node": {"name": host.name, "address": host.address, "labels": dict(host.labels)},
        "service": {"name": service},
    }


def _digest(resource: Resource, contents: Contents) -> str:
    """Of the document and of the files that it brings: either makes it another one."""
    files = [contents.files[path].digest for path in sorted(_sources(resource)) if path in contents.files]
    return hashlib.sha256(orjson.dumps([resource.digest, files])).hexdigest() if files else resource.digest


def _sources(resource: Resource) -> Iterable[str]:
    if resource.kind != "Service":
        return ()
    systemd = resource.spec.run.systemd
    unit = [] if systemd is None or systemd.file is None else [systemd.file]
    return [*unit, *(file.source for file in resource.spec.files)]


def _text(resource: Resource) -> str:
    """The spec as a diff shows it: one value a line, named by its path."""
    lines = []
    labels = resource.labels
    if labels:
        lines.append(f"labels: {json.dumps(dict(labels), ensure_ascii=False, sort_keys=True)}")
    lines += _flat("", resource.spec.to_json())
    return "\n".join(lines)


def _flat(path: str, value: Any) -> Iterable[str]:
    if isinstance(value, dict) and value:
        for key in sorted(value):
            yield from _flat(f"{path}.{key}" if path else str(key), value[key])
    elif isinstance(value, list) and any(isinstance(one, dict) for one in value):
        for number, one in enumerate(value):
            yield from _flat(f"{path}[{number}]", one)
    else:
        yield f"{path}: {json.dumps(value, ensure_ascii=False)}"


def _goal(resource: Resource, digest: str, revision: str, contents: Contents, intent: Intent | None) -> Goal:
    name, spec = resource.name, resource.spec
    replicas = spec.nodes.replicas
    return Goal(
        service=name,
        digest=digest,
        accepts=parse_selector(spec.nodes.selector).matches,
        spec_on=_resolver(name, spec, revision, contents, intent),
        replicas=None if replicas == "each" else replicas,
        spread=spec.nodes.spread,
        failover=spec.on_failure == "failover",
        update=_update(spec),
        suspended=intent is not None and intent.suspended,
    )


def _update(spec: ServiceSpec) -> UpdatePolicy:
    if spec.update is None:
        return UpdatePolicy(rollback=False)
    away = spec.update.max_unavailable
    percent = float(away.removesuffix("%")) if isinstance(away, str) else None
    return UpdatePolicy(
        canary=spec.update.canary or 0,
        max_unavailable=away if isinstance(away, int) else 1,
        max_unavailable_percent=percent,
        healthy_for=seconds(spec.update.healthy_for),
        rollback=spec.update.rollback,
    )


def _resolver(
    name: str, spec: ServiceSpec, revision: str, contents: Contents, intent: Intent | None
) -> Callable[[Host], InstanceSpec]:
    raw = {
        "run": spec.run.to_json(),
        "checks": [check.to_json() for check in spec.checks],
        "files": [file.to_json() for file in spec.files],
    }
    varies = _HOLE in json.dumps(raw) or any(file.template for file in spec.files)

    def resolve(host: Host) -> InstanceSpec:
        try:
            shown = (
                spec.model_validate({**spec.to_json(), **render(raw, _roots(name, host))}) if varies else spec
            )
        except (ExpressionError, ValueError) as exc:
            raise Invalid(f"service {name} can not be resolved for {host.name}: {exc}") from exc
        return InstanceSpec(
            service=name,
            process=_process(shown),
            systemd=_systemd(shown, contents),
            files=tuple(_file(name, host, file, contents) for file in shown.files),
            checks=tuple(_check(check) for check in shown.checks),
            restart=RestartPolicy(
                attempts=shown.restart.attempts,
                within=seconds(shown.restart.within),
                delay=seconds(shown.restart.delay),
                max=seconds(shown.restart.max),
            ),
            depends_on=tuple(shown.depends_on),
            revision=revision,
            restart_token="" if intent is None else intent.restart,
            stop=intent is not None and intent.stopped,
        ).sealed()

    if not varies:
        once = cache(lambda: resolve(Host("")))
        return lambda host: once()
    by_host: dict[str, InstanceSpec] = {}

    def resolved(host: Host) -> InstanceSpec:
        found = by_host.get(host.name)
        if found is None:
            found = by_host[host.name] = resolve(host)
        return found

    return resolved


def _process(spec: ServiceSpec) -> ProcessRun | None:
    process = spec.run.process
    if process is None:
        return None
    return ProcessRun(
        command=tuple(process.command), user=process.user, env=process.env, workdir=process.workdir
    )


def _systemd(spec: ServiceSpec, contents: Contents) -> SystemdRun | None:
    systemd = spec.run.systemd
    if systemd is None:
        return None
    file = None if systemd.file is None else _content(contents.files, systemd.file)
    return SystemdRun(unit=systemd.unit, file=file, enable=systemd.enable)


def _file(service: str, host: Host, file: Any, contents: Contents) -> FileSpec:
    key = (service, host.name, file.source)
    content = contents.rendered.get(key) if file.template else None
    return FileSpec(
        path=file.path,
        content=content or _content(contents.files, file.source),
        mode=int(file.mode, 8),
        owner=file.owner,
        group=file.group,
        on_change=file.on_change,
    )


def _content(files: Mapping[str, BlobRef], path: str) -> BlobRef:
    found = files.get(path)
    if found is None:
        raise Invalid(f"{path} is not in the commit")
    return found


def _check(check: Any) -> HealthCheck:
    return HealthCheck(
        http=check.http,
        tcp=check.tcp,
        command=None if check.command is None else tuple(check.command),
        every=seconds(check.every),
        timeout=seconds(check.timeout),
        failures=check.failures,
    )


def seconds(duration: str) -> float:
    """Of a duration as specs write it."""
    return parse_duration(duration).total_seconds()
