"""Runs for the eye: how long, when within the run each step went, and which way of it is open. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from olympus.kernel.clock import parse_rfc3339

TONES: Final[Mapping[str, str]] = {
    "succeeded": "good",
    "failed": "bad",
    "unknown": "bad",
    "waiting": "warn",
    "running": "live",
    "queued": "live",
}
_WIDTH: Final = 1000
"""Of the bars, in the units of their drawing."""


def lasted(begun: str | None, ended: str | None, now: datetime) -> str:
    """`1.2 s`, `3 min 4 s`; nothing where it has not begun."""
    if begun is None:
        return ""
    seconds = ((parse_rfc3339(ended) if ended else now) - parse_rfc3339(begun)).total_seconds()
    if seconds < 60:
        return f"{max(seconds, 0):.1f} s"
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"


def row(run: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """A run in a list."""
    done = sum(step["state"] in ("succeeded", "skipped") for step in run["steps"])
    return {
        **run,
        "tone": TONES.get(run["state"], "dull"),
        "lasted": lasted(run["startedAt"], run["finishedAt"], now),
        "done": done,
        "of": len(run["steps"]),
    }


def page(run: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """A run with a bar for each step: `x` and `width` of a thousand, by when it went."""
    begun = run["startedAt"] or run["createdAt"]
    start = parse_rfc3339(begun)
    end = parse_rfc3339(run["finishedAt"]) if run["finishedAt"] else now
    whole = max((end - start).total_seconds(), 0.001)
    steps = [_step(step, start, whole, now) for step in run["steps"]]
    return row(run, now) | {
        "steps": steps,
        "live": run["finishedAt"] is None,
        "retriable": run["state"] in ("failed", "cancelled", "unknown"),
        "asking": [step for step in steps if step["state"] == "waiting" and step.get("role")],
    }


def _step(step: Mapping[str, Any], start: datetime, whole: float, now: datetime) -> dict[str, Any]:
    x = width = 0
    if step["startedAt"]:
        began = (parse_rfc3339(step["startedAt"]) - start).total_seconds()
        ended = parse_rfc3339(step["finishedAt"]) if step["finishedAt"] else now
        x = round(min(max(began / whole, 0), 1) * _WIDTH)
        long = (ended - parse_rfc3339(step["startedAt"])).total_seconds() / whole
        width = max(round(min(long, 1) * _WIDTH), 4)
        x = min(x, _WIDTH - 4)
        width = min(width, _WIDTH - x)
    return {
        **step,
        "tone": TONES.get(step["state"], "dull"),
        "lasted": lasted(step["startedAt"], step["finishedAt"], now),
        "x": x,
        "width": width,
    }
