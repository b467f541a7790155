"""What a spec says, in a few words. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any
from zoneinfo import ZoneInfo

from olympus.kernel.clock import parse_rfc3339
from olympus.spec.kinds.check import VALUES
from olympus.spec.kinds.pipeline import ACTIONS

Item = Mapping[str, Any]


def runs_what(service: Item) -> str:
    """The command, or the unit."""
    run = service["spec"]["run"]
    if "process" in run:
        return " ".join(run["process"]["command"])
    return str(run["systemd"]["unit"]) if "systemd" in run else json.dumps(run)


def looks_at(check: Item) -> str:
    """`disk /var, every 1m`."""
    spec = check["spec"]
    probe = next(name for name in VALUES if spec.get(name) is not None)
    return f"{probe} {_brief(spec[probe])}".strip() + f", every {spec.get('every', '1m')}"


def when(schedule: Item) -> str:
    """`cron 0 3 * * * in Europe/Berlin`."""
    spec = schedule["spec"]
    word = next(name for name in ("cron", "every", "at") if spec.get(name) is not None)
    zone = f" in {spec.get('timezone', 'UTC')}" if word != "every" else ""
    return f"{word} {spec[word]}{zone}" + (", paused" if spec.get("paused") else "")


def in_zone(moment: str, schedule: Item) -> str:
    """`Fri 27 Nov 02:30 CET`: as the clocks of the schedule's zone say it."""
    zone = ZoneInfo(schedule["spec"].get("timezone", "UTC"))
    return parse_rfc3339(moment).astimezone(zone).strftime("%a %d %b %H:%M:%S %Z")


def listens_to(rule: Item) -> str:
    """The events that make an incident."""
    spec = rule["spec"]
    if spec.get("on"):
        where = spec["on"].get("where")
        return str(spec["on"]["event"]) + (f" where {where}" if where else "")
    return _brief(spec.get("correlate"))


def does(step: Item) -> str:
    """A step's action, and what it is done with."""
    action = next(name for name in ACTIONS if step.get(name) is not None)
    return f"{action} {_brief(step[action])}"


def tone_of_instance(state: str) -> str:
    tones = {"running": "good", "crashlooping": "bad", "stopped": "dull", "failed": "bad"}
    return tones.get(state, "warn")


def fitting(orders: Iterable[str], item: Item) -> list[str]:
    """Those that would change something: no resume of what is not suspended."""
    reasons = {condition["reason"] for condition in item["status"]["conditions"]}
    suspended, stopped = "Suspended" in reasons, "Stopped" in reasons
    needless = {
        "suspend" if suspended else "resume",
        "stop" if stopped else "start",
        "drain" if item["status"].get("drained") else "uncordon",
    }
    return [order for order in orders if order not in needless]


def indented(value: Any) -> str:
    """JSON for people."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


def diff(text: str) -> list[tuple[str, str]]:
    """(tone, line): of lines that come and go."""
    tones = {"+": "plus", "-": "minus"}
    return [(tones.get(line[:1], ""), line) for line in text.splitlines()]


def _brief(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return " ".join(word if isinstance(word, str) else json.dumps(word) for word in value)
    if isinstance(value, Mapping):
        return ", ".join(
            one if isinstance(one, str) and len(value) == 1 else f"{name}: {_brief(one)}"
            for name, one in value.items()
        )
    return json.dumps(value)
