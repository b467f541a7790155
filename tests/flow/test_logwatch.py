"""A pushed LogWatch: lines become events, over rotation and a kill, each once."""

from __future__ import annotations

import os
import signal
import socket
import time
from urllib.parse import quote

from olympus.testing.cluster import eventually, free_port
from tests.flow.support import cli

WATCH = """
apiVersion: olympus/v1
kind: LogWatch
metadata: {{name: auth}}
spec:
  source: {source}
  match:
    - name: bad-login
      pattern: 'Failed password for (?P<user>\\S+) from (?P<ip>\\S+)'
      types: {{ip: ip}}
      severity: warning
"""


def matches(olympus):
    found, query = [], "/api/v1/events?type=olympus.argos.match&limit=1000"
    page = {"next": ""}
    while page["next"] is not None:
        page = olympus.get(query + (f"&cursor={quote(page['next'])}" if page["next"] else ""))
        found += page["items"]
    return [one["data"]["groups"]["user"] for one in sorted(found, key=lambda event: event["id"])]


def see(olympus, users):
    return eventually(lambda: matches(olympus) == users, what=f"matches of {users}")


def watching(olympus):
    status = olympus.get("/api/v1/logwatches/auth")["status"]
    return next(one for one in status["conditions"] if one["type"] == "Ready")["reason"] == "Watching"


def failed(user):
    return f"Nov 26 10:00:00 web sshd[7]: Failed password for {user} from 203.0.113.7 port 22 ssh2\n"


def test_lines_become_events_over_a_rotation_and_a_kill(olympus, tmp_path):
    log = tmp_path / "auth.log"
    log.write_text(failed("before"))
    olympus.push({"auth.yaml": WATCH.format(source=f"{{files: ['{tmp_path}/*.log']}}")})
    eventually(lambda: watching(olympus), what="the watch at work")

    with log.open("a") as file:
        file.write("nothing of interest\n" + failed("one"))
    see(olympus, ["one"])
    event = olympus.events("type=olympus.argos.match")[0]
    assert event["data"]["source"] == str(log)
    assert event["data"]["groups"] == {"user": "one", "ip": "203.0.113.7"}
    assert event["data"]["severity"] == "warning"
    assert event["node"] == "n1"
    unmatched = olympus.get("/api/v1/logwatches/auth/unmatched")
    assert unmatched["items"] == [{"node": "n1", "line": "nothing of interest", "count": 1}]
    assert "1      nothing of interest" in cli(olympus, "logs", "logwatch/auth")

    olympus.kill()
    with log.open("a") as file:
        file.write(failed("two"))
    log.rename(tmp_path / "auth.log.1")
    log.write_text(failed("three"))
    olympus.start()
    see(olympus, ["one", "two", "three"])

    olympus.push({}, "-o", "prune=confirm")
    with log.open("a") as file:
        file.write(failed("withdrawn"))
    eventually(lambda: olympus.get("/api/v1/logwatches")["items"] == [], what="the watch withdrawn")
    assert matches(olympus) == ["one", "two", "three"]


def test_lines_in_another_encoding_are_told_in_ours(olympus, tmp_path):
    log = tmp_path / "auth.log"
    log.touch()
    source = f"{{files: ['{log}'], encoding: iso-8859-2}}"
    olympus.push({"auth.yaml": WATCH.format(source=source).replace("password for", "jelszó:")})
    eventually(lambda: watching(olympus), what="the watch at work")
    lines = "őrült\n" + failed("Ödön").replace("password for", "jelszó:") * 2
    with log.open("ab") as file:
        file.write(lines.encode("iso-8859-2"))
    see(olympus, ["Ödön", "Ödön"])
    events = olympus.events("type=olympus.argos.match&order=asc")
    assert [event["data"]["offset"] for event in events] == [6, 6 + (len(lines) - 6) // 2]


def test_syslog_becomes_events_that_say_whose_lines_they_are_over_a_kill(olympus):
    port = free_port()
    source = f"{{syslog: {{listen: 'tcp://127.0.0.1:{port}'}}}}"
    olympus.push({"auth.yaml": WATCH.format(source=source)})
    eventually(lambda: watching(olympus), what="the watch at work")
    head = b'<38>1 2026-11-26T10:00:00Z gw-1 sshd 7 - [from@1 site="a"] '

    def say(user):
        with socket.create_connection(("127.0.0.1", port)) as sender:
            sender.sendall(head + f"Failed password for {user} from 203.0.113.7 port 22\n".encode())

    say("one")
    see(olympus, ["one"])
    event = olympus.events("type=olympus.argos.match")[0]
    assert event["data"]["source"] == "syslog/127.0.0.1/sshd"
    assert event["data"]["fields"] == {
        **{"peer": "127.0.0.1", "host": "gw-1", "app": "sshd", "pid": "7", "at": "2026-11-26T10:00:00Z"},
        **{"facility": "auth", "severity": "info", "data": {"from@1": {"site": "a"}}},
    }

    olympus.kill()
    olympus.start()
    eventually(lambda: watching(olympus) and connects(port), what="the watch at work")
    say("two")
    see(olympus, ["one", "two"])


def connects(port):
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return False
    return True


SERVICE = """
apiVersion: olympus/v1
kind: Service
metadata: {name: door}
spec:
  run:
    process:
      command:
        - sh
        - -c
        - >-
          n=0; while sleep 0.05; do n=$((n+1));
          echo "Failed password for $$x$n from 203.0.113.7"; done
---
"""


def test_output_of_a_service_becomes_events_over_kills_of_olympus_and_of_the_service(olympus):
    olympus.push({"door.yaml": SERVICE + WATCH.format(source="{service: door}")})

    def told():
        """Process → the numbers of its lines, in the order in which they were told."""
        found = {}
        for user in matches(olympus):
            process, _, number = user.partition("x")
            found.setdefault(process, []).append(int(number))
        return found

    def longer():
        before = sum(map(len, told().values()))
        eventually(lambda: sum(map(len, told().values())) > before + 10, what="more lines")

    longer()
    assert olympus.events("type=olympus.argos.match")[0]["data"]["source"] == "service/door"
    for _ in range(3):
        olympus.kill()
        time.sleep(0.2)
        olympus.start()
        longer()
    (first,) = told()
    os.kill(int(first), signal.SIGKILL)
    eventually(lambda: len(told()) == 2, what="lines of the service that was started anew")
    for numbers in told().values():
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert told()[next(process for process in told() if process != first)][0] == 1
