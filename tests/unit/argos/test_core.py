"""Argos's core on a virtual clock: what is told of lines that match, and of lines that do not come."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from olympus.argos.core import decide, state_to_json
from olympus.argos.model import CaughtUp, Due, Seen, Tell, WakeAt, Watched, WatchState
from olympus.argos.plan import WatchPlan, watch_plan
from olympus.argos.remembered import BUCKETS, KEYS, MARKS
from olympus.spec.event_data import HeldBack, Matched
from olympus.spec.kinds.logwatch import LogWatchSpec

SECOND = 1000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE


def plan_of(*matches: dict[str, Any], **more: Any) -> WatchPlan:
    named = [{"name": f"m{index}"} | one for index, one in enumerate(matches)]
    spec = LogWatchSpec.model_validate({"source": {"files": ["/x"]}, "match": named, **more})
    return watch_plan("w", "web-1", spec)


class Clock:
    """A watch, and what it told when."""

    def __init__(self, plan: WatchPlan, now: int = 0, known: Any = None, caught_up: bool = True) -> None:
        self.now = now
        self.told: list[tuple[int, Matched | HeldBack]] = []
        self.wake: int | None = None
        self.state: WatchState | None = None
        self.tell(Watched(plan, known))
        if caught_up:
            self.tell(CaughtUp())

    def tell(self, fact: Any) -> None:
        done = decide(self.state, fact, self.now)
        self.state = done.state
        for effect in done.effects:
            match effect:
                case Tell(data):
                    self.told.append((self.now, data))
                case WakeAt(when):
                    self.wake = when

    def until(self, moment: int) -> None:
        while self.wake is not None and self.wake <= moment:
            self.now, self.wake = max(self.now, self.wake), None
            self.tell(Due())
        self.now = moment

    def line(self, at: int, index: int = 0, **groups: Any) -> None:
        self.until(at)
        self.tell(Seen(index, "a line", "/x", at, groups))

    @property
    def counts(self) -> list[tuple[int, int]]:
        return [(at, data.count) for at, data in self.told]

    def stored(self) -> Any:
        assert self.state is not None
        return json.loads(json.dumps(state_to_json(self.state)))


def test_without_more_each_line_is_told_with_all_that_is_known_of_it():
    clock = Clock(plan_of({"pattern": "x", "severity": "error"}))
    clock.line(7, ip="::1")
    [(_, told)] = clock.told
    assert told == Matched(
        watch="w",
        name="m0",
        severity="error",
        source="/x",
        offset=7,
        line="a line",
        groups={"ip": "::1"},
        count=1,
    )


def test_a_threshold_is_reached_within_its_time_by_one_key_and_begins_anew():
    clock = Clock(plan_of({"pattern": "x", "threshold": {"count": 3, "within": "1m", "by": ["groups.ip"]}}))
    for at, ip in (
        (0, "a"),
        (1, "b"),
        (20, "a"),
        (59, "b"),
        (61, "a"),
        (62, "a"),
        (100, "b"),
        (101, "a"),
        (102, "a"),
    ):
        clock.line(at * SECOND, ip=ip)
    # a: 20, 61, 62 lie within a minute, 0 does not; b never has three; 101 and 102 are two again.
    assert clock.counts == [(62 * SECOND, 3)]
    clock.line(103 * SECOND, ip="a")
    assert clock.counts[1:] == [(103 * SECOND, 3)]


def test_a_line_as_old_as_the_time_counts_no_more():
    clock = Clock(plan_of({"pattern": "x", "threshold": {"count": 2, "within": "10s"}}))
    clock.line(0)
    clock.line(10 * SECOND)
    assert clock.counts == []
    clock.line(20 * SECOND - 1)
    assert clock.counts == [(20 * SECOND - 1, 2)]


def test_after_an_event_its_key_is_silent_and_the_next_event_stands_for_what_was_held():
    clock = Clock(plan_of({"pattern": "x", "suppress": "10m", "by": ["groups.ip"]}))
    for at in range(5):
        clock.line(at * MINUTE, ip="a")
        clock.line(at * MINUTE, ip="b")
    assert clock.counts == [(0, 1), (0, 1)]
    clock.line(10 * MINUTE, ip="a")
    assert clock.counts[2:] == [(10 * MINUTE, 5)]
    clock.line(20 * MINUTE, ip="a")
    assert clock.counts[3:] == [(20 * MINUTE, 1)]


def test_what_comes_in_the_silence_counts_for_no_threshold():
    clock = Clock(plan_of({"pattern": "x", "threshold": {"count": 2, "within": "1m"}, "suppress": "1m"}))
    for at in (0, 1, 30, 59, 62, 63):
        clock.line(at * SECOND)
    assert clock.counts == [(1 * SECOND, 2), (63 * SECOND, 4)]


def test_keys_are_what_by_says_whatever_its_type_and_a_missing_group_is_a_key_too():
    clock = Clock(
        plan_of({"pattern": "x", "threshold": {"count": 2, "within": "1m", "by": ["groups.n", "source"]}})
    )
    clock.line(0, n=1)
    clock.line(1, n="1")
    clock.line(2)
    assert clock.counts == []
    clock.line(3, n=1)
    clock.line(4)
    assert clock.counts == [(3, 2), (4, 2)]


def test_more_lines_than_marks_are_counted_at_most_a_64th_of_the_time_too_short():
    clock = Clock(plan_of({"pattern": "x", "threshold": {"count": 10_000, "within": "64s"}}))
    for index in range(10_000):
        clock.line(index * 6)
    assert clock.counts == [(9_999 * 6, 10_000)]
    for index in range(20_000):
        clock.line(60 * SECOND + index * 7)
    assert len(clock.counts) == 1


def test_beyond_the_rate_lines_are_held_back_and_told_once():
    clock = Clock(plan_of({"pattern": "x"}, {"pattern": "y"}, rate={"count": 2, "within": "1m"}))
    for index in range(10):
        clock.line(index * SECOND, index % 2)
    assert clock.counts == [(0, 1), (SECOND, 1)]
    clock.until(HOUR)
    assert clock.told[2:] == [(MINUTE, HeldBack(watch="w", count=8, since="1970-01-01T00:00:00.000000Z"))]
    clock.line(HOUR)
    assert clock.counts[3:] == [(HOUR, 1)]


def test_what_was_held_back_by_the_rate_is_not_silent_afterwards():
    clock = Clock(
        plan_of({"pattern": "x", "suppress": "1h", "by": ["groups.ip"]}, rate={"count": 1, "within": "1m"})
    )
    clock.line(0, ip="a")
    clock.line(1, ip="b")
    clock.line(2 * MINUTE, ip="b")
    assert [getattr(data, "groups", None) for _, data in clock.told] == [{"ip": "a"}, None, {"ip": "b"}]


def test_what_should_come_and_does_not_is_told_once_and_again_only_after_it_came():
    clock = Clock(plan_of({"absent": {"pattern": "done", "within": "1h"}, "severity": "error"}))
    clock.line(30 * MINUTE)
    clock.until(10 * HOUR)
    [(at, told)] = clock.told
    assert (at, told.count, told.name, told.severity) == (90 * MINUTE, 0, "m0", "error")
    clock.line(10 * HOUR)
    clock.until(20 * HOUR)
    assert clock.counts == [(90 * MINUTE, 0), (11 * HOUR, 0)]


def test_a_deadline_stands_over_a_restart():
    plan = plan_of({"absent": {"pattern": "done", "within": "1h"}})
    before = Clock(plan)
    before.until(50 * MINUTE)
    after = Clock(plan, 55 * MINUTE, before.stored())
    after.until(2 * HOUR)
    assert after.counts == [(HOUR, 0)]
    again = Clock(plan, 3 * HOUR, after.stored())
    again.until(30 * HOUR)
    assert again.counts == []


def test_nothing_is_absent_before_what_came_meanwhile_is_read():
    plan = plan_of({"absent": {"pattern": "done", "within": "1h"}})
    before = Clock(plan)
    came = Clock(plan, 5 * HOUR, before.stored(), caught_up=False)
    came.tell(Due())
    came.line(5 * HOUR)
    came.tell(CaughtUp())
    came.until(5 * HOUR + 30 * MINUTE)
    assert came.counts == []
    stayed = Clock(plan, 5 * HOUR, before.stored())
    assert stayed.counts == [(5 * HOUR, 0)]


def test_what_changed_begins_anew_and_what_did_not_goes_on():
    counted = {"pattern": "x", "threshold": {"count": 3, "within": "1h"}}
    clock = Clock(plan_of(counted, {"pattern": "y", "threshold": {"count": 3, "within": "1h"}}))
    for index in (0, 0, 1, 1):
        clock.line(1, index)
    # The first is now the second, and of another severity; the other waits for less.
    plan = plan_of(
        {"name": "m1", "pattern": "y", "threshold": {"count": 2, "within": "1h"}},
        {"name": "m0", "severity": "critical", **counted},
    )
    again = Clock(plan, 2, clock.stored())
    clock.tell(Watched(plan))
    for one in (clock, again):
        one.line(3, 0)
        one.line(3, 1)
        assert [(data.name, data.severity) for _, data in one.told] == [("m0", "critical")]


def test_what_was_stored_and_makes_no_sense_is_as_if_it_were_not_there():
    plan = plan_of({"absent": {"pattern": "done", "within": "1h"}})
    stored = Clock(plan).stored()
    for known in (
        {},
        {"form": 2},
        {**stored, "matches": []},
        {**stored, "rate": 7},
        {**stored, "matches": {"m0": {**stored["matches"]["m0"], "keys": [["a"]]}}},
    ):
        clock = Clock(plan, HOUR, known)
        clock.until(10 * HOUR)
        assert clock.counts == [(2 * HOUR, 0)]


STEPS = st.lists(st.tuples(st.integers(0, 40_000), st.integers(0, 3), st.sampled_from("abc")), max_size=60)
PLANS = st.sampled_from(
    [
        plan_of(
            {
                "pattern": "x",
                "threshold": {"count": 3, "within": "20s", "by": ["groups.k"]},
                "suppress": "30s",
            },
            {"absent": {"pattern": "y", "within": "1m"}},
            {"pattern": "z", "suppress": "10s", "by": ["groups.k"]},
            {"pattern": "v", "threshold": {"count": 100, "within": "1m"}},
            rate={"count": 2, "within": "1m"},
        )
    ]
)


@settings(max_examples=200, deadline=None)
@given(PLANS, STEPS, st.integers(0, 60))
def test_a_restart_at_any_point_changes_nothing(plan: WatchPlan, steps: list[Any], cut: int):
    straight, moment = Clock(plan), 0
    other = Clock(plan)
    for index, (wait, match, key) in enumerate(steps):
        moment += wait
        straight.line(moment, match, k=key)
        other.line(moment, match, k=key)
        if index == cut:
            fresh = Clock(plan, moment, other.stored())
            fresh.told = [*other.told, *fresh.told]
            other = fresh
    straight.until(moment + HOUR)
    other.until(moment + HOUR)
    assert straight.told == other.told


@settings(max_examples=5, deadline=None)
@given(st.integers(1, 500), st.integers(0, 2**32))
def test_memory_is_bounded_however_many_keys_there_are(count: int, seed: int):
    plan = plan_of(
        {
            "pattern": "x",
            "threshold": {"count": count + 1, "within": "1h", "by": ["groups.k"]},
            "suppress": "1h",
        }
    )
    clock = Clock(plan)
    for index in range(12_000):
        clock.line(index, k=f"{seed}-{index // 2}")
    assert clock.state is not None
    keys = clock.state.matches[0].keys
    assert all(len(bucket) <= KEYS for bucket in keys.buckets)
    assert all(sum(len(kept.marks) for kept in bucket.values()) <= MARKS for bucket in keys.buckets)
    assert len(keys) <= BUCKETS * KEYS
    assert keys.dropped == 6_000 - len(keys)


def test_a_long_key_is_a_short_one():
    plan = plan_of({"pattern": "x", "suppress": "1h", "by": ["line"]})
    assert len(plan.key(0, "x" * 100_000, "/x", {})) == 32
    assert plan.key(0, "x" * 100_000, "/x", {}) != plan.key(0, "x" * 100_001, "/x", {})
