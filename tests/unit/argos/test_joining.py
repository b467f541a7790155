"""Lines that belong together are one record, however they come; what may still get more is kept back."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from olympus.argos.joining import PAUSE, Joiner
from olympus.argos.ports import Chunk
from olympus.argos.reading import LINE
from olympus.spec.kinds.logwatch import Multiline

START = Multiline(start=r"^\d{4}-")
END = Multiline(end=r";$")
CONTINUATION = Multiline(continuation=r"^\s")


def records(multiline, text, cuts=(), *, ends=True):
    """The records of `text`, which comes in chunks that begin at `cuts`."""
    joiner = Joiner(multiline)
    lines = text.splitlines(keepends=True)
    borders = [0, *sorted(cut % (len(lines) + 1) for cut in cuts), len(lines)]
    found, offset = [], 0
    for begin, end in pairwise(borders):
        piece = "".join(lines[begin:end]).encode()
        last = ends and end == len(lines)
        found += joiner.add(Chunk("s", "p", offset, piece, ends=last), 0.0)
        offset += len(piece)
    return found, joiner


@pytest.mark.parametrize(
    ("multiline", "text", "expected"),
    [
        (START, "2026-a\n at b\n at c\n2026-d\n", ["2026-a\n at b\n at c", "2026-d"]),
        # What comes before the first start is a record too.
        (START, "rest\nof it\n2026-a\n", ["rest\nof it", "2026-a"]),
        (END, "select\n  1;\nselect 2;\ninsert\n", ["select\n  1;", "select 2;", "insert"]),
        (CONTINUATION, "a\n b\n\tc\nd\ne\n f\n", ["a\n b\n\tc", "d", "e\n f"]),
        (CONTINUATION, " b\na\n", [" b", "a"]),
        # A line's end may be CRLF, and is no part of it.
        (END, "a\r\nb;\r\nc;\r\n", ["a\r\nb;\r", "c;\r"]),
    ],
)
def test_records_begin_end_or_go_on_as_the_spec_says(multiline, text, expected):
    found, _ = records(multiline, text)
    assert [one.text.decode() for one in found] == expected
    assert [one.offset for one in found] == [text.index(one) for one in expected]


@given(
    st.sampled_from([START, END, CONTINUATION]),
    st.lists(st.sampled_from(["2026-x", " more", "end;", "", "text"]), max_size=20),
    st.lists(st.integers(0, 20), max_size=5),
)
def test_it_does_not_matter_how_lines_come(multiline, lines, cuts):
    text = "".join(f"{line}\n" for line in lines)
    whole, _ = records(multiline, text)
    assert records(multiline, text, cuts)[0] == whole
    assert "\n".join(one.text.decode() for one in whole) == text.removesuffix("\n")


def test_the_last_record_is_whole_when_nothing_more_comes_for_a_while():
    found, joiner = records(START, "2026-a\n b\n", ends=False)
    assert found == []
    assert joiner.next_due() == 0.0
    assert list(joiner.due(PAUSE - 0.01)) == []
    # After a restart it is read again from its beginning.
    assert joiner.begins_at("s", "p") == 0
    assert [one.text for one in joiner.due(PAUSE)] == [b"2026-a\n b"]
    assert joiner.begins_at("s", "p") is None


def test_streams_and_parts_are_not_mixed():
    joiner = Joiner(CONTINUATION)
    for stream, part in (("a", "1"), ("b", "1"), ("a", "2")):
        assert list(joiner.add(Chunk(stream, part, 0, b"head\n"), 0.0)) == []
    assert list(joiner.add(Chunk("a", "1", 5, b" more\n"), 0.0)) == []
    got = sorted((one.stream, one.part, one.text) for one in joiner.due(PAUSE))
    assert got == [("a", "1", b"head\n more"), ("a", "2", b"head"), ("b", "1", b"head")]


def test_a_record_that_is_too_long_is_cut_and_counted():
    joiner = Joiner(CONTINUATION)
    line = b" " + b"x" * 999 + b"\n"
    found = list(joiner.add(Chunk("s", "p", 0, b"head\n" + line * 200), 0.0))
    assert joiner.cut == len(found) == 3
    assert all(len(one.text) <= LINE for one in found)


def test_what_is_known_of_a_record_is_what_is_known_of_its_first_line():
    joiner = Joiner(CONTINUATION)
    chunk = Chunk("s", "", 100, b"a\n b\nc\n", ends=True, about=lambda start: {"start": start})
    assert [(one.offset, one.fields) for one in joiner.add(chunk, 0.0)] == [
        (100, {"start": 0}),
        (105, {"start": 5}),
    ]
