"""The status of the specs themselves, and of what is in force as soon as it is applied."""

from __future__ import annotations

from typing import Any

from olympus.kernel.clock import rfc3339
from olympus.records.cluster import Cluster
from olympus.records.incident import RuleRecord
from olympus.records.intents import ALL_RULES, Intent
from olympus.records.status.verdict import Verdict


def specs_status(cluster: Cluster) -> dict[str, Any]:
    """How it stands with the specs themselves: what is applied, and why a later commit is not."""
    outcome, source = cluster.outcome, cluster.source
    if source is not None and source.error:
        verdict = Verdict(source.since, "FetchFailed", source.error, stalled="True")
    elif outcome is not None and not outcome.applied:
        message = f"{outcome.revision[:7]} was refused: {'; '.join(outcome.lines)}"
        verdict = Verdict(outcome.at, "Refused", message, stalled="True")
    elif not cluster.revision:
        verdict = Verdict(cluster.now, "Empty", "nothing was pushed yet", ready="True")
    else:
        verdict = Verdict(cluster.applied_at, "Applied", ready="True")
    return {"revision": cluster.revision or None, "conditions": verdict.conditions(cluster.revision)}


def declared_status(cluster: Cluster, intent: Intent | None) -> dict[str, Any]:
    """`status` of kinds that are in force as soon as they are applied (Schedule, Pipeline, Webhook, …)."""
    if intent is not None and intent.suspended:
        verdict = Verdict(intent.at, "Suspended", "suspended by " + (intent.by or "an operator"))
    else:
        verdict = Verdict(cluster.applied_at, "Applied", ready="True")
    return {"conditions": verdict.conditions(cluster.revision)}


def rule_status(name: str, cluster: Cluster) -> dict[str, Any]:
    """`status` of a Rule: conditions, and what it came to so far."""
    record = cluster.rules.get(name) or RuleRecord(rule=name)
    raw = record.to_json()
    helped = {
        pipeline: {"tried": tried, "verified": record.verified.get(pipeline, 0)}
        for pipeline, tried in record.tried.items()
    }
    return {
        "conditions": _rule_verdict(name, record, cluster).conditions(cluster.revision),
        "lastFired": raw["lastFired"],
        "outcomes": raw["outcomes"],
        "remedies": helped,
    }


def _rule_verdict(name: str, record: RuleRecord, cluster: Cluster) -> Verdict:
    for of, what in ((name, ""), (ALL_RULES, "every rule is ")):
        intent = cluster.intents.get(("rule", of))
        if intent is not None and intent.suspended:
            return Verdict(intent.at, "Suspended", f"{what}suspended by {intent.by or 'an operator'}")
    if record.broken is not None and record.broken > cluster.now:
        said = f"it started too many runs in a minute, and starts no more until {rfc3339(record.broken)}"
        return Verdict(record.last_fired or cluster.applied_at, "BreakerOpen", said)
    return Verdict(cluster.applied_at, "Applied", ready="True")
