"""Near misses of rules: for each, explain names what decided it; and what was recorded is told as it was."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import yaml

from olympus.athena.budgets import BREAKER
from olympus.athena.explain import Explained, Known, concerned, explained
from olympus.athena.model import World
from olympus.athena.replay import Record
from olympus.athena.rules import rule_of
from olympus.kernel.events import Event
from olympus.spec.kinds.rule import RuleSpec
from olympus.testing.runs import YamlLoader
from tests.unit.athena.story import Story

SOLVE = "solve: [{pipeline: mend, verify: {absent: {event: thing.broke}, within: 2m}}]"


def on(where: str = "", more: str = "") -> str:
    condition = f", where: {where!r}" if where else ""
    return f"on: {{event: thing.broke{condition}}}\n{SOLVE}\n{more}"


def correlate(form: str, by: str = "by: data.key, ") -> str:
    return f"correlate: {{within: 1m, slack: 2s, {by}{form}}}\n{SOLVE}"


def broke(**data: Any) -> Callable[[Story], Any]:
    return lambda story: story.event("thing.broke", **data)


def told(story: Story, rule: str = "r") -> Explained:
    """Of the last event, from what is stored alone, as after a restart."""
    raw = {name: yaml.load(text, Loader=YamlLoader) for name, text in story.specs.items()}
    rules = {name: rule_of(name, RuleSpec.model_validate(one).to_json()) for name, one in raw.items()}
    world = World(story.world.nodes, suspended=story.world.suspended)
    known = Known(rules, Record(story.stored, story.engine.records), world)
    return explained(story.events[-1], rule, known, story.events[:-1])


# where, data of the event, outcome, what decides
WHERE: list[tuple[str, dict[str, Any], str, str]] = [
    ("data.size > 3", {"size": 3}, "false", "data.size > 3: data.size is 3"),
    ("data.size > 3", {"size": "5"}, "false", 'data.size > 3: data.size is "5"'),
    ("data.size > 3", {}, "missing", "data.size > 3: data.size is missing"),
    (
        "data.size > 3 && data.name == 'a'",
        {"size": 5, "name": "b"},
        "false",
        "data.name == 'a': data.name is \"b\"",
    ),
    ("data.size > 3 && data.name == 'a'", {"size": 1, "name": "a"}, "false", "data.size > 3: data.size is 1"),
    ("data.size > 3 && data.name == 'a'", {"size": 5}, "missing", "data.name is missing"),
    ("data.size > 3 || data.hot", {"size": 1, "hot": False}, "false", "data.hot: it is false"),
    ("!data.quiet", {"quiet": True}, "false", "!data.quiet"),
    ("!data.quiet", {}, "missing", "!data.quiet"),
    ("starts_with(data.ip, '203.')", {"ip": "198.51.100.1"}, "false", "starts_with(data.ip, '203.')"),
    ("contains(data.tags, 'prod')", {"tags": ["dev"]}, "false", "contains(data.tags, 'prod')"),
    ("length(data.lines) >= 3", {"lines": [1, 2]}, "false", "length(data.lines) >= 3"),
    ("length(data.lines) >= 3", {}, "missing", "length(data.lines) >= 3"),
    ("data.a == data.b", {"a": 1, "b": 2}, "false", "data.a == data.b: data.a is 1 and data.b is 2"),
    ("data.a == data.b", {"a": None}, "missing", "data.b is missing"),
    ("data.x == `null`", {"x": 1}, "false", "data.x == `null`"),
    ("node == 'web-2'", {}, "false", "node == 'web-2': node is \"web-1\""),
    ("data.groups.ip == '10.0.0.1'", {"groups": {}}, "missing", "data.groups.ip is missing"),
    ("data.level != 'info'", {"level": "info"}, "false", "data.level != 'info'"),
    ("data.level != 'info'", {}, "missing", "data.level is missing"),
    ("data.n >= 1 && data.n < 5", {"n": 5}, "false", "data.n < 5: data.n is 5"),
    (
        "data.n > 1 && (data.k == 'a' || data.k == 'b')",
        {"n": 2, "k": "c"},
        "false",
        "data.k == 'b': data.k is \"c\"",
    ),
    ("max(data.v) > 3", {"v": [1, 2]}, "false", "max(data.v) > 3"),
    ("data.ok == `true`", {"ok": "true"}, "false", "data.ok == `true`"),
]


@pytest.mark.parametrize(("where", "data", "outcome", "decides"), WHERE)
def test_near_misses_of_a_where(where, data, outcome, decides):
    story = Story().rules(r=on(where))
    story.event("thing.broke", **data)
    found = told(story)
    assert (found.outcome, found.incident) == (outcome, None)
    assert decides in found.because
    # Only what is not true is named.
    assert all(one.text in found.because for one in found.clauses if one.value != "true")
    assert not [one for one in found.clauses if one.value == "true" and f"{one.text}:" in found.because]


def cooled(story: Story) -> None:
    story.event("thing.broke", key="a")
    story.end_run()
    story.passes(121)
    story.look(value=True)
    story.event("thing.broke", key="a")


def spent(story: Story) -> None:
    for _ in range(2):
        cooled(story)
        story.passes(5)


def spread(story: Story) -> None:
    story.event("thing.broke", node="web-2", key="a")
    story.event("thing.broke", node="web-1", key="b")


def stormed(story: Story) -> None:
    for number in range(BREAKER + 1):
        story.passes(0.01)
        story.event("thing.broke", key=f"k{number}")


def escalated(story: Story) -> None:
    story.event("thing.broke", key="a")
    story.end_run("failed")
    story.passes(60)
    story.event("thing.broke", key="a")


def again(story: Story) -> None:
    story.event("thing.broke", key="a")
    story.passes(1)
    story.event("thing.broke", key="a")


def silenced(story: Story) -> None:
    story.silence("r")
    story.event("thing.broke", key="a")


def silenced_there(story: Story) -> None:
    story.silence(selector="role=web", labels={"web-1": {"role": "web"}})
    story.event("thing.broke", key="a")


def suspended(*rules: str) -> Callable[[Story], None]:
    def tell(story: Story) -> None:
        story.suspend(*rules)
        story.event("thing.broke", key="a")

    return tell


def answered(value: Any) -> Callable[[Story], None]:
    def tell(story: Story) -> None:
        story.event("thing.broke")
        if value is None:
            story.no_answer("owner", "apollo: there is no Asset 'web-1'")
        else:
            story.answer("owner", value)

    return tell


def several(*given: tuple[float, dict[str, Any]]) -> Callable[[Story], None]:
    """(seconds after the one before, data)."""

    def tell(story: Story) -> None:
        for seconds, data in given:
            story.passes(seconds)
            story.event(data.get("type", "thing.broke"), **{k: v for k, v in data.items() if k != "type"})

    return tell


def late(story: Story) -> None:
    several(*[(1, {"key": "a"})] * 3)(story)
    at = story.now - timedelta(minutes=10)
    story.tell_event(Event("late", "thing.broke", "test", at, {"key": "a"}, node="web-1"))


ASKS = """ask: {owner: {apollo: {asset: web-1}%s}}
when: "answers.owner.env == 'prod'"
"""
BY = "limits: {by: data.key%s}"
COUNT = "count: {of: {event: thing.broke}, atLeast: 3}"
SEQUENCE = "sequence: [{event: thing.began}, {event: thing.broke}]"
ALL = "all: [{event: thing.began}, {event: thing.broke}]"
DISTINCT = "distinct: {of: {event: thing.broke}, field: data.ip, atLeast: 3}"
A: dict[str, Any] = {"key": "a"}
B: dict[str, Any] = {"key": "b"}

# rule, what happens, outcome, what decides
HAPPENS: dict[str, tuple[str, Callable[[Story], Any], str, str]] = {
    "another type": (
        on(),
        several((0, {"type": "thing.broken"})),
        "false",
        "event thing.broke: it is thing.broken",
    ),
    "no part of a prefix": (
        on().replace("thing.broke}", "thing.*}", 1),
        several((0, {"type": "things.broke"})),
        "false",
        "event thing.*: it is things.broke",
    ),
    "when": (
        on(more="when: \"event.data.path != '/boot'\""),
        broke(path="/boot"),
        "false",
        "event.data.path != '/boot'",
    ),
    "when, missing": (on(more='when: "event.data.n > 1"'), broke(), "missing", "event.data.n is missing"),
    "an answer": (on(more=ASKS % ""), answered({"env": "test"}), "false", "answers.owner.env == 'prod'"),
    "an answer without it": (on(more=ASKS % ""), answered({}), "missing", "answers.owner.env is missing"),
    "no answer": (on(more=ASKS % ""), answered(None), "missing", "there is no Asset 'web-1'"),
    "no answer, proceeding": (
        on(more=ASKS % ", unknown: proceed"),
        answered(None),
        "missing",
        "answers.owner.env is missing",
    ),
    "no key": (on(more=BY % ""), broke(), "missing", "limits.by data.key"),
    "cooldown": (
        on(more=BY % ", cooldown: 10m"),
        cooled,
        "limited",
        "cooldown of 10m until 2026-01-01T00:10:00",
    ),
    "per hour": (
        on(more=BY % ", perHour: 2"),
        spent,
        "limited",
        "2 runs in an hour, 2 are allowed: until 2026-01-01T01:",
    ),
    "nodes": (
        on(more=BY % ", maxNodes: 1"),
        spread,
        "limited",
        "it acted on 1 of 3 nodes within an hour, 1 are allowed",
    ),
    "breaker": (on(more=BY % ""), stormed, "limited", "the breaker is open until 2026-01-01T00:10:01"),
    "depth": (on(), broke(depth=17), "limited", "17 events have caused each other, 16 are allowed"),
    "open already": (on(more=BY % ""), again, "duplicate", "takes in what comes with this key"),
    "escalated already": (on(more=BY % ""), escalated, "duplicate", "it was open until 2026-01-01T01:00:00"),
    "a silence": (on(), silenced, "silenced", "silence 'maintenance' until 2026-01-01T00:30:00"),
    "a silence of nodes": (on(), silenced_there, "silenced", "we work on it"),
    "suspended": (on(), suspended("r"), "silenced", "rule 'r' is suspended by ann"),
    "all suspended": (on(), suspended("*"), "silenced", "every rule is suspended by ann"),
    "too few": (correlate(COUNT), several((0, A), (1, A)), "false", "2 of 3 came within 1m for a"),
    "another key": (
        correlate(COUNT),
        several((0, A), (1, A), (1, B)),
        "false",
        "1 of 3 came within 1m for b",
    ),
    "too slow": (correlate(COUNT), several((0, A), (50, A), (50, A)), "false", "2 of 3 came within 1m for a"),
    "too late": (correlate(COUNT), late, "false", "later than the slack allows"),
    "the wrong order": (
        correlate(SEQUENCE),
        several((0, {**A, "type": "thing.broke"}), (1, {**A, "type": "thing.began"})),
        "false",
        "1 of 2 came in order within 1m for a; next is thing.broke",
    ),
    "not all": (correlate(ALL), several((0, A)), "false", "1 of 2 came within 1m for a; thing.began did not"),
    "not distinct": (
        correlate(DISTINCT),
        several(*[(1, {**A, "ip": ip}) for ip in ("x", "y", "y")]),
        "false",
        "2 of 3 came within 1m for a",
    ),
    "no field": (correlate(DISTINCT), several((0, A)), "missing", "field data.ip"),
    "nothing to join by": (correlate(COUNT), several((0, {})), "missing", "by data.key"),
    "too rare": (
        correlate("rate: {of: {event: thing.broke}, perSecond: 0.1}"),
        several(*[(10, A)] * 4),
        "false",
        "4 of 6 came within 1m for a",
    ),
    "it is there": (
        correlate("absent: {event: thing.broke}"),
        several((0, A)),
        "false",
        "it came for a; it is missed if it does not again by 2026-01-01T00:01:02",
    ),
    "left out of a correlation": (
        correlate("count: {of: {event: thing.broke, where: 'data.n > 1'}, atLeast: 2}"),
        several((0, {**A, "n": 1})),
        "false",
        "data.n > 1: data.n is 1",
    ),
}


def test_there_are_fifty_near_misses():
    assert len(WHERE) + len(HAPPENS) >= 50


@pytest.mark.parametrize("name", HAPPENS)
def test_near_misses_of_all_that_follows(name):
    rule, happens, outcome, decides = HAPPENS[name]
    story = Story().rules(r=rule)
    happens(story)
    runs = len(story.started)
    found = told(story)
    assert (found.outcome, len(story.started)) == (outcome, runs)
    assert decides in found.because
    assert any(one.because in found.because for one in found.clauses)


# ── what was recorded ──


def test_what_fired_is_told_with_its_clauses_and_its_incident():
    story = Story().rules(r=on("data.size > 3"), other=on("data.size > 9"))
    story.event("thing.broke", size=5)
    found = told(story)
    assert (found.outcome, found.incident) == ("fired", story.incident.id)
    assert [(one.text, one.value) for one in found.clauses] == [("data.size > 3", "true")]
    assert told(story, "other").outcome == "false"
    rules = {"r": None, "other": None}
    assert concerned(story.events[-1], story.engine.rules.values(), ()) == sorted(rules)


def test_each_event_that_made_a_correlation_complete_is_told_of_as_such():
    story = Story().rules(r=correlate(COUNT))
    several(*[(1, A)] * 3)(story)
    last = story.events.pop()
    first = story.events[0]
    story.events = [first]
    found = told(story)
    assert found.outcome == "fired"
    assert f"one of those that made incident {story.incident.id}" in found.because
    story.events = [first, last]
    assert told(story).incident == story.incident.id


def test_a_rule_that_was_changed_since_is_told_of_as_it_was():
    story = Story().rules(r=on("data.size > 3"))
    story.event("thing.broke", size=5)
    story.specs = {"r": on("data.size > 9")}
    found = told(story)
    assert found.outcome == "fired"
    assert "the rule was changed since" in found.clauses[0].because
    assert found.clauses[1].text == "data.size > 3"
    story.specs = {}
    assert "the rule is gone since" in told(story).clauses[0].because


def test_a_rule_that_came_after_the_event_is_not_said_to_have_fired():
    story = Story().rules(other=on())
    story.event("thing.broke", size=5)
    story.specs = {"r": on("data.size > 3")}
    found = told(story)
    assert (found.outcome, found.clauses[-1].text) == ("false", "recorded")
    assert "no incident is recorded" in found.because
