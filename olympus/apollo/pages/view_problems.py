"""What is wrong, worst first, each with its reason and the next thing to do. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from olympus.apollo.pages.reader import PLURAL

_NEXT: Final[Mapping[str, str]] = {
    "CrashLooping": "Read its last lines, then push a change or restart it.",
    "RolledBack": "Push a change: the one before runs again.",
    "NoNode": "Let its selector match a node that has registered itself.",
    "NodeLost": "See whether the host runs and reaches the others.",
    "Lost": "See whether the host runs and reaches the others: olympus doctor on it says what is wrong.",
    "NotRegistered": "Start olympus up on that host.",
    "DesiredRefused": "The node says why: olympus doctor on it checks its trust.",
    "Failing": "See what it measured, and where.",
    "Suspended": "Resume it when it may act again.",
    "Stopped": "Start it when it is wanted again.",
    "BreakerOpen": "Find what triggers it again and again.",
    "FetchFailed": "See whether the remote repository can be reached.",
    "Refused": "Correct what the lines say and push again.",
    "Failed": "Read what the node says of it.",
    "NotAllRead": "Let the user of Olympus read those files.",
}
_CALM: Final = frozenset({"Suspended", "Stopped", "Drained"})
_GRADES: Final = {"bad": 0, "warn": 1, "dull": 2}


@dataclass(frozen=True, slots=True)
class Problem:
    """tone: bad, warn or dull. next: what to do about it; by the reason, where nothing else is said."""

    tone: str
    kind: str
    name: str
    link: str
    reason: str
    message: str
    since: str | None
    advice: str = ""

    @property
    def next(self) -> str:
        return self.advice or _NEXT.get(self.reason, "See what it says, and what happened.")


def ready(item: Mapping[str, Any]) -> dict[str, Any]:
    """Its condition Ready, with `tone`: good, bad, warn or dull."""
    for condition in item["status"]["conditions"]:
        if condition["type"] == "Ready":
            return {**condition, "tone": tone_of(condition)}
    return {"status": "Unknown", "reason": "", "message": "", "since": None, "tone": "dull"}


def tile(kind: str, words: str, items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """How many of them are well."""
    well = sum(ready(item)["status"] == "True" for item in items)
    return {"kind": kind, "words": words, "good": well, "all": len(items)}


def tone_of(condition: Mapping[str, Any]) -> str:
    """Of a condition Ready."""
    if condition["status"] == "True":
        return "good"
    if condition["reason"] in _CALM:
        return "dull"
    return "warn" if condition["status"] == "Unknown" or condition["reason"] == "Starting" else "bad"


def of_resources(kind: str, items: Iterable[Mapping[str, Any]]) -> list[Problem]:
    """Those that are not as they were declared."""
    found = []
    for item in items:
        its, name = ready(item), item["metadata"]["name"]
        if its["status"] != "True":
            link = f"/{PLURAL[kind]}/{name}"
            found.append(Problem(its["tone"], kind, name, link, its["reason"], its["message"], its["since"]))
    return found


def of_specs(status: Mapping[str, Any]) -> list[Problem]:
    """That the last commit is not what is in force."""
    its = ready({"status": status})
    if its["status"] == "True":
        return []
    return [Problem("bad", "Specs", "", "/sync", its["reason"], its["message"], its["since"])]


def of_incidents(incidents: Iterable[Mapping[str, Any]]) -> list[Problem]:
    """Those that are not over, or that nobody has taken up though Athena gave up."""
    found = []
    for one in incidents:
        if one["state"] in ("resolved", "silenced") or (one["state"] == "escalated" and one["acked"]):
            continue
        last = one["decisions"][-1] if one["decisions"] else None
        why = last["because"] or last["clause"] if last else ""
        tone = "bad" if one["state"] == "escalated" else "warn"
        link = f"/incidents/{one['id']}"
        next_ = "Somebody cares for it." if one["acked"] else "Acknowledge it, then look at what was decided."
        found.append(Problem(tone, "Incident", one["rule"], link, one["state"], why, one["openedAt"], next_))
    return found


def of_runs(runs: Iterable[Mapping[str, Any]]) -> list[Problem]:
    """Pipelines whose last run failed, and runs that wait for a yes. runs: newest first."""
    found, seen = [], set()
    for run in runs:
        pipeline, link = run["pipeline"], f"/runs/{run['id']}"
        for step in run["steps"]:
            if step["state"] == "waiting" and step.get("role"):
                said = f"step '{step['name']}' waits for the approval of an {step['role']}"
                reason, next_ = "WaitsForApproval", "Approve or refuse it."
                found.append(Problem("warn", "Run", pipeline, link, reason, said, run["createdAt"], next_))
        if pipeline in seen or run["state"] in ("queued", "running", "waiting"):
            continue
        seen.add(pipeline)
        if run["state"] in ("failed", "unknown"):
            since = run["finishedAt"] or run["createdAt"]
            next_ = "Read its output, then retry it from the step that failed."
            found.append(Problem("bad", "Run", pipeline, link, run["state"], _why_failed(run), since, next_))
    return found


def _why_failed(run: Mapping[str, Any]) -> str:
    for step in run["steps"]:
        if step["state"] in ("failed", "unknown"):
            return f"step '{step['name']}' on {step['node']}: {step['message'] or step['state']}"
    return str(run["message"])


def worst_first(problems: Iterable[Problem]) -> list[Problem]:
    """By grade, then by what began first."""
    return sorted(problems, key=lambda one: (_GRADES[one.tone], one.since or ""))
