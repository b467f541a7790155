"""Syslog messages: the examples of RFC 5424 and RFC 3164, what today's senders write, and what is meant to hurt."""

from __future__ import annotations

import time

import pytest

from olympus.argos.syslog_messages import app_of, fields_of, head_of


def read(message):
    head = head_of(message)
    return app_of(head), message[head.end() :], fields_of(head)


@pytest.mark.parametrize(
    ("message", "app", "text", "fields"),
    [
        (  # RFC 5424, 6.5, example 1
            b"<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - \xef\xbb\xbf'su root' failed",
            *("su", b"'su root' failed"),
            {"host": "mymachine.example.com", "id": "ID47", "facility": "auth", "severity": "crit"},
        ),
        (  # example 3, with what has to be escaped
            b'<165>1 2003-10-11T22:14:15.003Z h evntslog - I4 [example@32473 iut="3" a="\\"li\\]c\\\\"][e@1] An app',
            *("evntslog", b"An app"),
            {"data": {"example@32473": {"iut": "3", "a": '"li]c\\'}, "e@1": {}}, "severity": "notice"},
        ),
        (  # example 4: nothing but data
            b'<165>1 2003-10-11T22:14:15.003Z h evntslog - ID47 [a@1 b="c"]',
            *("evntslog", b""),
            {"data": {"a@1": {"b": "c"}}},
        ),
        (b"<0>1 - - - - - - text", "-", b"text", {"facility": "kern", "severity": "emerg"}),
        (b'<34>1 - h app 1 - [broken x="1] text', "app", b'[broken x="1] text', {"pid": "1"}),
        (  # RFC 3164, 5.4, example 1
            b"<34>Oct 11 22:14:15 mymachine su: 'su root' failed for lonvick on /dev/pts/8",
            *("su", b"'su root' failed for lonvick on /dev/pts/8"),
            {"host": "mymachine", "at": "Oct 11 22:14:15", "facility": "auth", "severity": "crit"},
        ),
        # example 2: no form at all
        (b"Use the BFG!", "-", b"Use the BFG!", {}),
        (b"<13>Nov  6 10:00:00 sshd[12]: Failed", "sshd", b"Failed", {"pid": "12"}),
        (
            b"<13>2026-11-26T10:00:00.1+01:00 web-1 nginx[3]: GET",
            "nginx",
            b"GET",
            {"host": "web-1", "pid": "3"},
        ),
        (b"<13>Nov 26 10:00:00 fe80::1 app: x", "app", b"x", {"host": "fe80::1"}),
        (b"<13>Nov 26 10:00:00 web kernel: [12.3] x", "kernel", b"[12.3] x", {"host": "web"}),
        (
            b"<189>Mar  1 00:00:01 r1 %LINK-3-UPDOWN: down",
            "-",
            b"down",
            {"app": "%LINK-3-UPDOWN", "host": "r1"},
        ),
        # Without a time, a word and a colon may well be text.
        (b"<13>error: disk full", "-", b"error: disk full", {"facility": "user", "severity": "notice"}),
        (b"<999>text", "-", b"text", {}),
        (b"<13>Nov 26 10:00:00 h ../../etc: x", "-", b"x", {"app": "../../etc"}),
    ],
)
def test_the_frame_is_taken_off_and_kept(message, app, text, fields):
    found = read(message)
    assert found[:2] == (app, text)
    assert fields.items() <= found[2].items()


def test_what_nobody_said_is_not_there():
    assert read(b"<13>text")[2].keys() == {"facility", "severity"}
    assert read(b"<13>1 - - - - - - text")[2].keys() == {"facility", "severity"}


@pytest.mark.parametrize(
    "message",
    [
        b"<1>1 a b c d e [" + b'x a="' * 13000,
        b"<1>1 a b c d e " + b'[x a="b"]' * 7000 + b"[",
        b"<1>1 a b c d e [x" + b" " * 64000,
        b'<1>1 a b c d e [x a="' + b"\\\\" * 32000,
        b"<1>1 " + b"a" * 64000,
        b"<1>" + b" " * 64000,
        b"<13>Nov 26 10:00:00 " + b":" * 64000,
        b"<13>Nov 26 10:00:00 " + b"a" * 64000,
        bytes(range(256)) * 250,
    ],
)
def test_what_is_meant_to_hurt_is_read_in_linear_time_and_loses_no_text(message):
    begin = time.process_time()
    for _ in range(10):
        _, text, _ = read(message)
    # Anything but linear takes minutes.
    assert time.process_time() - begin < 2
    assert message.endswith(text)
