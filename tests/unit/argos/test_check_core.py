"""How a check's state follows from what is found, on a virtual clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from olympus.argos.check_core import (
    Found,
    NotLooked,
    Rule,
    Standing,
    Unanswered,
    decide,
    default_condition,
)
from olympus.spec.kinds.check import VALUES

START = datetime(2026, 11, 24, tzinfo=UTC)
FULL, MIDDLE, EMPTY = (Found({"used_percent": float(n)}) for n in (95, 85, 50))
BROKEN = NotLooked("no such disk")
DISK = Rule.of("value.used_percent > 90")


def told(rule, *facts, every=60.0, standing=None):
    """(state after it, event that was told) of each fact, one each `every` seconds; and the standing."""
    standing = standing or Standing()
    out = []
    for number, fact in enumerate(facts):
        decision = decide(standing, fact, rule, START + timedelta(seconds=number * every))
        standing = decision.state
        assert len(decision.effects) <= 1
        out.append((standing.state, decision.effects[0].tell if decision.effects else None))
    return out


def test_only_a_change_is_told():
    assert told(DISK, EMPTY, EMPTY, FULL, FULL, EMPTY, EMPTY) == [
        ("passing", None),
        ("passing", None),
        ("failing", "check-failed"),
        ("failing", None),
        ("passing", "check-recovered"),
        ("passing", None),
    ]


def test_a_check_that_fails_from_the_beginning_is_told():
    assert told(DISK, FULL) == [("failing", "check-failed")]


def test_it_fails_when_it_held_long_enough_without_a_break():
    rule = Rule.of("value.used_percent > 90", lasts=180)
    facts = (EMPTY, FULL, FULL, EMPTY, FULL, FULL, FULL, FULL)
    states = [state for state, _ in told(rule, *facts)]
    assert states == ["passing"] * 7 + ["failing"]


def test_what_is_not_yet_failing_for_long_enough_is_not_taken_for_passing():
    rule = Rule.of("value.used_percent > 90", lasts=90)
    assert told(rule, FULL, FULL, FULL) == [(None, None), (None, None), ("failing", "check-failed")]


def test_what_is_better_but_not_clear_goes_on_failing():
    rule = Rule.of("value.used_percent > 90", clear="value.used_percent < 80")
    assert told(rule, MIDDLE, FULL, MIDDLE, EMPTY, MIDDLE) == [
        ("passing", None),
        ("failing", "check-failed"),
        ("failing", None),
        ("passing", "check-recovered"),
        ("passing", None),
    ]


def test_clear_alone_does_not_end_what_still_fails():
    rule = Rule.of("value.used_percent > 90", clear="value.used_percent > 10")
    assert told(rule, FULL, FULL)[-1] == ("failing", None)


def test_what_can_not_be_told_is_unknown_and_goes_back_to_what_it_was():
    rule = Rule.of("value.used_percent > 90", lasts=600, clear="value.used_percent < 80")
    failing = Standing("failing", START, judged="failing")
    assert told(rule, BROKEN, BROKEN, MIDDLE, standing=failing) == [
        ("unknown", "check-unknown"),
        ("unknown", None),
        ("failing", "check-failed"),
    ]


def test_the_time_that_a_condition_held_is_not_counted_over_what_is_unknown():
    rule = Rule.of("value.used_percent > 90", lasts=100)
    states = [state for state, _ in told(rule, EMPTY, FULL, BROKEN, FULL, FULL, FULL)]
    assert states == ["passing", "passing", "unknown", "unknown", "unknown", "failing"]


def test_a_server_that_does_not_answer_fails_whatever_the_condition_says():
    rule = Rule.of("value.seconds > 2")
    assert told(rule, Unanswered("refused")) == [("failing", "check-failed")]
    assert told(Rule.of(None), Found({"seconds": 0.1}), Unanswered("refused"))[-1] == (
        "failing",
        "check-failed",
    )


@pytest.mark.parametrize(
    ("condition", "state"),
    [
        ("value.size > 10", "unknown"),
        ("value.exists && value.size > 10", "passing"),
        ("!value.exists || value.size > 10", "failing"),
        ("value.exists == 5", "unknown"),
        ("value.exists && value.size > 10 || value.age_seconds > 5", "unknown"),
    ],
)
def test_a_condition_that_hangs_on_what_is_missing_is_unknown(condition, state):
    assert told(Rule.of(condition), Found({"exists": False}))[0][0] == state


def test_the_reason_says_what_could_not_be_told():
    (effect,) = decide(Standing(), Found({"exists": False}), Rule.of("value.size > 10"), START).effects
    assert "value.size is missing" in effect.message


def test_every_probe_but_tcp_has_a_condition_of_its_own_over_its_own_value():
    samples = {float: 0.5, int: 3, bool: True, None: "text"}
    for probe, fields in VALUES.items():
        text = default_condition(probe, 4)
        assert (text is None) == (probe == "tcp")
        if text is not None:
            value = {name: samples[kind] for name, kind in fields.items()}
            assert Rule.of(text).fail.decided({"value": value}) is not None


@given(
    st.lists(st.sampled_from([FULL, MIDDLE, EMPTY, BROKEN, Unanswered("x")]), max_size=40),
    st.sampled_from([0.0, 60.0, 200.0]),
    st.sampled_from([None, "value.used_percent < 80"]),
)
def test_an_event_is_told_exactly_when_the_state_changes(facts, lasts, clear):
    before = None
    for state, event in told(Rule.of("value.used_percent > 90", lasts=lasts, clear=clear), *facts):
        changed = state != before
        assert (event is not None) == (changed and not (before is None and state == "passing"))
        before = state
