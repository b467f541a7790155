"""Entries of the journal into numbered lines."""

from __future__ import annotations

import json

import pytest

from olympus.argos.journal_entries import Entry, Numbering, entry_of
from olympus.argos.reading import LINE


def entry(message="hello", **more):
    found = {"__CURSOR": "s=1;i=2", "__REALTIME_TIMESTAMP": "1700000000000000", "MESSAGE": message, **more}
    made = entry_of(json.dumps(found).encode())
    assert made is not None
    return made


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ("hello", b"hello\n"),
        ("a\nb\n", b"a\nb\n"),
        ([98, 1, 255], b"b\x01\xff\n"),
        (["a", [255, 10]], b"a\n\xff\n"),
        (None, b""),
        ("", b""),
        ("\u00e9\u2028x", "\u00e9\u2028x\n".encode()),
    ],
)
def test_messages_are_lines_also_where_they_are_no_text(message, text):
    assert entry(message).text == text


def test_lines_that_are_too_long_are_cut_and_counted():
    made = entry("a\n" + "x" * (LINE * 2) + "\nb")
    assert made.text == b"a\n" + b"x" * LINE + b"\nb\n"
    assert made.cut == 1


@pytest.mark.parametrize(
    ("fields", "stream"),
    [
        ({"_SYSTEMD_UNIT": "ssh.service", "_PID": "7"}, "journal/ssh.service"),
        ({"_SYSTEMD_UNIT": "init.scope", "_PID": "1", "UNIT": "ssh.service"}, "journal/ssh.service"),
        # What anybody may say of itself names nothing.
        ({"_SYSTEMD_UNIT": "session-1.scope", "_PID": "7", "UNIT": "ssh.service"}, "journal/session-1.scope"),
        ({"SYSLOG_IDENTIFIER": "ssh.service", "_TRANSPORT": "syslog"}, "journal/-"),
        ({"_TRANSPORT": "kernel"}, "journal/kernel"),
        ({"_SYSTEMD_UNIT": "user@1.service", "_SYSTEMD_USER_UNIT": "a.service"}, "journal/a.service"),
    ],
)
def test_a_stream_is_named_by_what_journald_knows(fields, stream):
    assert entry(**fields).stream == stream


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"{}", b'{"__CURSOR": "x", "__REALTIME_TIMESTAMP": "y"}'])
def test_what_is_no_entry_is_left_out(raw):
    assert entry_of(raw) is None


def test_lines_have_the_same_numbers_however_they_are_read():
    entries = [Entry(str(n), n, f"journal/{n // 3 % 2}", b"%d\n" % n) for n in range(100)]
    whole = list(Numbering("p").chunks(entries))
    numbering = Numbering("p")
    single = [chunk for one in entries for chunk in numbering.chunks([one])]

    def numbered(chunks):
        found = []
        for chunk in chunks:
            at = chunk.offset
            for line in chunk.text.splitlines(keepends=True):
                found.append((chunk.stream, at, line))
                at += len(line)
        return found

    assert numbered(whole) == numbered(single)
    assert len(numbered(whole)) == 100
    assert len(whole) == 34

    # Read again from 10: of stream 1 from 20 on, of others from 30 on.
    start = sum(len(one.text) for one in entries[:10])
    again = Numbering("p", start, {"journal/1": start + 20}, start + 30)
    assert numbered(again.chunks(entries[10:])) == [
        one for one in numbered(whole) if one[1] >= (start + 20 if one[0] == "journal/1" else start + 30)
    ]
