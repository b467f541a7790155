"""LogWatches of a real journal: units by any of their names, over kills and reboots, each line once."""

from __future__ import annotations

import pytest

from olympus.testing.cluster import eventually
from tests.cluster.support import OlympusOnHost

WATCH = """
apiVersion: olympus/v1
kind: LogWatch
metadata: {name: auth}
spec:
  source: {journal: {units: [door]}}
  match: [{name: bad-login, pattern: 'Failed password for (?P<user>\\S+) from (?P<ip>\\S+)', types: {ip: ip}}]
---
apiVersion: olympus/v1
kind: LogWatch
metadata: {name: traces}
spec:
  source: {journal: {units: [traced.service]}}
  multiline: {continuation: '^\\s'}
  match: [{name: trace, pattern: '^Traceback (?P<number>\\d+)\\n(?s:.*)  at the end$'}]
"""
TRACED = "[Service]\nExecStartPre=/bin/mkfifo /run/traced\nExecStart=/bin/sh -c 'exec cat <>/run/traced'\n"
UNIT = "[Service]\nType=oneshot\nExecStart=/bin/cat /run/said\n[Install]\nAlias=door.service\n"


@pytest.fixture(scope="module")
def olympus(lab):
    made = OlympusOnHost(lab.boot("h1"))
    made.host.path("/etc/systemd/system/house.service").write_text(UNIT)
    made.host.path("/etc/systemd/system/traced.service").write_text(TRACED)
    made.host.run("systemctl", "daemon-reload")
    made.host.run("systemctl", "enable", "house.service")
    made.start()
    say(made, "house", failed("before"))
    made.push({"watches.yaml": WATCH})
    eventually(lambda: watching(made), what="the watches at work")
    return made


def failed(user):
    return f"Failed password for {user} from 203.0.113.7 port 22\n"


def say(olympus, unit, text):
    """As the unit's own output."""
    olympus.host.run("sh", "-c", 'printf %s "$1" >/run/said', "sh", text)
    olympus.host.run("systemctl", "start", unit)


def write(olympus, text):
    """As output of the unit that goes on running."""
    olympus.host.run("sh", "-c", 'printf %s "$1" >/run/traced', "sh", text)


def watching(olympus):
    items = olympus.get("/api/v1/logwatches")["items"]
    ready = [one for item in items for one in item["status"]["conditions"] if one["type"] == "Ready"]
    return [one["reason"] for one in ready] == ["Watching"] * 2


def matches(olympus, group, watch):
    events = olympus.events("type=olympus.argos.match&limit=1000")
    return sorted(e["data"]["groups"][group] for e in events if e["data"]["watch"] == watch)


def kill(olympus):
    """By SIGKILL; systemd starts it anew, at once."""
    olympus.host.run("systemctl", "kill", "--signal=KILL", "--kill-whom=main", "olympus")
    olympus.host.run("systemctl", "reset-failed", "olympus")
    olympus.host.run("systemctl", "start", "olympus")


def test_lines_of_a_unit_become_events_and_others_forge_none(olympus):
    say(olympus, "house", "nothing\n" + failed("one") + failed("two\u00e9"))
    olympus.host.run("sh", "-c", f"echo '{failed('forged').strip()}' | systemd-cat -t house.service")
    say(olympus, "house", failed("three"))
    eventually(
        lambda: matches(olympus, "user", "auth") == ["one", "three", "two\u00e9"],
        what="the lines of the unit",
    )
    event = olympus.events("type=olympus.argos.match")[0]
    assert event["data"]["source"] == "journal/house.service"


def test_each_line_is_told_once_over_kills_and_a_reboot(olympus):
    expected = set(matches(olympus, "user", "auth"))
    for number in range(12):
        text = "".join(failed(f"u{number}x{one}") for one in range(20))
        expected |= {f"u{number}x{one}" for one in range(20)}
        say(olympus, "house", text)
        if number % 2:
            kill(olympus)
        if number % 4 == 1:
            eventually(olympus.ready, what="Olympus is ready")
        if number == 6:
            # It is down while a line is logged, and the host boots anew.
            olympus.stop()
            say(olympus, "house", failed("while-down"))
            olympus.host.run("journalctl", "--sync")
            olympus.host.off()
            olympus.host.on()
            expected.add("while-down")
    eventually(olympus.ready, what="Olympus is ready")
    eventually(lambda: len(matches(olympus, "user", "auth")) >= len(expected), within=60, what="all lines")
    assert matches(olympus, "user", "auth") == sorted(expected)


def test_nobody_follows_the_journal_for_one_that_is_gone(olympus):
    def followers():
        return int(olympus.host.run("sh", "-c", "pgrep -xc journalctl || true"))

    eventually(lambda: followers() == 2, what="one for each watch")
    kill(olympus)
    eventually(lambda: followers() == 2 and olympus.ready(), what="no more than one for each watch")


def test_a_record_of_several_lines_is_one_over_a_kill(olympus):
    eventually(olympus.ready, what="Olympus is ready")
    olympus.host.run("systemctl", "start", "traced")
    for number in range(5):
        write(olympus, f"Traceback {number}\n  in a\n")
        if number % 2:
            kill(olympus)
        write(olympus, "  in b\n  at the end\n")
        eventually(olympus.ready, what="Olympus is ready")
        told = [str(one) for one in range(number + 1)]
        eventually(lambda: matches(olympus, "number", "traces") == told, within=60, what="it is told")  # noqa: B023


def test_what_was_vacuumed_unread_is_told_as_lost(olympus):
    eventually(olympus.ready, what="Olympus is ready")
    olympus.stop()
    say(olympus, "house", failed("vacuumed"))
    olympus.host.run("sh", "-c", "journalctl --rotate && journalctl --vacuum-size=1 --vacuum-time=1us")
    say(olympus, "house", failed("kept"))
    olympus.start()
    eventually(lambda: "kept" in matches(olympus, "user", "auth"), within=60, what="what came afterwards")
    lost = [
        one["data"]
        for one in olympus.events("type=olympus.argos.lines-lost")
        if one["data"]["watch"] == "auth"
    ]
    assert [one["reason"] for one in lost] == ["the journal was vacuumed before it was read to its end"]
    assert "vacuumed" not in matches(olympus, "user", "auth")
