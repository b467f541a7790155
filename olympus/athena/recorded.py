"""What the world replied to a recorded incident, so that a replay gets the same replies at the same moments. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from olympus.athena.model import Answered, Fact, Looked, RunEnded, StartRun, Unanswered
from olympus.records.incident import Attempt, Incident


@dataclass(frozen=True, slots=True)
class Reply:
    """A fact, and when it came."""

    at: datetime
    fact: Fact


def answer(incident: Incident, name: str, ask: Any) -> Reply | None:
    """To a question that was asked before the first decision; None where it was not, or was another one."""
    if (incident.spec.get("ask") or {}).get(name) != ask:
        return None
    at = _asked_until(incident)
    if at is None:
        return None
    if name in incident.answers:
        return Reply(at, Answered(name, incident.answers[name]))
    return Reply(at, Unanswered(name, incident.unanswered.get(name, "no answer was kept")))


def _asked_until(incident: Incident) -> datetime | None:
    moments = [one.at for one in incident.decisions if one.at > incident.opened_at]
    moments += [one.started_at for one in incident.attempts]
    if incident.closed_at is not None:
        moments.append(incident.closed_at)
    return min(moments, default=None)


def attempt_of(incident: Incident, rung: int, start: StartRun) -> Attempt | None:
    """The same remedy, as it was started then."""
    found = next((one for one in incident.attempts if one.rung == rung), None)
    same = found is not None and found.pipeline == start.pipeline and dict(found.params) == dict(start.params)
    return found if same else None


def run_end(attempt: Attempt, run: str) -> Reply | None:
    """None while it is not over."""
    if attempt.ended_at is None or not attempt.state:
        return None
    return Reply(attempt.ended_at, RunEnded(run, attempt.state, attempt.message))


def verification(incident: Incident, attempt: Attempt) -> Reply | None:
    """How it was found whether the remedy helped; None while it is not known."""
    if attempt.ended_at is None:
        return None
    later = [one.started_at for one in incident.attempts if one.started_at > attempt.started_at]
    for one in incident.decisions:
        said = one.clause.startswith("verify") and one.at >= attempt.ended_at
        if said and all(one.at <= other for other in later):
            return Reply(one.at, Looked(value=bool(one.value), because=one.because))
    return None


def fresh_answer(incident: Incident, attempt: Attempt, name: str, now: datetime) -> Fact:
    """To a question that an `until` asks anew: what it was that ended the verification, before it nothing."""
    found = verification(incident, attempt)
    last = incident.attempt is not None and incident.attempt.run == attempt.run
    if found is not None and now >= found.at and last and name in incident.fresh:
        return Answered(name, incident.fresh[name])
    return Unanswered(name, "what was answered is not kept")


def silence(incident: Incident, now: datetime) -> str | None:
    """In words, where a silence had ended it by then."""
    if incident.state != "silenced":
        return None
    return next(
        (one.because for one in incident.decisions if one.clause == "silence" and one.at <= now), None
    )
