"""Ids, times, events and timers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from olympus.kernel.clock import parse_rfc3339, rfc3339
from olympus.kernel.diagnostics import Diagnostic, did_you_mean
from olympus.kernel.events import Event
from olympus.kernel.ids import IdFactory, derived_id, new_id
from olympus.kernel.timers import Timers

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@given(st.lists(st.integers(0, 2**47), min_size=2, max_size=50))
def test_ids_grow_even_when_the_clock_goes_back(clock):
    factory = IdFactory()
    ids = [factory.new(milliseconds) for milliseconds in clock]
    assert ids == sorted(set(ids))
    assert {len(i) for i in ids} == {26}


@given(st.integers(0, 2**47), st.integers(0, 2**47), st.text(), st.text())
def test_derived_ids_are_equal_for_equal_parts_and_sort_by_time(a, b, x, y):
    assert derived_id(a, x) == derived_id(a, x)
    if x != y:
        assert derived_id(a, x) != derived_id(a, y)
    if a < b:
        assert derived_id(a, x) < derived_id(b, y)


def test_ids_made_later_sort_later_across_factories():
    assert IdFactory().new(1_000) < IdFactory().new(1_001) < new_id()


@given(st.datetimes(timezones=st.just(UTC)))
def test_times_survive_text_and_sort_as_text(moment):
    assert parse_rfc3339(rfc3339(moment)) == moment


def test_a_time_in_another_zone_is_written_in_utc():
    there = NOON.astimezone(timezone(timedelta(hours=2)))
    assert rfc3339(there) == "2026-03-01T12:00:00.000000Z"


def test_a_time_without_offset_is_refused():
    with pytest.raises(ValueError, match="no UTC offset"):
        parse_rfc3339("2026-03-01T12:00:00")


def test_an_event_survives_json():
    event = Event("1", "a.b", "//x", NOON, {"k": [1]}, subject="s", node="n", cause="0", depth=3)
    assert Event.from_json(event.to_json()) == event
    assert event.to_json()["specversion"] == "1.0"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"specversion": "0.3"}, "specversion"),
        ({"id": ""}, "'id'"),
        ({"type": None}, "'type'"),
        ({"type": "a b"}, "may hold"),
        ({"time": "yesterday"}, "Invalid isoformat"),
        ({"data": [1]}, "JSON object"),
        ({"depth": -1}, "'depth'"),
        ({"depth": True}, "'depth'"),
        ({"node": 5}, "'node'"),
    ],
)
def test_what_is_no_cloudevent_is_refused_with_the_reason(change, why):
    raw = Event("1", "a.b", "//x", NOON).to_json() | change
    with pytest.raises(ValueError, match=why):
        Event.from_json(raw)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 100) | st.none())))
def test_timers_tell_each_key_once_at_its_last_deadline(moves):
    timers: Timers[int] = Timers()
    wanted: dict[int, int] = {}
    for key, at in moves:
        if at is None:
            timers.cancel(key)
            wanted.pop(key, None)
        else:
            timers.set(key, NOON + timedelta(seconds=at))
            wanted[key] = at
    assert len(timers) == len(wanted)
    told: list[int] = []
    while (soonest := timers.next()) is not None:
        due = timers.due(soonest)
        assert due
        assert all(NOON + timedelta(seconds=wanted[key]) == soonest for key in due)
        told += due
    assert sorted(told) == sorted(wanted)


def test_a_diagnostic_reads_as_compilers_write_it():
    assert str(Diagnostic("a.yaml", 3, 7, "bad")) == "a.yaml:3:7: bad"
    assert str(Diagnostic("a.yaml", 0, 0, "bad")) == "a.yaml: bad"
    assert did_you_mean("replcas", ["replicas", "each"]) == ", did you mean 'replicas'?"
    assert did_you_mean("zzz", ["replicas"]) == ""
