"""What stood when: which incidents took in what came, and what budgets had counted, from what is recorded. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from olympus.athena import budgets
from olympus.athena.core import HOLDS
from olympus.athena.rules import Rule
from olympus.records.incident import Incident, KeyRecord, RuleRecord

NEVER: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Past:
    """For `Engine.load`. incidents: only as what takes in events with their keys; nothing else follows of them."""

    incidents: tuple[Incident, ...] = ()
    rules: tuple[RuleRecord, ...] = ()
    keys: tuple[KeyRecord, ...] = ()


def past_at(
    moment: datetime,
    incidents: Iterable[Incident],
    rules: Mapping[str, Rule],
    records: Mapping[str, RuleRecord] | None = None,
) -> Past:
    """As it was just before `moment`.

    incidents: all that were opened within two hours, or within the rules' cooldowns, before; later ones too
    records:   how rules fare now
    """
    known = list(incidents)
    open_ = (_holding(one, moment) for one in known if one.opened_at < moment)
    fared, keys = _counted(moment, known, rules, records or {})
    return Past(tuple(one for one in open_ if one is not None), tuple(fared.values()), tuple(keys.values()))


def let_go_at(incident: Incident) -> datetime:
    """From then on what comes with its key is new."""
    closed = incident.closed_at
    if closed is None:
        return NEVER
    if incident.state not in ("escalated", "silenced"):
        return closed
    return closed + HOLDS if incident.acked is None else min(closed + HOLDS, max(closed, incident.acked.at))


def _holding(incident: Incident, moment: datetime) -> Incident | None:
    ends = let_go_at(incident)
    if ends <= moment:
        return None
    over = incident.closed_at is not None and incident.closed_at <= moment
    # Of a silenced one what comes after the silence is new; of one that went on, how it went on is recorded.
    state = "silenced" if over and incident.state == "silenced" else "escalated"
    return incident.model_copy(update={"state": state, "wake_at": ends, "attempts": (), "asked": ()})


def _counted(
    moment: datetime,
    incidents: Iterable[Incident],
    rules: Mapping[str, Rule],
    records: Mapping[str, RuleRecord],
) -> tuple[dict[str, RuleRecord], dict[tuple[str, str], KeyRecord]]:
    fared = {
        name: RuleRecord(rule=name, tried=dict(one.tried), verified=dict(one.verified))
        for name, one in records.items()
    }
    keys: dict[tuple[str, str], KeyRecord] = {}
    attempts = [
        (attempt.started_at, incident, attempt) for incident in incidents for attempt in incident.attempts
    ]
    for at, incident, attempt in sorted(attempts, key=lambda one: one[0]):
        rule = rules.get(incident.rule)
        if rule is None:
            continue
        record = fared.get(rule.name) or RuleRecord(rule=rule.name)
        if at >= moment:
            fared[rule.name] = _without(record, attempt.pipeline, helped=attempt.verified)
            continue
        last_resort = attempt.rung < 0
        fared[rule.name] = budgets.counted(record, None if last_resort else incident.node, at)
        if not last_resort and budgets.matters(rule.limits):
            of = (rule.name, incident.key)
            keys[of] = budgets.counted_key(keys.get(of) or KeyRecord(rule=of[0], key=of[1]), rule, at)
    return fared, keys


def _without(record: RuleRecord, pipeline: str, *, helped: bool | None) -> RuleRecord:
    """Before it was known whether that remedy helps."""
    if helped is None:
        return record
    tried = {**record.tried, pipeline: max(0, record.tried.get(pipeline, 0) - 1)}
    verified = {**record.verified, pipeline: max(0, record.verified.get(pipeline, 0) - helped)}
    return record.model_copy(update={"tried": tried, "verified": verified})
