"""Checks and LogWatches as each host is told of them: resolved, times in seconds. Pure.

Nothing of them starts or stops a service: a host that is told of another one goes on as it was.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from olympus.kernel.errors import Invalid
from olympus.records.desired import CheckDesired, WatchDesired
from olympus.records.intents import Intent
from olympus.spec.catalog import Catalog, Resource
from olympus.spec.duration import parse_duration
from olympus.spec.expression import ExpressionError
from olympus.spec.kinds.check import CheckSpec
from olympus.spec.selector import parse_selector
from olympus.spec.template import render
from olympus.zeus.model import Host, Look

_HOLE: Final = "${{"


def looks(catalog: Catalog, intents: Mapping[tuple[str, str], Intent]) -> tuple[Look, ...]:
    """All that are not suspended, by kind and name."""
    found = []
    for one in (*catalog.all("Check"), *catalog.all("LogWatch")):
        kind = one.kind.lower()
        intent = intents.get((kind, one.name))
        if intent is None or not intent.suspended:
            accepts = parse_selector(one.spec.nodes.selector).matches
            told = _checked(one) if kind == "check" else _watched(one, catalog)
            found.append(Look(kind, one.name, accepts, told))
    return tuple(found)


def looked_at(told: Sequence[Look], host: Host) -> tuple[tuple[CheckDesired, ...], tuple[WatchDesired, ...]]:
    """What the host is to look at. Raises Invalid where something cannot be resolved for it."""
    here = [look.on(host) for look in told if look.accepts(host.labels)]
    return (
        tuple(one for one in here if isinstance(one, CheckDesired)),
        tuple(one for one in here if isinstance(one, WatchDesired)),
    )


def _watched(resource: Resource, catalog: Catalog) -> Callable[[Host], WatchDesired]:
    spec = {key: value for key, value in resource.spec.to_json().items() if key != "nodes"}
    service = catalog.get("Service", resource.spec.source.service or "")
    if service is not None and service.spec.run.systemd is not None:
        # Its output is in the journal.
        source = {key: value for key, value in spec["source"].items() if key != "service"}
        spec["source"] = {**source, "journal": {"units": [service.spec.run.systemd.unit]}}
    told = WatchDesired(name=resource.name, spec=spec)
    return lambda _: told


def _checked(resource: Resource) -> Callable[[Host], CheckDesired]:
    raw = resource.spec.to_json()
    # Conditions say `value.x > 1` without braces: what has some is rendered for the host.
    if _HOLE not in json.dumps(raw):
        told = _check(resource.name, resource.spec)
        return lambda _: told

    def on(host: Host) -> CheckDesired:
        node = {"name": host.name, "address": host.address, "labels": dict(host.labels)}
        try:
            return _check(resource.name, CheckSpec.model_validate(render(raw, {"node": node})))
        except (ExpressionError, ValueError) as exc:
            raise Invalid(f"check {resource.name} can not be resolved for {host.name}: {exc}") from exc

    return on


def _check(name: str, spec: CheckSpec) -> CheckDesired:
    target, command = _aim(spec)
    return CheckDesired.model_validate(
        {
            "name": name,
            "probe": spec.probe,
            "target": target,
            "command": command,
            "every": _seconds(spec.every),
            "timeout": _seconds(spec.timeout),
            "fail_when": spec.fail_when,
            "lasts": _seconds(spec.for_) if spec.for_ is not None else 0.0,
            "clear": spec.clear,
        }
    )


def _aim(spec: CheckSpec) -> tuple[str, tuple[str, ...]]:
    """What it is aimed at, whichever way it was written; and the command, if it is one."""
    probe: Any = getattr(spec, spec.probe)
    if isinstance(probe, str):
        return probe, ()
    if spec.probe == "command":
        return "", tuple(probe if isinstance(probe, list) else probe.command)
    if spec.probe == "certificate":
        return probe.file or probe.server, ()
    for field in ("path", "url", "address"):
        if hasattr(probe, field):
            return str(getattr(probe, field)), ()
    return "", ()


def _seconds(duration: str) -> float:
    return parse_duration(duration).total_seconds()
