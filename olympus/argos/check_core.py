"""How a check's state follows from what its probe finds. Pure.

failing: the fail condition held for `for`; passing again when it no longer holds and, where there is one, `clear`
holds; unknown: the probe could not look, or the condition hangs on what the value lacks. What can't be told in
the first place, or is not yet failing for long enough, has no state: nobody may take it for passing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final, Literal, TypeAlias

from olympus.kernel.decision import Decision
from olympus.records.check import CheckState, Verdict
from olympus.spec.expression import Condition, compile_condition

_SHOWN: Final = 200

DEFAULTS: Final[Mapping[str, str]] = {
    "disk": "value.used_percent > 90",
    "memory": "value.used_percent > 90",
    "certificate": "value.days_left < 14",
    "file": "!value.exists",
    "http": "value.status >= 400",
    "command": "value.exit != 0",
}
"""When a check fails that does not say so itself; tcp fails by not connecting, load by the number of cores."""


def default_condition(probe: str, cpus: int) -> str | None:
    """None where being reached is all that is asked."""
    if probe == "load":
        return f"value.five > {2 * cpus}"
    return DEFAULTS.get(probe)


News: TypeAlias = Literal["check-failed", "check-recovered", "check-unknown"]
_NEWS: Final[Mapping[CheckState, News]] = {
    "failing": "check-failed",
    "passing": "check-recovered",
    "unknown": "check-unknown",
}


@dataclass(frozen=True, slots=True)
class Rule:
    """What a check asks of a value. fail None: nothing but that there is one."""

    fail: Condition | None = None
    lasts: timedelta = timedelta(0)
    clear: Condition | None = None

    @staticmethod
    def of(fail: str | None, lasts: float = 0.0, clear: str | None = None) -> Rule:
        """Raises ExpressionError where a condition can't be parsed."""
        return Rule(
            compile_condition(fail) if fail else None,
            timedelta(seconds=lasts),
            compile_condition(clear) if clear else None,
        )


@dataclass(frozen=True, slots=True)
class Found:
    """The probe looked."""

    value: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Unanswered:
    """The probe looked, and what it looks for is not there: a server that does not answer. It fails."""

    why: str


@dataclass(frozen=True, slots=True)
class NotLooked:
    """The probe could not look."""

    why: str


Fact: TypeAlias = Found | Unanswered | NotLooked


@dataclass(frozen=True, slots=True)
class Standing:
    """state None: nothing is known yet. since: when it became so. failing_since: when the condition began to hold."""

    state: CheckState | None = None
    since: datetime | None = None
    judged: Verdict | None = None
    failing_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """Write down how it stands; `tell` is the event's name, where the change is one to tell."""

    state: CheckState
    since: datetime
    judged: Verdict | None
    value: Mapping[str, Any] = field(default_factory=dict)
    message: str = ""
    tell: News | None = None


def decide(standing: Standing, fact: Fact, rule: Rule, now: datetime) -> Decision[Standing, Record]:
    """The state after `fact`; an effect only where the state changed."""
    match fact:
        case NotLooked():
            return _become(replace(standing, failing_since=None), "unknown", {}, fact.why, now)
        case Unanswered():
            return _fails(standing, {"error": fact.why}, fact.why, rule, now)
        case Found():
            return _judge(standing, fact.value, rule, now)


def _judge(
    standing: Standing, value: Mapping[str, Any], rule: Rule, now: datetime
) -> Decision[Standing, Record]:
    roots = {"value": value}
    fails = False if rule.fail is None else rule.fail.decided(roots)
    said = _in_words(value)
    if fails is None:
        why = "; ".join(
            clause.because or clause.text
            for clause in (rule.fail.evaluate(roots).clauses if rule.fail else ())
            if clause.value != "true"
        )
        return _become(replace(standing, failing_since=None), "unknown", value, f"can't be told: {why}", now)
    if fails:
        return _fails(standing, value, said, rule, now)
    if standing.judged == "failing" and rule.clear is not None and not rule.clear.holds(roots):
        # It got better, but not by as much as it has to.
        return _become(replace(standing, failing_since=None), "failing", value, said, now)
    return _become(replace(standing, failing_since=None), "passing", value, said, now)


def _fails(
    standing: Standing, value: Mapping[str, Any], said: str, rule: Rule, now: datetime
) -> Decision[Standing, Record]:
    begun = standing.failing_since or now
    held = replace(standing, failing_since=begun)
    if standing.judged != "failing" and now - begun < rule.lasts:
        return Decision(held)
    return _become(held, "failing", value, said, now)


def _become(
    standing: Standing, state: CheckState, value: Mapping[str, Any], said: str, now: datetime
) -> Decision[Standing, Record]:
    if standing.state == state:
        return Decision(standing)
    judged: Verdict | None = standing.judged if state == "unknown" else state
    after = replace(standing, state=state, since=now, judged=judged)
    # That a new check passes is no news.
    first = standing.state is None and state == "passing"
    return Decision(after, (Record(state, now, judged, value, said, None if first else _NEWS[state]),))


def _in_words(value: Mapping[str, Any]) -> str:
    text = ", ".join(
        f"{name} is {round(one, 3) if isinstance(one, float) else json.dumps(one, ensure_ascii=False)}"
        for name, one in value.items()
    )
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
