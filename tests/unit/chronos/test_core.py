"""Chronos's decisions on a virtual clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from olympus.chronos.core import decide, jitter_of, upcoming
from olympus.chronos.model import (
    At,
    Declared,
    Due,
    Every,
    Exclusion,
    Fire,
    Forget,
    Planned,
    Remember,
    RunFinished,
    RunStarted,
    ScheduleState,
    Skip,
    Timetable,
    WakeAt,
    Withdrawn,
)

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def timetable(trigger=None, **more) -> Timetable:
    more.setdefault("overlap", "allow")
    return Timetable("tick", trigger or Every(timedelta(minutes=1)), "p", {}, digest="d", **more)


class Story:
    """One schedule, driven as the service drives it."""

    def __init__(self, table: Timetable, now: datetime = NOON, handled: datetime | None = None) -> None:
        self.now, self.state, self.wake, self.said = now, None, None, []
        self.tell(Declared(table, handled))

    def tell(self, fact) -> list:
        decision = decide(self.state, fact, self.now)
        self.state = decision.state
        for effect in decision.effects:
            if isinstance(effect, WakeAt):
                self.wake = effect.when
        out = [e for e in decision.effects if isinstance(e, Fire | Skip)]
        self.said += out
        return out

    def until(self, end: datetime) -> list:
        """Let time pass, waking as asked."""
        begun = len(self.said)
        while self.wake is not None and self.wake <= end:
            self.now = self.wake
            self.tell(Due())
            self.tell(Planned())
        self.now = end
        return self.said[begun:]


def test_a_new_schedule_remembers_now_and_fires_only_what_comes_after():
    table = timetable()
    decision = decide(None, Declared(table), NOON)
    assert decision.state == ScheduleState(table, handled=NOON, due=NOON + timedelta(minutes=1))
    assert decision.effects == (Remember(), WakeAt(NOON + timedelta(minutes=1)))


def test_every_slot_fires_once():
    story = Story(timetable())
    fired = story.until(NOON + timedelta(minutes=10))
    assert [f.slot for f in fired] == [NOON + timedelta(minutes=m) for m in range(1, 11)]
    assert len({f.event for f in fired}) == 10


def test_a_slot_already_handled_does_not_fire_again_after_a_restart():
    story = Story(timetable(), handled=NOON)
    assert [f.slot for f in story.until(NOON + timedelta(minutes=1))] == [NOON + timedelta(minutes=1)]
    again = Story(timetable(), now=story.now, handled=story.state.handled)
    assert again.until(story.now + timedelta(seconds=59)) == []


def test_a_slot_during_a_short_takeover_still_fires():
    story = Story(timetable(), now=NOON + timedelta(seconds=80), handled=NOON)
    (fired,) = story.until(NOON + timedelta(seconds=80))
    assert isinstance(fired, Fire)
    assert fired.slot == NOON + timedelta(minutes=1)


@pytest.mark.parametrize(("missed", "fired"), [("skip", 1), ("latest", 1), ("all", 300)])
def test_after_hours_away_the_newest_slot_fires_and_older_ones_as_missed_says(missed, fired):
    # The newest slot is 59 s late: within the grace it fires whatever `missed` says.
    story = Story(timetable(missed=missed), now=NOON + timedelta(minutes=300, seconds=59), handled=NOON)
    said = story.tell(Due())
    slots = [f.slot for f in said if isinstance(f, Fire)]
    assert len(slots) == fired
    assert slots[-1] == NOON + timedelta(minutes=300)
    assert sum(s.count for s in said if isinstance(s, Skip)) == 300 - fired


@pytest.mark.parametrize("missed", ["skip", "latest", "all"])
def test_a_single_daily_slot_missed_by_hours(missed):
    daily = Every(timedelta(days=1))
    midnight = datetime(2026, 3, 1, tzinfo=UTC)
    story = Story(timetable(daily, missed=missed), now=midnight + timedelta(hours=30), handled=midnight)
    (said,) = story.tell(Due())
    assert said.slot == midnight + timedelta(days=1)
    if missed == "skip":
        assert isinstance(said, Skip)
        assert "missed" in said.reason
    else:
        assert isinstance(said, Fire)
        assert said.late


def test_latest_finds_the_newest_of_more_slots_than_are_looked_at():
    story = Story(
        timetable(Every(timedelta(seconds=1)), missed="latest"), now=NOON, handled=NOON - timedelta(days=2)
    )
    said = story.tell(Due())
    assert [f.slot for f in said if isinstance(f, Fire)] == [NOON]
    assert story.state.handled == NOON


def test_all_makes_up_for_everything_in_several_decisions():
    story = Story(
        timetable(Every(timedelta(seconds=1)), missed="all"), now=NOON, handled=NOON - timedelta(seconds=2500)
    )
    fired = story.until(NOON)
    assert len(fired) == 2500
    assert story.state.handled == NOON


def test_a_paused_schedule_says_each_skip_with_its_reason():
    story = Story(timetable(paused=True))
    said = story.until(NOON + timedelta(minutes=3))
    assert [type(s) for s in said] == [Skip] * 3
    assert {s.reason for s in said} == {"paused"}


def test_an_exclusion_window_skips_and_says_which():
    nights = Exclusion("night", Every(timedelta(days=1)), timedelta(hours=6))
    story = Story(timetable(Every(timedelta(hours=3)), exclusions=(nights,)))
    said = story.until(NOON + timedelta(hours=24))
    assert [(s.slot.hour, isinstance(s, Fire)) for s in said] == [
        (15, True), (18, True), (21, True), (0, False), (3, False), (6, True), (9, True), (12, True),
    ]  # fmt: skip
    assert {s.reason for s in said if isinstance(s, Skip)} == {"window 'night'"}


def test_an_allow_window_forbids_what_is_outside():
    nights = Exclusion("night", Every(timedelta(days=1)), timedelta(hours=6), allow=True)
    story = Story(timetable(Every(timedelta(hours=3)), exclusions=(nights,)))
    said = story.until(NOON + timedelta(hours=24))
    assert [s.slot.hour for s in said if isinstance(s, Fire)] == [0, 3]


def test_overlap_skip_waits_for_the_run_it_started():
    story = Story(timetable(overlap="skip"))
    (first,) = story.until(NOON + timedelta(minutes=1))
    story.tell(RunStarted("run-1", first.event))
    (second,) = story.until(NOON + timedelta(minutes=2))
    assert isinstance(second, Skip)
    assert "run-1" in second.reason
    story.tell(RunFinished("run-1"))
    (third,) = story.until(NOON + timedelta(minutes=3))
    assert isinstance(third, Fire)


def test_a_run_of_another_cause_does_not_count_as_overlap():
    story = Story(timetable(overlap="skip"))
    story.tell(RunStarted("run-9", "an event of somebody else"))
    (said,) = story.until(NOON + timedelta(minutes=1))
    assert isinstance(said, Fire)


def test_a_firing_whose_run_never_came_blocks_for_a_minute_only():
    story = Story(timetable(Every(timedelta(seconds=20)), overlap="skip"))
    said = story.until(NOON + timedelta(seconds=100))
    assert [isinstance(s, Fire) for s in said] == [True, False, False, True, False]


def test_changed_times_begin_anew_and_do_not_catch_up():
    story = Story(timetable(Every(timedelta(days=1)), missed="all"), handled=NOON - timedelta(hours=3))
    changed = Timetable("tick", Every(timedelta(minutes=1)), "p", {}, digest="other", missed="all")
    assert story.tell(Declared(changed)) == []
    assert story.state.handled == NOON


def test_the_same_times_with_other_params_keep_what_was_handled():
    story = Story(timetable(), handled=NOON - timedelta(seconds=30))
    story.tell(Declared(timetable(missed="all")))
    assert story.state.handled == NOON - timedelta(seconds=30)


def test_a_withdrawn_schedule_is_forgotten():
    story = Story(timetable())
    decision = decide(story.state, Withdrawn(), NOON)
    assert decision.state is None
    assert Forget() in decision.effects
    assert decide(None, Due(), NOON).effects == ()


def test_at_fires_once_and_never_again():
    story = Story(timetable(At(NOON + timedelta(hours=1))))
    assert len(story.until(NOON + timedelta(days=400))) == 1
    assert story.wake is None


@given(st.text(min_size=1), st.datetimes(timezones=st.just(UTC)), st.integers(1, 86_400))
def test_jitter_is_the_same_for_all_and_stays_within(name, slot, seconds):
    table = Timetable(name, Every(timedelta(1)), "p", {}, "d", jitter=timedelta(seconds=seconds))
    assert timedelta(0) <= jitter_of(table, slot) < table.jitter
    assert jitter_of(table, slot) == jitter_of(table, slot)


@given(
    st.lists(st.integers(0, 4000), max_size=30),
    st.integers(1, 400),
    st.sampled_from(["skip", "latest", "all"]),
)
def test_slots_fire_in_order_and_never_twice_however_time_jumps(jumps, period, missed):
    story = Story(timetable(Every(timedelta(seconds=period)), missed=missed))
    for jump in jumps:
        story.now += timedelta(seconds=jump)
        story.tell(Due())
        story.tell(Planned())
        if jump % 3 == 0:  # a restart: only what is stored remains
            story = Story(story.state.timetable, now=story.now, handled=story.state.handled)
        slots = [s.slot for s in story.said if isinstance(s, Fire)]
        assert slots == sorted(set(slots))
        assert all(slot <= story.now for slot in slots)


def test_upcoming_leaves_out_what_a_window_forbids():
    nights = Exclusion("night", Every(timedelta(days=1)), timedelta(hours=6))
    slots = upcoming(timetable(Every(timedelta(hours=3)), exclusions=(nights,)), NOON, 5)
    assert [s.hour for s in slots] == [15, 18, 21, 6, 9]
