"""The stories among the examples, pushed with real git and played as their READMEs say, on the embedded Hermes and on
Consul: from what happens on a host to a remedy that is verified, or to a person."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from olympus.testing.cluster import OlympusProcess, eventually, free_port
from tests.flow.support import cli, example, incidents

SSHD = "Nov 26 10:00:00 web-1 sshd[712]: Failed password for root from {ip} port 4022{port} ssh2\n"


@pytest.fixture
def place(folder: Path) -> Path:
    """What an example's folder in /tmp is to everybody."""
    folder.chmod(0o777)
    return folder


def with_(files: dict[str, str], **changes: str) -> dict[str, str]:
    """The example, with other places and shorter times. A change that changes nothing is a mistake of the test."""
    for old, new in changes.items():
        assert any(old in text for text in files.values()), old
        files = {name: text.replace(old, new) for name, text in files.items()}
    return files


def ready(olympus: OlympusProcess, kind: str, name: str, reason: str) -> None:
    def so() -> bool:
        conditions = olympus.get(f"/api/v1/{kind}/{name}")["status"]["conditions"]
        return next(one for one in conditions if one["type"] == "Ready")["reason"] == reason

    eventually(so, what=f"{kind} {name} {reason}")


def becomes(olympus: OlympusProcess, state: str, key: str, *, count: int = 1) -> dict:
    """The newest incident of `key`, once `count` of them are in `state`."""

    def there() -> dict | None:
        found = [one for one in incidents(olympus, f"state={state}") if one["key"] == key]
        return found[0] if len(found) == count else None

    return eventually(there, within=30, what=f"{key} {state}")


def waiting(olympus: OlympusProcess, pipeline: str) -> dict:
    return eventually(
        lambda: next(iter(olympus.get(f"/api/v1/runs?pipeline={pipeline}&state=waiting")["items"]), None),
        what=f"{pipeline} waits for a yes",
    )


def remedies(incident: dict) -> list[tuple[str, bool | None]]:
    return [(one["pipeline"], one["verified"]) for one in incident["attempts"]]


def test_brute_force_guard(olympus, place):
    log, banned = place / "auth.log", place / "banned"
    log.touch()
    times = {"within: 10s": "within: 2s", "seconds: 30}": "seconds: 4}", "every: 5s": "every: 1s"}
    times |= {"at: 10s": "at: 2s", "at: 5s": "at: 1s"}  # Its rule tests are played at the push.
    olympus.push(with_(example("brute-force-guard"), **{"/tmp/olympus-guard": str(place)}, **times))
    ready(olympus, "logwatches", "sshd", "Watching")
    assert {one["metadata"]["name"] for one in olympus.get("/api/v1/assets")["items"]} == {"guests", "office"}
    assert "team-desk" in cli(olympus, "get", "assets")

    def attack(ip: str, times: int = 5) -> None:
        with log.open("a") as file:
            file.write("".join(SSHD.format(ip=ip, port=port) for port in range(times)))

    def blocked() -> list[str]:
        return [line.split()[0] for line in banned.read_text().splitlines()] if banned.exists() else []

    # Four are not enough, and a forger's line is none.
    attack("198.51.100.1", times=4)
    log.open("a").write("Nov 26 10:00:00 web-1 cron[1]: Failed password for x from 198.51.100.1 port 1\n")
    attack("203.0.113.7")
    eventually(lambda: "203.0.113.7" in blocked(), what="the stranger is blocked")
    resolved = becomes(olympus, "resolved", "203.0.113.7")
    assert remedies(resolved) == [("block-ip", True)]
    assert len(resolved["answers"]["lines"]) == 5
    assert "203.0.113.7" in resolved["unanswered"]["whose"]
    assert resolved["decisions"][-1]["because"].startswith("it stayed away; watch sshd on n1 is alive")
    # It is let in again.
    eventually(lambda: olympus.events("type=ssh.unblocked"), what="unblocked")
    assert olympus.events("type=ssh.unblocked")[0]["data"] == {"ips": ["203.0.113.7"]}
    assert blocked() == []

    # One that goes on: the next rung waits for a person, and others are blocked all the same.
    attack("198.51.100.9")
    becomes(olympus, "verifying", "198.51.100.9")
    attack("198.51.100.9")
    gate = waiting(olympus, "block-for-a-day")
    attack("203.0.113.8")
    becomes(olympus, "resolved", "203.0.113.8")
    cli(olympus, "approve", gate["id"])
    stopped = becomes(olympus, "resolved", "198.51.100.9")
    assert remedies(stopped) == [("block-ip", False), ("block-for-a-day", True)]
    assert "198.51.100.9" in blocked()

    # Ours is told, and not locked out; the guests within it are nobody's friends.
    attack("192.0.2.7")
    attack("192.0.2.200")
    eventually(lambda: olympus.events("type=owner.told"), what="the owner is told")
    becomes(olympus, "resolved", "192.0.2.200")
    assert [one["data"] for one in olympus.events("type=owner.told")] == [
        {"owner": "team-desk", "ip": "192.0.2.7"}
    ]
    assert {one["params"]["ip"] for one in olympus.get("/api/v1/runs?pipeline=block-ip")["items"]} == {
        "203.0.113.7",
        "203.0.113.8",
        "198.51.100.9",
        "192.0.2.200",
    }


def test_self_healing_web(olympus, place):
    page, served = place / "page.html", place / "site" / "index.html"
    page.write_text("<h1>Shop</h1>\n")
    changes = {"/tmp/olympus-web": str(place), "8781": str(free_port()), "within: 10s": "within: 3s"}
    olympus.push(with_(example("self-healing-web"), **changes))
    ready(olympus, "services", "web", "Healthy")
    ready(olympus, "checks", "front-page", "Passing")
    # Where it took long to start, it was mended once already.
    eventually(lambda: all(one["closedAt"] for one in incidents(olympus)), what="nothing to do")
    had = len(incidents(olympus))
    pid = olympus.get("/api/v1/services/web")["status"]["instances"][0]["pid"]

    served.unlink()
    resolved = becomes(olympus, "resolved", "n1", count=had + 1)
    assert remedies(resolved) == [("restart-web", True)]
    assert served.read_text() == page.read_text()
    assert olympus.get("/api/v1/services/web")["status"]["instances"][0]["pid"] != pid
    run = olympus.get(f"/api/v1/runs/{resolved['attempts'][0]['run']}")
    assert run["cause"]["kind"] == "incident"
    trigger = olympus.get(f"/api/v1/events/{run['cause']['event']}")
    assert (trigger["type"], trigger["data"]["check"]) == ("olympus.argos.check-failed", "front-page")
    assert "check 'front-page' failed" in cli(olympus, "explain", "run", run["id"])

    # Nothing to render: the restart does not help, a person is called.
    page.unlink()
    served.unlink()
    escalated = becomes(olympus, "escalated", "n1")
    assert escalated["attempts"][0]["verified"] is False
    paged = eventually(lambda: olympus.events("type=on-call.paged"), what="paged")
    assert paged[0]["data"]["about"].startswith("a restart of web did not help: status is 404")
    # Why somebody was called: the whole way from the failed check to the page.
    chain = olympus.get(f"/api/v1/explain?run={escalated['attempts'][1]['run']}")["chain"]
    assert [one["type"].removeprefix("olympus.") for one in chain] == [
        "argos.check-failed",
        "athena.incident-opened",
        "athena.decided",
        "athena.escalated",
        "hephaestus.run-started",
        "hephaestus.step-finished",
        "hephaestus.run-finished",
    ]
    assert chain[3]["says"].endswith("needs a person: 1 remedy did not help, there are no more")
    said = cli(olympus, "describe", "rule", "heal-web")
    assert f"remedy      restart-web: started {had + 2} times, helped {had + 1} times" in said
    said = cli(olympus, "describe", "incident", escalated["id"])
    assert "verify until check front-page state passing: false, check front-page: failing on n1" in said
    assert "succeeded: the last resort" in said


@pytest.fixture
def disk(place: Path) -> Iterator[Path]:
    """20 MB of its own, where we may mount them."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=20m,mode=777", "tmpfs", str(place)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(file: Path, megabytes: int) -> None:
    with file.open("wb") as out:
        out.write(bytes(megabytes << 20))


def test_disk_full(olympus, disk, tmp_path):
    cache, artifacts, log = disk / "cache", disk / "artifacts", tmp_path / "builder.log"
    for one in (cache, artifacts):
        one.mkdir()
        one.chmod(0o777)
    log.touch()
    changes = {
        "/tmp/olympus-disk": str(disk),
        "/tmp/olympus-builder.log": str(log),
        "within: 5s": "within: 3s",
    }
    olympus.push(with_(example("disk-full"), **changes))
    ready(olympus, "checks", "room", "Passing")
    ready(olympus, "logwatches", "builder", "Watching")

    fill(cache / "big", 19)
    resolved = becomes(olympus, "resolved", "n1")
    assert remedies(resolved) == [("clean-cache", True)]
    assert resolved["answers"]["host"]["alive"] is True
    assert list(cache.iterdir()) == []
    assert olympus.events("type=disk.cleaned")[0]["data"]["used_percent"] < 10

    # It is not the cache: what cannot be brought back is deleted once a person says so.
    for number, size in ((1, 8), (2, 8), (3, 3)):
        with log.open("a") as file:
            file.write("cc: build-3: No space left on device\n")
        fill(artifacts / f"build-{number}", size)
        os.utime(artifacts / f"build-{number}", (number, number))
    gate = waiting(olympus, "delete-old-artifacts")
    assert gate["cause"]["kind"] == "incident"
    assert len(list(artifacts.iterdir())) == 3
    cli(olympus, "approve", gate["id"])
    resolved = becomes(olympus, "resolved", "n1", count=2)
    assert remedies(resolved) == [("clean-cache", False), ("delete-old-artifacts", True)]
    assert [one["pipeline"] for one in resolved["answers"]["before"]] == ["clean-cache"]
    assert "No space left" in resolved["answers"]["said"][0]["line"]
    assert [one.name for one in artifacts.iterdir()] == ["build-3"]

    # A no ends the ladder.
    fill(artifacts / "build-4", 16)
    cli(olympus, "approve", waiting(olympus, "delete-old-artifacts")["id"], "--deny")
    escalated = becomes(olympus, "escalated", "n1")
    assert "rejected" in escalated["attempts"][1]["message"]
    paged = eventually(lambda: olympus.events("type=on-call.paged"), what="paged")
    assert paged[0]["data"]["about"] == "the disk of n1 is full, and no remedy helps"
    assert len(list(artifacts.iterdir())) == 2
