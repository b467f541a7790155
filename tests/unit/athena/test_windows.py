"""What correlates, on a virtual clock: each form, any order of arrival, bounds, and what is stored."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from olympus.athena.correlate import NoPart, correlator_of, standing
from olympus.athena.scan import Mark
from olympus.athena.windows import (
    KEPT_BODIES,
    MAX_MARKS,
    Came,
    Complete,
    Due,
    WakeAt,
    Watched,
    Window,
    decide,
    oldest,
    window_from_json,
    window_to_json,
)
from olympus.kernel.events import Event
from olympus.spec.kinds.rule import Correlate

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def event(at: float, type_: str = "a", key: str = "k", **data: Any) -> Event:
    return Event(
        id=f"{type_}-{at}-{data.get('n', 0)}",
        type=type_,
        source="test",
        time=NOON + timedelta(seconds=at),
        node="web-1",
        data={"key": key, **data},
    )


@dataclass
class Story:
    """A rule's windows, driven as the service drives them, and stored and read again after each step."""

    spec: dict[str, Any]
    stored: bool = True
    windows: dict[str, Window] = field(default_factory=dict)
    wakes: dict[str, datetime] = field(default_factory=dict)
    made: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rule = correlator_of(Correlate.model_validate({"within": "10s", **self.spec}))

    def tell(self, one: Event, now: float | None = None) -> tuple[str, str]:
        """The value of what became of it, and why."""
        part = self.rule.admit(one)
        if isinstance(part, NoPart):
            last = part.clauses[-1]
            return last.value, last.because
        at = one.time if now is None else NOON + timedelta(seconds=now)
        made = self.step(part.key, Came(part.mark), at)
        (clause,) = standing(self.rule, part, made)
        return clause.value, clause.because

    def step(self, key: str, fact: Any, now: datetime) -> Any:
        made = decide(self.windows.get(key), fact, self.rule.shape, now)
        if made.state is None:
            self.windows.pop(key, None)
        else:
            self.windows[key] = made.state
            if self.stored:
                raw = json.loads(json.dumps(window_to_json(made.state, self.rule.shape)))
                again = window_from_json(raw, self.rule.shape)
                assert again == made.state
                self.windows[key] = again
        for effect in made.effects:
            if isinstance(effect, WakeAt):
                self.wakes[key] = effect.when
            elif isinstance(effect, Complete):
                self.made.append((key, tuple(mark.id for mark in effect.marks)))
        return made

    def wake(self, until: float) -> None:
        end = NOON + timedelta(seconds=until)
        while due := sorted((when, key) for key, when in self.wakes.items() if when <= end):
            when, key = due[0]
            del self.wakes[key]
            self.step(key, Due(), when)


COUNT = {"count": {"of": {"event": "a"}, "atLeast": 3}, "by": "data.key"}


def test_a_count_completes_with_the_last_that_was_wanted_and_begins_anew() -> None:
    story = Story(COUNT)
    assert story.tell(event(0)) == ("false", "1 of 3 came within 10s for k")
    story.tell(event(1))
    assert story.tell(event(2)) == ("true", "3 of 3 came within 10s for k")
    assert story.tell(event(3))[0] == "false"
    story.tell(event(4))
    assert story.tell(event(5))[0] == "true"
    assert story.made == [("k", ("a-0-0", "a-1-0", "a-2-0")), ("k", ("a-3-0", "a-4-0", "a-5-0"))]


def test_what_is_older_than_the_window_counts_no_more() -> None:
    story = Story(COUNT)
    for at in (0, 6, 10.5):
        assert story.tell(event(at))[0] == "false"
    assert story.tell(event(16)) == ("true", "3 of 3 came within 10s for k")
    assert story.made == [("k", ("a-6-0", "a-10.5-0", "a-16-0"))]


def test_keys_are_counted_apart_and_a_missing_one_takes_no_part() -> None:
    story = Story(COUNT)
    for at, key in enumerate("xyxyx"):
        story.tell(event(at, key=key))
    assert [key for key, _ in story.made] == ["x"]
    nameless = Event(id="e", type="a", source="t", time=NOON, data={})
    assert story.tell(nameless) == ("missing", "data.key is missing")
    assert story.tell(event(9, "b")) == ("false", "it is b")


def test_five_and_the_text_five_are_two_keys_of_several_paths() -> None:
    story = Story({"count": {"of": {"event": "a"}, "atLeast": 2}, "by": ["data.key", "data.port"]})
    story.tell(event(0, port=5))
    story.tell(event(1, port="5"))
    assert not story.made
    story.tell(event(2, port=5))
    assert story.made == [('["k",5]', ("a-0-0", "a-2-0"))]


def test_all_are_wanted_in_any_order() -> None:
    story = Story({"all": [{"event": "a"}, {"event": "b", "where": "data.n > 1"}, {"event": "c"}]})
    assert story.tell(event(0, "c"))[1] == "1 of 3 came within 10s; a and b where data.n > 1 did not"
    assert story.tell(event(1, "b", n=1)) == ("false", "data.n is 1, not > 1")
    story.tell(event(2, "b", n=2))
    assert story.tell(event(3, "a"))[0] == "true"
    assert story.made == [("", ("c-0-0", "b-2-2", "a-3-0"))]


def test_any_completes_with_each() -> None:
    story = Story({"any": [{"event": "a"}, {"event": "b*"}]})
    assert [story.tell(event(at, type_))[0] for at, type_ in enumerate(("a", "bx", "c", "b"))] == [
        "true",
        "true",
        "false",
        "true",
    ]


def test_a_sequence_is_wanted_in_order() -> None:
    story = Story({"sequence": [{"event": "a"}, {"event": "b"}, {"event": "c"}]})
    story.tell(event(0, "b"))
    assert story.tell(event(1, "a"))[1] == "1 of 3 came in order within 10s; next is b"
    story.tell(event(2, "c"))
    story.tell(event(3, "b"))
    assert not story.made
    assert story.tell(event(4, "c"))[0] == "true"
    assert story.made == [("", ("a-1-0", "b-3-0", "c-4-0"))]


def test_a_sequence_takes_the_beginning_that_is_still_in_time() -> None:
    story = Story({"sequence": [{"event": "a"}, {"event": "b"}]})
    for at, type_ in ((0, "a"), (8, "a"), (12, "b")):
        story.tell(event(at, type_))
    assert story.made == [("", ("a-8-0", "b-12-0"))]


def test_distinct_counts_values_and_not_events() -> None:
    spec = {"distinct": {"of": {"event": "a"}, "field": "data.user", "atLeast": 2}, "by": "data.key"}
    story = Story(spec)
    for at in range(5):
        story.tell(event(at, user="root"))
    assert story.tell(event(5))[0] == "missing"
    assert story.tell(event(6, user="eve")) == ("true", "2 of 2 came within 10s for k")
    assert story.made == [("k", ("a-4-0", "a-6-0"))]


def test_a_rate_is_so_many_within_the_time() -> None:
    story = Story({"rate": {"of": {"event": "a"}, "perSecond": 0.5}})
    for at in range(4):
        story.tell(event(at * 2))
    assert not story.made
    for at in range(4):
        story.tell(event(8 + at))
    assert len(story.made) == 1


def test_absence_waits_for_the_slack_and_is_told_once() -> None:
    story = Story({"absent": {"event": "a"}})
    story.step("", Watched(), NOON)
    story.tell(event(5))
    story.wake(16.9)
    assert not story.made
    story.wake(17)
    story.wake(99)
    assert story.made == [("", ("a-5-0",))]
    story.tell(event(100))
    story.wake(200)
    assert story.made[1:] == [("", ("a-100-0",))]


def test_what_never_came_is_absent_as_well() -> None:
    story = Story({"absent": {"event": "a"}})
    story.step("", Watched(), NOON)
    story.wake(100)
    story.step("", Watched(), NOON + timedelta(seconds=200))
    story.wake(300)
    assert story.made == [("", ())]


def test_absence_is_looked_at_for_each_key_that_came() -> None:
    story = Story({"absent": {"event": "a"}, "by": "data.key"})
    story.tell(event(0, key="x"))
    story.tell(event(3, key="y"))
    story.tell(event(11, key="x"), now=11.5)
    story.wake(20)
    assert story.made == [("y", ("a-3-0",))]
    assert set(story.windows) == {"x"}


def test_a_backlog_that_is_read_long_after_still_completes() -> None:
    story = Story(COUNT)
    for at in (0, 1, 2):
        story.tell(event(at), now=9000)
        story.wake(9000)
    assert len(story.made) == 1


def test_a_window_in_which_nothing_comes_is_forgotten() -> None:
    story = Story(COUNT)
    story.tell(event(0))
    story.tell(event(9))
    story.wake(20)
    assert story.windows
    story.wake(21)
    assert not story.windows


def test_the_same_event_again_counts_once_and_a_late_one_not_at_all() -> None:
    story = Story(COUNT)
    story.tell(event(0))
    story.tell(event(1))
    assert story.tell(event(0)) == ("false", "it was seen already")
    story.tell(event(2))
    story.tell(event(5))
    value, because = story.tell(event(1.5))
    assert (value, because.split(",")[0]) == ("false", "it came after its window was decided")


def test_the_state_of_a_changed_rule_is_void() -> None:
    story = Story(COUNT)
    story.tell(event(0))
    raw = window_to_json(story.windows["k"], story.rule.shape)
    other = correlator_of(Correlate.model_validate({"within": "11s", **COUNT}))
    assert window_from_json(raw, other.shape) is None


FORMS: list[dict[str, Any]] = [
    {"count": {"of": {"event": "a"}, "atLeast": 3}},
    {"rate": {"of": {"event": "a"}, "perSecond": 0.4}},
    {"distinct": {"of": {"event": "a"}, "field": "data.user", "atLeast": 2}},
    {"all": [{"event": "a"}, {"event": "b"}, {"event": "c"}]},
    {"any": [{"event": "a"}, {"event": "b"}]},
    {"sequence": [{"event": "a"}, {"event": "b"}, {"event": "a"}]},
]

events = st.lists(
    st.builds(
        lambda gap, type_, user, delay: (gap / 4, type_, user, delay / 8),
        st.integers(0, 14),
        st.sampled_from("abc"),
        st.sampled_from("xyz"),
        st.integers(0, 16),
    ),
    max_size=60,
)


def told(raw: list[tuple[float, str, str, float]]) -> list[tuple[float, Event]]:
    """(when it arrives, event): never later than the slack of two seconds after one that is newer."""
    at, out = 0.0, []
    for number, (gap, type_, user, delay) in enumerate(raw):
        at += gap
        out.append((at + delay, event(at, type_, user=user, n=number)))
    return out


@pytest.mark.parametrize("form", FORMS, ids=lambda form: next(iter(form)))
@settings(max_examples=150)
@given(raw=events)
def test_any_order_of_arrival_within_the_slack_completes_as_often(
    form: dict[str, Any], raw: list[tuple[float, str, str, float]]
) -> None:
    arrivals = told(raw)
    in_order, mixed = Story(form, stored=False), Story(form)
    for _, one in sorted(arrivals, key=lambda pair: (pair[1].time, pair[1].id)):
        in_order.tell(one)
    for when, one in sorted(arrivals, key=lambda pair: (pair[0], pair[1].id)):
        mixed.tell(one, now=when)
    assert len(mixed.made) == len(in_order.made)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: next(iter(form)))
@settings(max_examples=100)
@given(raw=events)
def test_completions_are_as_many_as_can_be_and_each_is_within_its_time(
    form: dict[str, Any], raw: list[tuple[float, str, str, float]]
) -> None:
    """Against a search that looks at every span from every start."""
    story = Story(form, stored=False)
    ordered = sorted((one for _, one in told(raw)), key=lambda one: (one.time, one.id))
    for one in ordered:
        story.tell(one)
    parts = [part.mark for one in ordered if (part := story.rule.part(one)) is not None]
    assert len(story.made) == most(parts, story)
    by_id = {mark.id: mark for mark in parts}
    for _, ids in story.made:
        times = [by_id[name].at for name in ids]
        assert times == sorted(times)
        assert times[-1] - times[0] <= story.rule.shape.within


def most(marks: list[Mark], story: Story) -> int:
    """As many completions as fit one after the other."""
    count, begin = 0, 0
    for end in range(len(marks)):
        spans = (marks[start : end + 1] for start in range(begin, end + 1))
        if any(enough(span, story) for span in spans if span[-1].at - span[0].at <= story.rule.shape.within):
            count, begin = count + 1, end + 1
    return count


def enough(span: list[Mark], story: Story) -> bool:
    shape = story.rule.shape
    if shape.form == "sequence":
        step = 0
        for mark in span:
            step += str(step) in mark.values
            if step == shape.need:
                return True
        return False
    if shape.form in ("all", "distinct"):
        return len({value for mark in span for value in mark.values}) >= shape.need
    return len(span) >= shape.need


def test_a_flood_keeps_what_it_holds_bounded_and_loses_nobody_else() -> None:
    spec = {"distinct": {"of": {"event": "a"}, "field": "data.user", "atLeast": 3}, "slack": "0s"}
    story = Story(spec, stored=False)
    story.tell(event(0, user="x"))
    story.tell(event(0.001, user="y"))
    for number in range(10_000):
        story.tell(event(0.1 + number / 10_000, user="x", n=number))
    window = story.windows[""]
    assert len(window.marks) <= 64
    assert not window.dropped
    assert sum(mark.body is not None for mark in window.marks) <= KEPT_BODIES + 2
    assert story.tell(event(2, user="z"))[0] == "true"


def test_what_does_not_fit_is_forgotten_oldest_first_and_said() -> None:
    story = Story({"count": {"of": {"event": "a"}, "atLeast": 4_000}, "slack": "10s"}, stored=False)
    sequence = Story({"sequence": [{"event": "b"}, {"event": "a"}], "slack": "10s"}, stored=False)
    for number in range(MAX_MARKS + 50):
        for one in (story, sequence):
            one.tell(event(number / 1000, "a", n=number))
    assert len(story.made) == 1
    for one in (story, sequence):
        assert len(one.windows[""].marks) <= MAX_MARKS
    assert sequence.windows[""].dropped
    assert "were forgotten" in sequence.tell(event(9, "b"))[1]


def test_the_windows_touched_longest_ago_are_dropped() -> None:
    windows = {str(number): Window(number, number) for number in range(110)}
    assert oldest(windows, 110) == []
    assert oldest(windows, 100) == [str(number) for number in range(20)]
