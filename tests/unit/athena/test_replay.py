"""What happened, replayed: unchanged rules decide just as they did, changed ones otherwise, and it is said how."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import yaml

from olympus.athena.differences import Replayed, differences, summary
from olympus.athena.hindsight import longest_window
from olympus.athena.model import Acked, Looked, RunEnded, World
from olympus.athena.replay import Record, Replay
from olympus.athena.rules import Rule, rule_of
from olympus.kernel.events import Event
from olympus.spec.event_data import INCIDENT_ACKNOWLEDGED
from olympus.spec.kinds.rule import RuleSpec
from olympus.testing.runs import YamlLoader
from tests.unit.athena.story import GUARD, Story

ASKS = """
on: {event: shop.slow}
ask:
  load: {zeus: {node: web-1}}
  owner: {apollo: {asset: web-1}, unknown: proceed}
when: "answers.load.value > 3"
solve: [{pipeline: relieve, verify: {until: "answers.load.value < 2", within: 1m}}]
otherwise: {pipeline: page}
"""
COUNTS = """
correlate: {within: 5m, by: data.ip, count: {of: {event: login.failed}, atLeast: 3}}
solve: [{pipeline: block, params: {ip: "${{ event.data.ip }}"}, verify: {absent: {event: login.failed}, within: 1m}}]
"""
BEATS = """
correlate: {absent: {event: beat}, within: 5m, slack: 0s, by: node}
solve: [{pipeline: revive, verify: {absent: {event: shop.slow}, within: 1m}}]
"""
LIMITED = GUARD.replace("{by: data.groups.ip}", "{by: data.groups.ip, cooldown: 10m, perHour: 2}")


def compiled(**specs: str) -> dict[str, Rule]:
    raw = {name: yaml.load(text, Loader=YamlLoader) for name, text in specs.items()}
    return {name: rule_of(name, RuleSpec.model_validate(one).to_json()) for name, one in raw.items()}


def replayed(story: Story, since: Any = None, **specs: str) -> Any:
    """By rule, with what there was at `since` and later."""
    start = since or story.begun - timedelta(hours=1)
    before, after = compiled(**story.specs), compiled(**(specs or story.specs))
    first = start - longest_window(after.values())
    replay = Replay(after, World(story.world.nodes), Record(story.stored, story.engine.records), first)
    for event in story.events:
        if event.time >= first:
            replay.take(event)
    replay.pass_until(story.now)
    both = {name: (before.get(name), after.get(name)) for name in before.keys() | after.keys()}
    would = {name: one for name, one in replay.incidents.items() if one.opened_at >= start}
    seen = Replayed(would, frozenset(replay.unsure))
    then = [one for one in story.stored.values() if one.opened_at >= start]
    return {one.rule: one for one in differences(then, seen, both)}


def ladder(story: Story) -> None:
    """A remedy that fails, one that does not help, a last resort; and another key meanwhile."""
    story.login()
    story.passes(2)
    story.login()
    story.end_run("failed", "exit 1")
    story.passes(1)
    story.login(ip="203.0.113.8")
    story.end_run()
    for _ in range(3):
        story.look(value=False, because="it is failing")
        story.passes(100)
    while story.looks:
        story.look(value=False, because="it is failing")
    story.passes(61)
    while story.looks:
        story.look(value=True, because="alive")
    story.passes(400)
    while story.looks:
        story.look(value=False, because="it is failing")
    for run in list(story.runs):
        story.end_run()
        assert run not in story.runs
    story.passes(10)


def asked(story: Story) -> None:
    story.event("shop.slow")
    story.passes(1)
    story.no_answer("owner", "no such asset")
    story.answer("load", {"value": 5})
    story.passes(3)
    story.end_run()
    story.answer("load", {"value": 4})
    story.passes(3)
    story.answer("load", {"value": 1})
    story.passes(20)
    story.event("shop.slow")
    story.answer("load", {"value": 1})
    story.no_answer("owner")
    story.passes(20)


def counted(story: Story) -> None:
    for number in range(8):
        story.event("login.failed", ip="a" if number % 4 else "b")
        story.passes(20)
    story.end_run()
    story.passes(70)
    while story.looks:
        story.look(value=True)


def silent(story: Story) -> None:
    for node in ("web-1", "web-2", "web-1"):
        story.event("beat", node=node)
        story.passes(100)
    story.passes(minutes=20)
    while story.runs:
        story.end_run("unknown")
    story.passes(minutes=2)


def held_back(story: Story) -> None:
    story.login()
    story.end_run()
    story.passes(120)
    story.look(value=True)
    story.passes(1)
    story.login()
    story.passes(minutes=11)
    story.login()
    story.end_run()
    story.passes(120)
    story.look(value=True)
    story.passes(minutes=11)
    story.login()
    story.silence(minutes=5)
    story.login(ip="203.0.113.9")
    story.passes(minutes=6)
    story.login(ip="203.0.113.9")
    story.passes(1)


def acknowledged(story: Story) -> None:
    story.login()
    story.end_run("failed")
    story.end_run("failed")
    story.passes(30)
    incident = story.incident
    assert incident.state == "escalated"
    story.events.append(
        Event("said", INCIDENT_ACKNOWLEDGED, "t", story.now, {"incident": incident.id, "by": "ann"})
    )
    story.fact(Acked("ann"))
    story.passes(30)
    story.login()
    story.passes(5)


TOLD = {
    "ladder": (ladder, {"guard": GUARD}, 2),
    "asked": (asked, {"slow": ASKS}, 1),
    "counted": (counted, {"counts": COUNTS}, 1),
    "silent": (silent, {"beats": BEATS}, 2),
    "held-back": (held_back, {"guard": LIMITED}, 4),
    "acknowledged": (acknowledged, {"guard": GUARD}, 2),
}


@pytest.mark.parametrize("name", TOLD)
def test_unchanged_rules_decide_just_as_they_did(name):
    tell, specs, incidents = TOLD[name]
    story = Story().rules(**specs)
    tell(story)
    (found,) = replayed(story).values()
    assert (found.starts, found.stops, found.differs) == ([], [], [])
    assert (found.change, found.fired, found.fires, found.same) == ("unchanged", *[incidents] * 3)


@pytest.mark.parametrize("name", TOLD)
def test_a_replay_that_begins_in_between_knows_what_stood_then(name):
    tell, specs, _ = TOLD[name]
    story = Story().rules(**specs)
    tell(story)
    first = min(one.opened_at for one in story.stored.values())
    (found,) = replayed(story, first + timedelta(microseconds=1)).values()
    assert (found.starts, found.stops) == ([], [])


def test_what_would_start_stop_and_run_where_is_said():
    story = Story().rules(guard=GUARD, counts=COUNTS)
    for ip in ("203.0.113.7", "203.0.113.8", "198.51.100.1"):
        story.login(ip=ip, node="web-2")
        story.end_run()
        story.passes(1)
    for _ in range(2):
        story.event("login.failed", ip="a")
    story.passes(60)
    stricter = GUARD.replace("== 'bad-login'", "== 'bad-login' && starts_with(data.groups.ip, '203')")
    found = replayed(story, guard=stricter, counts=COUNTS.replace("atLeast: 3", "atLeast: 2"), new=GUARD)
    guard, counts, new = found["guard"], found["counts"], found["new"]
    assert (guard.change, guard.fired, guard.fires, guard.same, len(guard.stops)) == ("changed", 3, 2, 2, 1)
    assert guard.stops[0]["key"] == "198.51.100.1"
    assert (counts.fired, counts.fires, counts.starts[0]["runs"]) == (0, 1, ["block"])
    assert counts.runs == {("block", "web-1"): 1}
    assert (new.change, new.fires) == ("added", 3)
    lines = summary(list(found.values()), story.begun, len(story.events))
    assert any(line.startswith("rule guard (changed): 3 incidents were, 1 would not be") for line in lines)
    assert any("it would run block on web-1 × 1" in line for line in lines)


def test_a_rule_that_is_gone_would_do_nothing():
    story = Story().rules(guard=GUARD, counts=COUNTS)
    story.login()
    found = replayed(story, counts=COUNTS)["guard"]
    assert (found.change, found.fires, found.stops[0]["because"]) == ("removed", 0, "the rule is gone")


def test_another_remedy_is_told_of_as_another_decision():
    story = Story().rules(guard=GUARD)
    story.login()
    story.end_run()
    story.passes(1)
    found = replayed(story, guard=GUARD.replace("block-ip", "block-net"))["guard"]
    assert (found.fires, found.starts, found.stops) == (1, [], [])
    assert (
        found.differs[0]["because"]
        == "then run block-ip {'ip': '203.0.113.7'}, now run block-net {'ip': '203.0.113.7'}"
    )
    assert found.runs == {("block-net", "web-1"): 1}


def test_what_hangs_on_answers_that_nobody_gave_is_unsure():
    story = Story().rules(guard=GUARD)
    story.event("shop.slow")
    found = replayed(story, guard=GUARD, slow=ASKS)["slow"]
    assert (found.fires, found.unsure) == (0, 1)


def test_answers_of_then_count_for_a_rule_that_asks_the_same():
    story = Story().rules(slow=ASKS)
    story.event("shop.slow")
    story.answer("load", {"value": 5})
    story.no_answer("owner")
    story.passes(1)
    found = replayed(story, slow=ASKS.replace("> 3", "> 7"))["slow"]
    assert (found.fired, found.fires, found.unsure) == (1, 0, 0)
    assert "answers.load.value > 7" in found.stops[0]["because"]


def test_a_day_of_replies_is_not_told_to_another_remedy():
    story = Story().rules(guard=GUARD)
    story.login()
    story.fact(RunEnded(next(iter(story.runs)), "failed", "no"))
    story.fact(Looked(value=True, because="too early"))
    story.passes(5)
    assert replayed(story)["guard"].same == 1
