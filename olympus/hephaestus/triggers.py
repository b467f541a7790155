"""Which pipelines an event starts: `on` of Pipelines, indexed by the event's type; and firings of Chronos.

All pure. A trigger with `debounce` waits until no event has come for so long; the last one wins. So that a
stream that never pauses starts something too, it waits no longer than MAX_STRETCH times that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from olympus.hephaestus.recipe import seconds
from olympus.kernel.errors import Invalid
from olympus.kernel.events import MAX_DEPTH, Event
from olympus.records.document import Document, Moment
from olympus.records.run import Claim
from olympus.spec.expression import Condition, ExpressionError, compile_condition
from olympus.spec.template import render

MAX_STRETCH: Final = 10
FIRED: Final = "olympus.chronos.fired"
CRASHLOOPING: Final = "olympus.zeus.service-crashlooping"


@dataclass(frozen=True, slots=True)
class Trigger:
    """One entry of a Pipeline's `on`; `key` is stable while the pipeline's triggers are."""

    key: str
    pipeline: str
    event: str
    where: Condition | None
    params: Mapping[str, Any]
    debounce: timedelta | None


class Pending(Document):
    """`triggers/KEY`: an event that waits for its debounce."""

    pipeline: str
    event: dict[str, Any]
    params: dict[str, Any]
    first: Moment
    due: Moment


@dataclass(frozen=True, slots=True)
class Wanted:
    """A run that an event asks for. `claim`: from a schedule's overlap."""

    pipeline: str
    params: Mapping[str, Any]
    kind: str
    name: str
    claim: Claim | None = None


def triggers_of(pipeline: str, on: Iterable[Mapping[str, Any]]) -> list[Trigger]:
    """The triggers that a Pipeline declares."""
    out = []
    for i, raw in enumerate(on):
        debounce = seconds(raw.get("debounce"))
        out.append(
            Trigger(
                key=f"{pipeline}.{i}",
                pipeline=pipeline,
                event=raw["event"],
                where=compile_condition(raw["where"]) if raw.get("where") else None,
                params=raw.get("params") or {},
                debounce=timedelta(seconds=debounce) if debounce else None,
            )
        )
    return out


def remedy_of(service: str, pipeline: str, schema: Mapping[str, Any] | None) -> Trigger:
    """A Service's `onFailure`: when restarts alone do not help. Params are those that the pipeline knows."""
    known = (schema or {}).get("properties") or {}
    params = {
        name: f"${{{{ event.data.{name} }}}}" for name in ("service", "node", "reason") if name in known
    }
    return Trigger(
        # No pipeline has such a name: its triggers have keys of their own.
        key=f"onFailure/{service}",
        pipeline=pipeline,
        event=CRASHLOOPING,
        where=compile_condition(f"data.service == '{service}'"),
        params=params,
        debounce=None,
    )


def index(triggers: Iterable[Trigger]) -> dict[str, list[Trigger]]:
    out: dict[str, list[Trigger]] = {}
    for trigger in triggers:
        out.setdefault(trigger.event, []).append(trigger)
    return out


def matches(trigger: Trigger, event: Event) -> bool:
    """An event that is too deep starts nothing: that is where loops end."""
    if event.depth > MAX_DEPTH:
        return False
    if trigger.where is None:
        return True
    raw = event.to_json()
    return trigger.where.evaluate({**raw, "event": raw}).value


def params_for(trigger: Trigger, event: Event) -> dict[str, Any]:
    """Rendered with the root `event`. Raises Invalid."""
    try:
        rendered = render(dict(trigger.params), {"event": event.to_json()})
    except (ExpressionError, ValueError) as exc:
        raise Invalid(f"params of pipeline '{trigger.pipeline}' on {event.type}: {exc}") from exc
    return dict(rendered)


def debounced(
    trigger: Trigger, before: Pending | None, event: Event, params: Mapping[str, Any], now: datetime
) -> Pending:
    """The pending start after one more event."""
    wait = trigger.debounce or timedelta(0)
    first = before.first if before else now
    due = min(now + wait, first + wait * MAX_STRETCH)
    return Pending(
        pipeline=trigger.pipeline, event=event.to_json(), params=dict(params), first=first, due=due
    )


def fired(event: Event) -> Wanted | None:
    """What Chronos's firing asks for."""
    data = event.data
    if event.type != FIRED or not data.get("pipeline"):
        return None
    schedule = str(data.get("schedule", ""))
    overlap = data.get("overlap", "skip")
    claim = None
    if overlap in {"queue", "replace"}:
        claim = Claim(group=f"schedule/{schedule}", on_busy=overlap)
    return Wanted(str(data["pipeline"]), data.get("params") or {}, "schedule", schedule, claim)
