"""A pipeline that begins only when a person has said yes: pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from olympus.kernel.errors import Invalid

GATE: Final = "approve"
"""The name of the step that waits."""


def gated(pipeline: str, spec: Mapping[str, Any], approve: Mapping[str, Any]) -> dict[str, Any]:
    """The spec with a first step that all others follow; without a yes none of them runs, whatever it is for.

    Raises Invalid where the pipeline has a step of that name itself.
    """
    steps = list(spec["steps"])
    if any(step["name"] == GATE for step in steps):
        raise Invalid(
            f"pipeline '{pipeline}' has a step named '{GATE}' itself: rename it, so that a rule may ask for approval"
        )
    # What it says was filled in already: an event's text must not become an expression now.
    asks = {**approve, "message": str(approve.get("message") or "").replace("${{", "$${{")}
    by_step = (spec.get("nodes") or {}).get("order") == "step"
    said = f"steps.{GATE}.nodes | length(values(@)[?state == 'succeeded']) > 0"
    yes = said if by_step else f"steps.{GATE}.state == 'succeeded'"
    return {**spec, "steps": [{"name": GATE, "approve": asks}, *(_behind(step, yes) for step in steps)]}


def _behind(step: Mapping[str, Any], yes: str) -> dict[str, Any]:
    found = dict(step)
    if found.get("needs") == []:
        found["needs"] = [GATE]
    if found.get("on", "success") != "success":
        # These run also where something failed: a no is no failure to be mended.
        found["when"] = f"({yes}) && ({found['when']})" if found.get("when") else yes
    return found
