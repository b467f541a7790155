"""The last lines, bounded whatever comes."""

from __future__ import annotations

import tracemalloc
from datetime import UTC, datetime, timedelta

from olympus.argos.recent import IN_ALL, PER_STREAM, Question, Recent

NOW = datetime(2026, 11, 26, tzinfo=UTC)


def last(recent, limit=1000):
    return [one.line for one in recent.lines(Question(limit=limit), NOW + timedelta(days=1))]


def test_of_one_large_piece_the_last_lines_are_kept():
    recent = Recent()
    recent.add("a", b"".join(b"%d\n" % n for n in range(100_000)), NOW)
    assert last(recent, 3) == ["99997", "99998", "99999"]
    assert PER_STREAM - 20 < sum(len(text) for _, text in recent.pieces({"a"})) <= PER_STREAM


def test_a_loud_stream_does_not_drive_a_quiet_one_out():
    recent = Recent()
    for number in range(10):
        recent.add(f"s{number}", b"line %d\n" % number, NOW)
        recent.add("loud", b"x\n" * 200_000, NOW + timedelta(seconds=number))
    assert recent.pieces({"s0"}) == [("s0", b"line 0\n")]


def test_memory_is_bounded_by_what_pieces_and_names_take_too():
    tracemalloc.start()
    recent = Recent()
    for number in range(100_000):
        moment = NOW + timedelta(microseconds=number)
        recent.add("quiet", b"%d\n" % number, moment)
        recent.add(f"forged-{number}", b"%d\n" % number, moment)
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert used < 2 * IN_ALL
    assert last(recent, 2) == ["99999", "99999"]
