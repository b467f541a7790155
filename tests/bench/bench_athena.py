"""Events a second through all rules; a day of events replayed; why an event came to nothing."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from olympus.athena.engine import Engine
from olympus.athena.hindsight import Hindsight
from olympus.athena.model import World
from olympus.athena.rules import Rule, rule_of
from olympus.hermes.bus import Bus
from olympus.hermes.kv_embedded import EmbeddedKv
from olympus.kernel.clock import SystemClock
from olympus.kernel.events import Event
from olympus.kernel.ids import IdFactory
from olympus.spec.catalog import Catalog, resource_of
from tests.bench.aims import Aim

EVENTS = 50_000
RULES = (1, 200, 1_000)
ROUNDS = 5
START = datetime(2026, 1, 1, tzinfo=UTC)

DAY = 100_000
IN_A_SEGMENT = 10
"""Events that were published together: what a busy bus's group commit makes of them."""
EXPLAINED = 60


def spec(number: int) -> dict[str, Any]:
    return {
        "on": {"event": "olympus.argos.match", "where": f"data.name == 'm{number}' && data.count > 3"},
        "solve": [
            {"pipeline": "mend", "verify": {"absent": {"event": "olympus.argos.match"}, "within": "1m"}}
        ],
        "limits": {"by": "data.groups.ip"},
    }


def rule(number: int) -> Rule:
    return rule_of(f"r{number}", spec(number))


def event(number: int, names: int) -> Event:
    return Event(
        f"e{number}",
        "olympus.argos.match",
        "olympus/argos",
        START,
        data(number, names, number % 4),
        node=f"web-{number % 50}",
    )


def data(number: int, names: int, count: int) -> dict[str, Any]:
    return {
        "watch": "auth",
        "name": f"m{number % names}",
        "severity": "warning",
        "line": "Failed password for root from 203.0.113.7",
        "groups": {"ip": f"203.0.113.{number % 250}"},
        "count": count,
    }


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


def rates() -> Iterable[Aim]:
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
            if names == EVENTS:
                yield Aim(f"Athena, {rules:,} rules", rate, "events/s", 50_000, at_least=True)
        if names == EVENTS:
            yield Aim("Athena, 1,000 rules beside one", rate, "events/s", 0.5, one, at_least=True)


# ── what happened ──


def declared() -> Catalog:
    """Fifty rules, and one that correlates over an hour."""
    counted = {
        "correlate": {
            "within": "1h",
            "by": "data.groups.ip",
            "count": {"of": {"event": "olympus.argos.match", "where": "data.count > 2"}, "atLeast": 400},
        },
        "solve": spec(0)["solve"],
    }
    rules = [(f"r{number}", spec(number)) for number in range(50)] + [("counted", counted)]
    return Catalog(
        [resource_of({"kind": "Rule", "metadata": {"name": name}, "spec": one}) for name, one in rules]
    )


async def a_day(bus: Bus, until: datetime) -> list[Event]:
    """Evenly over the day before, half a percent of them some rule's."""
    make, begun = IdFactory(), until - timedelta(hours=23, minutes=59)
    events: list[Event] = []
    for number in range(DAY):
        at = begun + timedelta(hours=23, minutes=59) * (number / DAY)
        count = 4 if number % 200 == 0 else number % 4
        wanted = data(number if number % 200 else number // 200, 1_000, count)
        node = f"web-{number % 50}"
        name = make.new(int(at.timestamp() * 1000))
        events.append(Event(name, "olympus.argos.match", "olympus/argos", at, wanted, node=node))
    for index in range(0, DAY, IN_A_SEGMENT):
        await bus.publish(events[index : index + IN_A_SEGMENT], durable=False)
    return events


async def hindsight() -> list[Aim]:
    clock = SystemClock()
    with tempfile.TemporaryDirectory(prefix="olympus-bench-") as folder:
        kv = EmbeddedKv.open(Path(folder) / "hermes.db", clock)
        bus = Bus(kv, "bench", clock=clock, spool=Path(folder) / "spool")
        running = asyncio.create_task(bus.run())
        try:
            return await looked_back(kv, bus, clock)
        finally:
            running.cancel()
            await asyncio.wait([running])
            await kv.close()


async def looked_back(kv: EmbeddedKv, bus: Bus, clock: SystemClock) -> list[Aim]:
    events, catalog = await a_day(bus, clock.now()), declared()
    athena = Hindsight(kv, bus, clock)
    since = clock.now() - timedelta(days=1)
    begun = time.perf_counter()
    seen = await athena.replay(Catalog(()), catalog, since, seconds=600)
    took = time.perf_counter() - begun
    if seen is None or seen.events != DAY or seen.cut is not None:
        raise RuntimeError(f"not all was replayed: {seen and seen.events} events, {seen and seen.cut}")
    fires = sum(one.fires for one in seen.rules)
    print(f"replay: {DAY:,} events, 51 rules, {fires} incidents in {took:.2f} s")
    times: list[float] = []
    for one in events[:: DAY // EXPLAINED]:
        begun = time.perf_counter()
        found = await athena.explain(catalog, one, f"r{int(one.data['name'][1:]) % 50}")
        times.append(time.perf_counter() - begun)
        if len(found) != 1:
            raise RuntimeError(f"nothing is explained of {one.id}")
    correlated: list[float] = []
    for one in events[DAY // 10 :: DAY // EXPLAINED]:
        begun = time.perf_counter()
        await athena.explain(catalog, one, None)
        correlated.append(time.perf_counter() - begun)
    one_rule, all_rules = statistics.median(times) * 1e3, statistics.median(correlated) * 1e3
    print(
        f"explain: one rule {one_rule:.1f} ms, all 51 {all_rules:.1f} ms, the worst {max(correlated) * 1e3:.0f} ms"
    )
    return [
        Aim("Athena, a day of 100,000 events replayed", took, "s", 5),
        Aim("Athena, explain of an event for one rule, p50", one_rule, "ms", 50),
        Aim("Athena, explain of an event for 51 rules, p50", all_rules, "ms", 50),
    ]


def main() -> list[Aim]:
    return [*rates(), *asyncio.run(hindsight())]
