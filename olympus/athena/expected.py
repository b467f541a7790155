"""What a RuleTest expects, held against what happened: where it is not so, what happened instead and why. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import orjson

from olympus.athena.reasons import deciding
from olympus.kernel.events import Event
from olympus.records.incident import Incident
from olympus.spec.duration import format_duration, parse_duration
from olympus.spec.expression import Clause, Truth
from olympus.spec.kinds.rule import Expected, RuleTestSpec
from olympus.spec.loader import Path

_MANY = 5


@dataclass(frozen=True, slots=True)
class Started:
    """A run; incident: as it was when that was decided."""

    at: datetime
    pipeline: str
    params: Mapping[str, Any]
    incident: Incident


@dataclass(frozen=True, slots=True)
class Entered:
    """An incident came to this state."""

    at: datetime
    incident: Incident
    state: str


@dataclass(slots=True)
class History:
    """What happened to one rule, in order. events: when, which, and what kept the rule from firing."""

    begun: datetime
    rule: str
    started: list[Started] = field(default_factory=list)
    entered: list[Entered] = field(default_factory=list)
    events: list[tuple[datetime, Event, str]] = field(default_factory=list)

    def came(self, at: datetime, event: Event, why_not: str) -> None:
        self.events.append((at, event, why_not))

    def offset(self, at: datetime) -> str:
        """From the beginning, as specs write it."""
        return format_duration(at - self.begun)

    def in_state(self, state: str) -> Iterator[tuple[Entered, datetime | None]]:
        """Each time that an incident was, and when that was over; None: never."""
        for index, one in enumerate(self.entered):
            if one.state == state:
                later = (two.at for two in self.entered[index + 1 :] if two.incident.id == one.incident.id)
                yield one, next(later, None)


def flaws(test: RuleTestSpec, history: History) -> Iterator[tuple[Path, str]]:
    """(where below the spec, what is not as expected)."""
    for index, expected in enumerate(test.expect):
        missing = _missing(expected, history)
        if missing is not None:
            yield ("expect", index), missing
    for index, forbidden in enumerate(test.never):
        found = _found(forbidden, history)
        if found is not None:
            yield ("never", index), found


def _missing(expected: Expected, history: History) -> str | None:
    if _found(expected, history) is not None:
        return None
    at = f" at {expected.at}" if expected.at is not None else ""
    if expected.run is None:
        return f"no incident was {expected.incident}{at}: {_states(history)}"
    params = f" with {_json(expected.params)}" if expected.params else ""
    return f"run {expected.run} was not started{at}{params}: {_runs(expected.run, history)}"


def _found(wanted: Expected, history: History) -> str | None:
    """In words, where it happened."""
    if wanted.run is not None:
        for one in history.started:
            if (
                one.pipeline == wanted.run
                and _is_at(one.at, wanted, history)
                and _has(one.params, wanted.params)
            ):
                return f"run {one.pipeline} {_run(one, history)}: {_decided(one.incident)}"
        return None
    for entered, left in history.in_state(str(wanted.incident)):
        if wanted.at is None or _covers(entered.at, left, history.begun + parse_duration(wanted.at)):
            by = _decided(entered.incident)
            return f"an incident was {wanted.incident} at {history.offset(entered.at)}: {by}"
    return None


def _is_at(at: datetime, wanted: Expected, history: History) -> bool:
    """To the millisecond, which is as exact as specs are."""
    if wanted.at is None:
        return True
    return abs(at - history.begun - parse_duration(wanted.at)) < timedelta(milliseconds=1)


def _covers(entered: datetime, left: datetime | None, at: datetime) -> bool:
    """What an incident only passes through, it is at that moment."""
    return at == entered or (entered < at and (left is None or at < left))


def _has(params: Mapping[str, Any], wanted: Mapping[str, Any] | None) -> bool:
    return all(name in params and params[name] == value for name, value in (wanted or {}).items())


# ── what happened instead ──


def _runs(pipeline: str, history: History) -> str:
    same = [one for one in history.started if one.pipeline == pipeline]
    if same:
        return f"it {' and '.join(_run(one, history) for one in same[:_MANY])}"
    if history.started:
        said = [f"{one.pipeline} {_run(one, history)}" for one in history.started[:_MANY]]
        return f"{' and '.join(said)}; {_why(history)}"
    return f"the rule started nothing; {_why(history)}"


def _run(one: Started, history: History) -> str:
    params = f" with {_json(one.params)}" if one.params else ""
    return f"was started at {history.offset(one.at)}{params}"


def _states(history: History) -> str:
    if not history.entered or all(one.state in ("asking", "dismissed") for one in history.entered):
        return f"there was none; {_why(history)}"
    said = [f"{one.state} at {history.offset(one.at)}" for one in history.entered]
    shown = said if len(said) <= 2 * _MANY else [*said[:_MANY], "…", *said[-_MANY:]]
    return f"they were {', '.join(shown)}; {_why(history)}"


def _why(history: History) -> str:
    """What decided last."""
    if history.entered:
        return _decided(history.entered[-1].incident)
    against = [(at, event, why) for at, event, why in history.events if why]
    if not against:
        return "nothing that was given concerns it"
    # The event that came nearest says most: one of the type that is looked for.
    at, event, why = next((one for one in reversed(against) if not one[2].startswith("event ")), against[-1])
    return f"{event.type} at {history.offset(at)}: {why}"


def _decided(incident: Incident) -> str:
    rulings = [one for one in incident.decisions if not str(one.clause).startswith("solve[")]
    clauses = [Clause(one.clause, _truth(one.value), one.because) for one in rulings]
    return deciding(_last(clauses)) if clauses else "every event of its type concerns the rule"


def _last(clauses: Sequence[Clause]) -> Sequence[Clause]:
    # What was decided before and went on decides no more.
    return clauses if clauses[-1].text in ("ask", "limits") or clauses[-1].value != "true" else clauses[-1:]


def _truth(value: Any) -> Truth:
    return "missing" if value == "missing" else "true" if value is True else "false"


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()
