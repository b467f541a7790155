"""Events a second through all rules: with one, with 200 and with 1,000 of them, most events being nobody's."""

from __future__ import annotations

import statistics
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from olympus.athena.engine import Engine
from olympus.athena.model import World
from olympus.athena.rules import Rule, rule_of
from olympus.kernel.events import Event

EVENTS = 50_000
RULES = (1, 200, 1_000)
ROUNDS = 5
START = datetime(2026, 1, 1, tzinfo=UTC)


def rule(number: int) -> Rule:
    spec: dict[str, Any] = {
        "on": {"event": "olympus.argos.match", "where": f"data.name == 'm{number}' && data.count > 3"},
        "solve": [
            {"pipeline": "mend", "verify": {"absent": {"event": "olympus.argos.match"}, "within": "1m"}}
        ],
        "limits": {"by": "data.groups.ip"},
    }
    return rule_of(f"r{number}", spec)


def event(number: int, names: int) -> Event:
    data = {
        "watch": "auth",
        "name": f"m{number % names}",
        "severity": "warning",
        "line": "Failed password for root from 203.0.113.7",
        "groups": {"ip": f"203.0.113.{number % 250}"},
        "count": number % 4,
    }
    return Event(f"e{number}", "olympus.argos.match", "olympus/argos", START, data, node=f"web-{number % 50}")


def a_second(rules: int, names: int) -> float:
    """Of events whose names are spread over `names`, while `rules` of these are somebody's."""
    engine = Engine()
    engine.take_world(World(nodes={f"web-{number}": {} for number in range(50)}))
    engine.take_rules({one.name: one for one in map(rule, range(rules))}, START)
    events = [event(number, names) for number in range(EVENTS)]
    now = START + timedelta(seconds=1)
    begun = time.process_time()
    for one in events:
        engine.on_event(one, now)
    return EVENTS / (time.process_time() - begun)


def main() -> None:
    for names, what in (
        (50_000, "events of which few are any rule's"),
        (
            1_000,
            "events of 1,000 names: with as many rules, each is one rule's, and its `where` is evaluated",
        ),
    ):
        print(f"{what}:")
        found: dict[int, list[float]] = {rules: [] for rules in RULES}
        for _ in range(ROUNDS):
            for rules in RULES:
                found[rules].append(a_second(rules, names))
        one = statistics.median(found[RULES[0]])
        for rules in RULES:
            rate = statistics.median(found[rules])
            print(f"  {rules:>5} rules: {rate:>9,.0f} events/s, {rate / one:.2f} of those of one rule")
