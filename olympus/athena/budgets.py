"""What a rule may do: cooldown and runs per hour of a key, its share of the nodes, and the breaker. Pure.

`limits` are none unless declared, but the breaker is always there: a rule that starts BREAKER runs in a minute starts
no more for BREAKER_HOLDS.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from olympus.athena.rules import Limits, Rule
from olympus.kernel.clock import rfc3339
from olympus.records.incident import KeyRecord, RuleRecord
from olympus.spec.duration import format_duration

BREAKER: Final = 100
BREAKER_HOLDS: Final = timedelta(minutes=10)
_HOUR: Final = timedelta(hours=1)
_MINUTE: Final = timedelta(minutes=1)
_MOST: Final = 1000


def broken(record: RuleRecord, now: datetime) -> str | None:
    """Why the breaker stops the rule."""
    if record.broken is None or now >= record.broken:
        return None
    return f"the breaker is open until {rfc3339(record.broken)}: {BREAKER} runs in a minute"


def cooling(limits: Limits, key: KeyRecord | None, now: datetime) -> str | None:
    """Why a rule does not act again for its key just now."""
    if limits.cooldown is None or key is None or not key.runs:
        return None
    until = key.runs[-1] + limits.cooldown
    if now >= until:
        return None
    return f"cooldown of {format_duration(limits.cooldown)} until {rfc3339(until)}"


def spent(limits: Limits, key: KeyRecord | None, now: datetime) -> str | None:
    """Why a rule may start no further run for its key."""
    if limits.per_hour is None or key is None:
        return None
    recent = [at for at in key.runs if at > now - _HOUR]
    if len(recent) < limits.per_hour:
        return None
    until = recent[-limits.per_hour] + _HOUR
    return f"{len(recent)} runs in an hour, {limits.per_hour} are allowed: until {rfc3339(until)}"


def touched(record: RuleRecord, now: datetime) -> set[str]:
    """The nodes that a rule acted on within an hour."""
    return {name for name, at in record.nodes.items() if at > now - _HOUR}


def crowded(limits: Limits, acted: set[str], node: str | None, cluster: int) -> str | None:
    """Why a rule may act on no further node of the cluster: those that it acts or `acted` on are enough."""
    if limits.max_nodes is None or not node:
        return None
    allowed = share(limits.max_nodes, cluster)
    if node in acted or len(acted) < allowed:
        return None
    return f"it acted on {len(acted)} of {cluster} nodes within an hour, {allowed} are allowed"


def share(size: int | str, cluster: int) -> int:
    """A percentage of the cluster's nodes, rounded down, but at least one."""
    return size if isinstance(size, int) else max(1, int(cluster * float(size.rstrip("%")) / 100))


def counted(record: RuleRecord, node: str | None, now: datetime) -> RuleRecord:
    """After a run was started."""
    runs = (*(at for at in record.runs if at > now - _MINUTE), now)
    nodes = {name: at for name, at in record.nodes.items() if at > now - _HOUR}
    if node:
        nodes[node] = now
    opens = len(runs) >= BREAKER
    return record.model_copy(
        update={
            "runs": () if opens else runs,
            "nodes": nodes,
            "broken": now + BREAKER_HOLDS if opens else record.broken,
        }
    )


def counted_key(record: KeyRecord, rule: Rule, now: datetime) -> KeyRecord:
    """After a run was started."""
    kept = tuple(at for at in record.runs if at > now - _kept_for(rule.limits))[1 - _MOST :]
    return record.model_copy(update={"runs": (*kept, now)})


def forgotten_at(record: KeyRecord, limits: Limits) -> datetime | None:
    """When nothing of it counts any more."""
    return record.runs[-1] + _kept_for(limits) if record.runs else None


def matters(limits: Limits) -> bool:
    """Whether keys have to be remembered at all."""
    return limits.cooldown is not None or limits.per_hour is not None


def _kept_for(limits: Limits) -> timedelta:
    return max(_HOUR, limits.cooldown or _HOUR)
