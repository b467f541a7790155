"""RuleTests on a virtual clock: what passes, what fails, and what is said of it."""

from __future__ import annotations

import time
from typing import Any

import pytest
import yaml

from olympus.athena.rehearsal import MAX_STEPS, Rehearsed, rehearse
from olympus.athena.rule_tests import RuleTests
from olympus.spec.catalog import Catalog, resource_of
from olympus.spec.kinds.rule import RuleSpec, RuleTestSpec
from olympus.testing.runs import YamlLoader
from tests.unit.athena.story import GUARD

LOGIN = "event: olympus.argos.match, node: web-1, data: {name: bad-login, groups: {ip: 203.0.113.7}}"

CHECKED = """
on: {event: olympus.argos.check-failed, where: "data.check == 'room'"}
solve:
  - {pipeline: clean, verify: {until: {check: room, state: passing}, within: 30s}}
  - {pipeline: drop, verify: {until: {check: room, state: passing}, within: 30s}}
otherwise: {pipeline: page}
"""
FAILED = "event: olympus.argos.check-failed, node: web-1, data: {check: room}"
RECOVERED = "event: olympus.argos.check-recovered, node: web-1, data: {check: room}"

ASKS = """
on: {event: shop.slow}
ask: {load: {zeus: {node: web-1}, unknown: escalate}}
when: "answers.load.value > 3"
solve: [{pipeline: relieve, verify: {until: "answers.load.value < 2", within: 1m}}]
otherwise: {pipeline: page}
"""

BEATS = """
correlate: {absent: {event: beat}, within: 5m, slack: 0s, by: node}
solve: [{pipeline: revive, verify: {absent: {event: shop.slow}, within: 1m}}]
"""


def load(text: str) -> Any:
    return yaml.load(text, Loader=YamlLoader)


def played(rule: str, test: str) -> Rehearsed:
    spec = RuleTestSpec.model_validate({"rule": "guard", **load(test)})
    return rehearse("guard", RuleSpec.model_validate(load(rule)).to_json(), spec, {})


def said(rule: str, test: str) -> list[str]:
    return [one.message for one in played(rule, test).failures]


PASSING = [
    (
        GUARD,
        f"given: [{{at: 0s, {LOGIN}}}]\nexpect: [{{at: 0s, run: block-ip, params: {{ip: 203.0.113.7}}}}]",
    ),
    (
        GUARD,
        f"given: [{{at: 0s, {LOGIN}}}]\nexpect: [{{at: 0s, incident: open}}, {{at: 1m, incident: verifying}}]",
    ),
    (
        GUARD,
        f"given: [{{at: 0s, {LOGIN}}}]\nexpect: [{{at: 2m, incident: resolved}}]\nnever: [{{run: isolate-node}}]",
    ),
    (GUARD, f"given: [{{at: 0s, {LOGIN}}}, {{at: 5s, {LOGIN}}}]\nexpect: [{{at: 5s, run: isolate-node}}]"),
    # A run that ends badly is told of.
    (
        CHECKED,
        f"given: [{{at: 0s, {FAILED}}}, {{at: 9s, event: olympus.hephaestus.run-finished, "
        "data: {pipeline: clean, state: failed}}]\nexpect: [{at: 9s, run: drop}, {at: 5s, incident: solving}]",
    ),
    (CHECKED, f"given: [{{at: 0s, {FAILED}}}]\nexpect: [{{at: 30s, run: drop}}, {{at: 1m, run: page}}]"),
    (
        CHECKED,
        f"given: [{{at: 0s, {FAILED}}}, {{at: 3s, {RECOVERED}}}]\nexpect: [{{at: 4s, incident: resolved}}]",
    ),
    # What answers lack counts as proceed, whatever the rule says.
    (
        ASKS,
        "given: [{at: 0s, event: shop.slow}]\nnever: [{run: page}, {run: relieve}, {incident: escalated}]",
    ),
    (
        ASKS,
        "answers: {load: {value: 5}}\ngiven: [{at: 0s, event: shop.slow}, {at: 9s, answers: {load: {value: 1}}}]\n"
        "expect: [{run: relieve}, {at: 8s, incident: verifying}, {at: 10s, incident: resolved}]",
    ),
    (ASKS, "answers: {load: {value: 5}}\ngiven: [{at: 0s, event: shop.slow}]\nexpect: [{at: 1m, run: page}]"),
    (BEATS, "given: [{at: 10s, event: beat, node: web-1}]\nexpect: [{run: revive, at: 5m10s}]"),
]


@pytest.mark.parametrize(("rule", "test"), PASSING)
def test_what_is_so_passes(rule, test):
    assert said(rule, test) == []


FAILING = [
    (
        GUARD,
        f"given: [{{at: 0s, {LOGIN.replace('bad', 'good')}}}]\nexpect: [{{at: 0s, run: block-ip}}]",
        "run block-ip was not started at 0s: the rule started nothing; olympus.argos.match at 0s: "
        'data.name == \'bad-login\': data.name is "good-login", not == "bad-login"',
    ),
    (
        GUARD,
        f"given: [{{at: 1s, {LOGIN}}}]\nexpect: [{{at: 0s, run: block-ip}}]",
        'run block-ip was not started at 0s: it was started at 1s with {"ip":"203.0.113.7"}',
    ),
    (
        GUARD,
        f"given: [{{at: 0s, {LOGIN}}}]\nexpect: [{{run: block-ip, params: {{ip: 192.0.2.1}}}}]",
        'was not started with {"ip":"192.0.2.1"}',
    ),
    (GUARD, f"given: [{{at: 0s, {LOGIN}}}]\nnever: [{{run: block-ip}}]", "block-ip was started at 0s"),
    (GUARD, f"given: [{{at: 0s, {LOGIN}}}]\nexpect: [{{at: 1m, incident: resolved}}]", "resolved at 2m"),
    (
        GUARD,
        f"given: [{{at: 0s, {LOGIN}}}, {{at: 5s, {LOGIN}}}]\nnever: [{{run: isolate-node}}]",
        "event given-1 came",
    ),
    (
        ASKS,
        "answers: {load: {value: 2}}\ngiven: [{at: 0s, event: shop.slow}]\nexpect: [{run: relieve}]",
        "answers.load.value > 3: answers.load.value is 2, not > 3",
    ),
    (
        ASKS,
        "given: [{at: 0s, event: shop.slow}]\nexpect: [{incident: resolved}]",
        "answers.load.value is missing",
    ),
    (BEATS, "given: [{at: 0s, event: shop.slow}]\nexpect: [{run: revive}]", "event beat: it is shop.slow"),
]


@pytest.mark.parametrize(("rule", "test", "message"), FAILING)
def test_what_is_not_so_fails_and_says_what_decided(rule, test, message):
    found = said(rule, test)
    assert len(found) == 1
    assert message in found[0]


def test_failures_say_which_expectation():
    test = f"given: [{{at: 0s, {LOGIN}}}]\nexpect: [{{run: block-ip}}, {{run: other}}]\nnever: [{{run: block-ip}}]"
    paths = [one.path for one in played(GUARD, test).failures]
    assert paths == [("spec", "expect", 1), ("spec", "never", 0)]


def test_a_day_takes_less_than_a_second():
    given = [{"at": f"{minute}m", "event": "beat", "node": "web-1"} for minute in range(0, 24 * 60, 2)]
    test = yaml.safe_dump({"given": given, "expect": [{"run": "revive", "at": "1d3m"}]})
    spec = RuleTestSpec.model_validate({"rule": "guard", **load(test)})
    begun = time.process_time()
    found = rehearse("guard", RuleSpec.model_validate(load(BEATS)).to_json(), spec, {})
    assert time.process_time() - begun < 1
    assert found.failures == ()


def test_a_test_without_end_is_stopped():
    ages = ASKS.replace("within: 1m", "within: 3650d")
    test = "answers: {load: {value: 5}}\ngiven: [{at: 0s, event: shop.slow}]\nexpect: [{run: page}]"
    found = played(ages, test)
    assert found.steps == MAX_STEPS + 1
    assert "make the times shorter" in found.failures[0].message


def test_clauses_that_were_never_true_or_never_false_are_known():
    test = f"given: [{{at: 0s, {LOGIN}}}]\nexpect: [{{run: block-ip}}]"
    one = played(GUARD, test).coverage
    assert [(place, word) for place, _, word in one.lacking] == [
        ("where", "never false"),
        ("solve[0].verify.absent.where", "never looked at"),
    ]
    one.join(played(GUARD, f"given: [{{at: 0s, {LOGIN.replace('bad', 'good')}}}]").coverage)
    other = LOGIN.replace("203.0.113.7", "192.0.2.9")
    one.join(
        played(GUARD, f"given: [{{at: 0s, {LOGIN}}}, {{at: 1s, {other}}}, {{at: 2s, {LOGIN}}}]").coverage
    )
    assert one.lacking == []


def test_conditions_of_when_and_until_are_covered():
    test = (
        "answers: {load: {value: 5}}\n"
        "given: [{at: 0s, event: shop.slow}, {at: 9s, answers: {load: {value: 1}}}, {at: 30s, event: shop.slow}]"
    )
    assert played(ASKS, test).coverage.lacking == []


def test_what_stays_as_it_is_is_rehearsed_once(monkeypatch):
    def resource(kind: str, name: str, spec: Any):
        return resource_of({"kind": kind, "metadata": {"name": name}, "spec": spec})

    count = 0

    def counted(*args):
        nonlocal count
        count += 1
        return rehearse(*args)

    monkeypatch.setattr("olympus.athena.rule_tests.rehearse", counted)
    test = resource("RuleTest", "t", {"rule": "guard", **load(f"given: [{{at: 0s, {LOGIN}}}]")})
    guard, other = resource("Rule", "guard", load(GUARD)), resource("Rule", "guard", load(CHECKED))
    tests = RuleTests()
    for rules, expected in ((guard, 1), (guard, 1), (other, 2)):
        tests.play(Catalog([rules, test]))
        assert count == expected
