"""Bytes of a connection into syslog messages."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from olympus.argos.syslog_framing import Framing


def framed(data, size, longest=20):
    """The messages of `data`, fed in pieces of `size`; and how many were cut."""
    framing = Framing(longest)
    found = [one for at in range(0, len(data), size) for one in framing.feed(data[at : at + size])]
    rest = framing.end()
    return found + ([rest] if rest else []), framing.cut


def test_both_framings_may_be_mixed_and_are_told_apart_by_each_message():
    data = b"6 <1>a\nb<2>c\n2026 d\n10 e\n7 <3>fghi<4>j"
    for size in (1, 2, 5, len(data)):
        assert framed(data, size) == ([b"<1>a\nb", b"<2>c", b"2026 d", b"10 e", b"<3>fghi", b"<4>j"], 0)


def test_of_what_is_too_long_the_beginning_is_taken_and_the_next_message_is_whole():
    data = b"500 <" + b"x" * 499 + b"4 <2>a<" + b"y" * 300 + b"\n<3>b\n"
    expected = [b"<" + b"x" * 19, b"<2>a", b"<" + b"y" * 19, b"<3>b"]
    for size in (1, 7, 100, len(data)):
        assert framed(data, size) == (expected, 2)


def test_a_connection_that_breaks_off_leaves_what_came():
    assert framed(b"10 <1>ab", 3) == ([b"<1>ab"], 1)
    assert framed(b"<1>ab", 3) == ([b"<1>ab"], 0)
    assert framed(b"999999999 <1>", 3) == ([b"<1>"], 1)
    # No length is that long.
    assert framed(b"9999999999 <1>x\n", 3)[0] == [b"9999999999 <1>x"]


def test_memory_is_bounded_whatever_comes():
    for piece in (b"1" * 1000, b"<" + b"x" * 999, b"999999999 <" + b"x" * 989, b"\x00" * 1000, b"9 " * 500):
        framing = Framing(longest=100)
        for _ in range(1000):
            list(framing.feed(piece))
            assert len(framing._rest) <= 1200


@given(st.lists(st.tuples(st.binary(max_size=30), st.booleans()), max_size=8), st.integers(1, 40))
def test_messages_come_out_as_they_went_in_however_they_are_cut_up(messages, size):
    data, expected = b"", []
    for text, counted in messages:
        message = b"<13>" + text if counted else b"<13>" + text.replace(b"\n", b"")
        data += b"%d %b" % (len(message), message) if counted else message + b"\n"
        expected.append(message)
    assert framed(data, size, longest=64) == (expected, 0)
