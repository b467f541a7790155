"""Incidents for the eye: one time line of what was decided, tried and said. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

TONES: Final[Mapping[str, str]] = {"resolved": "good", "escalated": "bad", "silenced": "dull"}
"""Of the states that are an end; all others still go on."""


def row(incident: Mapping[str, Any]) -> dict[str, Any]:
    """An incident in a list."""
    last = incident["decisions"][-1] if incident["decisions"] else None
    return {
        **incident,
        "tone": TONES.get(incident["state"], "warn"),
        "over": incident["closedAt"] is not None,
        "why": (last["because"] or last["clause"]) if last else "",
    }


def page(incident: Mapping[str, Any]) -> dict[str, Any]:
    """With `line`: [{at, what, says, tone, run}], oldest first."""
    line = [_at(incident["openedAt"], "opened", f"by {incident['trigger'].get('type', '')}", "warn")]
    for one in incident["attempts"]:
        line.append(_at(one["startedAt"], "tried", f"pipeline {one['pipeline']}", "live", run=one["run"]))
        if one["endedAt"]:
            said = f"{one['pipeline']} {one['state']}" + (f": {one['message']}" if one["message"] else "")
            said += {True: ", and it helped", False: ", and it did not help"}.get(one["verified"], "")
            tone = "good" if one["verified"] else "bad" if one["state"] != "succeeded" else "dull"
            line.append(_at(one["endedAt"], "ended", said, tone, run=one["run"]))
    if incident["acked"]:
        line.append(_at(incident["acked"]["at"], "acknowledged", f"by {incident['acked']['by']}", "good"))
    line += [_at(one["at"], f"{one['by']} says", one["text"], "dull") for one in incident["comments"]]
    if incident["closedAt"]:
        line.append(_at(incident["closedAt"], incident["state"], "", TONES.get(incident["state"], "dull")))
    return row(incident) | {"line": sorted(line, key=lambda one: one["at"])}


def _at(at: str, what: str, says: str, tone: str, run: str | None = None) -> dict[str, Any]:
    return {"at": at, "what": what, "says": says, "tone": tone, "run": run}
