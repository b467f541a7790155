"""Timetables out of the catalog: Schedule and Window specs, parsed."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from olympus.chronos.model import At, Every, Exclusion, Timetable, Trigger
from olympus.spec.catalog import Catalog, Resource, digest_of
from olympus.spec.cron import parse_cron, zone
from olympus.spec.duration import parse_duration
from olympus.spec.kinds import ScheduleSpec, WindowSpec


def timetables(catalog: Catalog, suspended: Collection[str] = ()) -> dict[str, Timetable]:
    """By name. suspended: schedules that operators paused outside git."""
    found = (timetable(one, catalog, one.name in suspended) for one in catalog.all("Schedule"))
    return {one.name: one for one in found}


def timetable(resource: Resource, catalog: Catalog, suspended: bool = False) -> Timetable:
    """Of a Schedule that is valid."""
    spec: ScheduleSpec = resource.spec
    exclusions = [_exclusion(window) for name in spec.except_ if (window := catalog.get("Window", name))]
    when = {"cron": spec.cron, "every": spec.every, "at": spec.at, "timezone": spec.timezone}
    return Timetable(
        name=resource.name,
        trigger=_trigger(spec),
        pipeline=spec.pipeline,
        params=dict(spec.params),
        digest=digest_of(when),
        revision=catalog.revision,
        jitter=parse_duration(spec.jitter) if spec.jitter else timedelta(0),
        missed=spec.missed,
        overlap=spec.overlap,
        exclusions=tuple(exclusions),
        paused=spec.paused or suspended,
    )


def _trigger(spec: ScheduleSpec) -> Trigger:
    if spec.cron is not None:
        return parse_cron(spec.cron, spec.timezone)
    if spec.every is not None:
        return Every(parse_duration(spec.every))
    moment = datetime.fromisoformat(spec.at or "")
    return At(moment if moment.tzinfo else moment.replace(tzinfo=zone(spec.timezone)))


def _exclusion(window: Resource) -> Exclusion:
    spec: WindowSpec = window.spec
    starts = parse_cron(spec.cron, spec.timezone)
    return Exclusion(window.name, starts, parse_duration(spec.duration), allow=spec.mode == "allow")
