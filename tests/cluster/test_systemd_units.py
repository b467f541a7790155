"""Services that are units of a real systemd."""

from __future__ import annotations

import pytest

from olympus.testing.cluster import eventually
from tests.cluster.support import OlympusOnHost


@pytest.fixture(scope="module")
def olympus(lab):
    made = OlympusOnHost(lab.boot("h1"))
    made.start()
    return made


def service(name, *, run="", spec=""):
    run = run or f"unit: {name}.service, file: units/{name}.service, enable: true"
    return f"""
apiVersion: olympus/v1
kind: Service
metadata: {{name: {name}}}
spec:
  run: {{systemd: {{{run}}}}}
{spec}"""


def process(name, seconds):
    run = f"run: {{process: {{command: [sleep, '{seconds}']}}}}"
    return f"apiVersion: olympus/v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{{run}}}\n"


def unit(start, more=""):
    return f"[Service]\nExecStart={start}\n{more}\n[Install]\nWantedBy=multi-user.target\n"


def specs(name, content, **more):
    return {f"{name}.yaml": service(name, **more), f"units/{name}.service": content}


def shown(olympus, name, *properties):
    """What systemd says of a unit, in the order asked for."""
    said = olympus.host.run("systemctl", "show", f"--property={','.join(properties)}", name)
    values = dict(line.split("=", 1) for line in said.splitlines())
    return tuple(values[one] for one in properties)


def command(olympus, pid):
    return olympus.host.path(f"/proc/{pid}/cmdline").read_text().split("\0")[:-1]


def told(olympus, name):
    events = olympus.events("type=olympus.zeus.*&limit=1000")
    return [e["type"].rpartition(".")[2] for e in events if e["data"].get("service") == name]


def up(one):
    return one["state"] == "running" and one["healthy"]


def test_a_unit_from_the_specs_is_enabled_and_started(olympus):
    assert "applied" in olympus.push(specs("one", unit("/bin/sleep 1001")))
    one = olympus.instance("one", up)
    assert shown(olympus, "one", "MainPID", "ActiveState", "UnitFileState") == (
        str(one["pid"]),
        "active",
        "enabled",
    )
    assert "h1 running" in olympus.cli("get", "service", "one")


def test_a_changed_unit_file_is_loaded_and_the_unit_restarted_once(olympus):
    olympus.push(specs("change", unit("/bin/sleep 1002")))
    before = olympus.instance("change", up)
    olympus.push(specs("change", unit("/bin/sleep 1003", "Nice=5")))
    after = olympus.instance("change", lambda one: up(one) and one["pid"] != before["pid"])
    assert command(olympus, after["pid"]) == ["/bin/sleep", "1003"]
    assert shown(olympus, "change", "NeedDaemonReload", "Nice") == ("no", "5")
    assert after["restarts"] == 0
    assert told(olympus, "change") == []


def test_a_removed_spec_takes_its_unit_along(olympus):
    olympus.push(specs("gone", unit("/bin/sleep 1004")))
    olympus.instance("gone", up)
    olympus.push(specs("stays", unit("/bin/sleep 1005")))
    eventually(lambda: shown(olympus, "gone", "LoadState") == ("not-found",), what="no such unit")
    assert not olympus.host.path("/etc/systemd/system/gone.service").exists()
    assert not olympus.host.path("/etc/systemd/system/multi-user.target.wants/gone.service").is_symlink()
    assert olympus.ask("GET", "/api/v1/services/gone").status == 404


def test_a_killed_unit_and_one_stopped_by_hand_come_back(olympus):
    olympus.push(specs("phoenix", unit("/bin/sleep 1006")))
    first = olympus.instance("phoenix", up)
    olympus.host.run("kill", "-KILL", str(first["pid"]))
    second = olympus.instance("phoenix", lambda one: up(one) and one["pid"] != first["pid"])
    assert second["lastExit"]["code"] == -9
    olympus.host.run("systemctl", "stop", "phoenix")
    third = olympus.instance(
        "phoenix", lambda one: up(one) and one["pid"] not in (first["pid"], second["pid"])
    )
    assert third["restarts"] == 2
    assert "service-failed" in told(olympus, "phoenix")


def test_a_crash_loop_is_told_with_its_exit_code(olympus):
    policy = "  restart: {attempts: 2, within: 1m, delay: 100ms, max: 5s}\n"
    olympus.push(specs("crash", unit("/bin/sh -c 'exit 7'"), spec=policy))
    olympus.instance("crash", lambda one: one["state"] == "crashlooping")
    assert told(olympus, "crash").count("service-crashlooping") == 1
    (ready,) = [
        c for c in olympus.get("/api/v1/services/crash")["status"]["conditions"] if c["type"] == "Ready"
    ]
    assert ready["reason"] == "CrashLooping"
    assert "exit code 7" in ready["message"]
    assert "CrashLooping" in olympus.cli("get", "service", "crash")
    olympus.push(specs("crash", unit("/bin/sleep 1007"), spec=policy))
    olympus.instance("crash", up)


def test_why_a_unit_can_not_start_is_said(olympus):
    policy = "  restart: {attempts: 1, within: 1m, delay: 100ms, max: 5s}\n"
    files = specs("absent", unit("/usr/bin/no-such-program"), spec=policy)
    files |= specs("unknown", "", run="unit: never-heard-of.service", spec=policy)
    olympus.push(files)
    absent = olympus.instance("absent", lambda one: one["state"] == "crashlooping")
    assert "its program can not be executed" in absent["message"]
    unknown = olympus.instance("unknown", lambda one: one["state"] == "crashlooping")
    assert "not found" in unknown["message"]
    assert "never-heard-of" in olympus.cli("describe", "service", "unknown")


def test_a_unit_whose_check_fails_is_restarted(olympus):
    check = "  checks: [{command: [test, -e, /run/well], every: 200ms, timeout: 2s, failures: 2}]\n"
    olympus.host.path("/run/well").touch()
    olympus.push(specs("ill", unit("/bin/sleep 1008"), spec=check))
    before = olympus.instance("ill", up)
    olympus.host.path("/run/well").unlink()
    failed = olympus.instance("ill", lambda one: one["pid"] not in (None, before["pid"]))
    olympus.host.path("/run/well").touch()
    olympus.instance("ill", up)
    assert failed["restarts"] >= 1
    failure = next(
        e for e in olympus.events("type=olympus.zeus.service-failed&limit=1000") if e["subject"] == "ill"
    )
    assert "command test: exit code 1" in failure["data"]["reason"]


def test_a_unit_that_restarts_itself_is_not_started_twice(olympus):
    content = unit("/bin/sleep 1009", "Restart=always\nRestartSec=100ms")
    olympus.push(specs("itself", content))
    before = olympus.instance("itself", up)
    olympus.host.run("kill", "-KILL", str(before["pid"]))
    after = olympus.instance("itself", lambda one: up(one) and one["pid"] != before["pid"])
    assert shown(olympus, "itself", "MainPID") == (str(after["pid"]),)
    starts = olympus.host.run("journalctl", "-u", "itself", "-o", "cat", "--no-pager").count("Started itself")
    assert starts == 2


def test_a_unit_without_a_process_is_watched_too(olympus):
    oneshot = unit("/bin/touch /run/mark", "Type=oneshot\nRemainAfterExit=yes\nExecStop=/bin/rm /run/mark")
    timer = "[Timer]\nOnCalendar=yearly\nUnit=once.service\n"
    files = specs("once", oneshot)
    files["t.yaml"] = service("clock", run="unit: clock.timer, file: units/clock.timer")
    files["units/clock.timer"] = timer
    olympus.push(files)
    assert olympus.instance("once", up)["pid"] is None
    olympus.instance("clock", up)
    mark = olympus.host.path("/run/mark")
    assert mark.exists()
    olympus.host.run("systemctl", "stop", "once.service", "clock.timer")
    assert not mark.exists()
    eventually(mark.exists, what="once again")
    olympus.instance("clock", lambda one: up(one) and one["restarts"] == 1)
    assert shown(olympus, "clock.timer", "ActiveState") == ("active",)


def test_olympus_finds_its_units_again_and_restarts_none(olympus):
    files = specs("kept", unit("/bin/sleep 1010"))
    files |= specs("still", unit("/bin/true", "Type=oneshot\nRemainAfterExit=yes"))
    files |= specs("left", unit("/bin/sleep 1011"))
    files["p.yaml"] = process("own", 1012)
    olympus.push(files)
    names = ("kept", "still", "left", "own")
    before = {name: olympus.instance(name, up) for name in names}
    entered = shown(olympus, "still", "ActiveEnterTimestampMonotonic")
    olympus.stop()
    del files["left.yaml"], files["units/left.service"]
    assert "applies when Olympus starts" in olympus.push(files)
    olympus.start()
    eventually(
        lambda: shown(olympus, "left", "LoadState") == ("not-found",), what="what was withdrawn is gone"
    )
    for name in ("kept", "still", "own"):
        after = olympus.instance(name, up)
        assert (after["pid"], after["restarts"], after["since"]) == (
            before[name]["pid"],
            0,
            before[name]["since"],
        )
    assert shown(olympus, "still", "ActiveEnterTimestampMonotonic") == entered
    assert "left" not in {one["metadata"]["name"] for one in olympus.get("/api/v1/services")["items"]}


def test_another_unit_or_a_process_in_its_place_leaves_nothing_behind(olympus):
    olympus.push(specs("swap", unit("/bin/sleep 1013")))
    first = olympus.instance("swap", up)
    run = "unit: other.service, file: units/swap.service"
    olympus.push(specs("swap", unit("/bin/sleep 1014"), run=run))
    second = olympus.instance("swap", lambda one: up(one) and one["pid"] != first["pid"])
    assert shown(olympus, "other", "MainPID") == (str(second["pid"]),)
    assert shown(olympus, "swap", "LoadState") == ("not-found",)
    own = process("swap", 1015)
    olympus.push({"swap.yaml": own})
    third = olympus.instance("swap", lambda one: up(one) and one["pid"] != second["pid"])
    assert shown(olympus, "other", "LoadState") == ("not-found",)
    olympus.push(specs("swap", unit("/bin/sleep 1016")))
    olympus.instance("swap", lambda one: up(one) and one["pid"] != third["pid"])
    assert not olympus.host.path(f"/proc/{third['pid']}").exists()


def test_a_unit_that_ran_before_it_was_declared_goes_on(olympus):
    olympus.host.path("/etc/systemd/system/packaged.service").write_text(unit("/bin/sleep 1017"))
    olympus.host.run("systemctl", "daemon-reload")
    olympus.host.run("systemctl", "start", "packaged")
    (pid,) = shown(olympus, "packaged", "MainPID")
    olympus.push({"a.yaml": service("packaged", run="unit: packaged.service")})
    assert str(olympus.instance("packaged", up)["pid"]) == pid
    olympus.push({"a.yaml": service("unrelated", run="unit: dbus.service")})
    eventually(
        lambda: shown(olympus, "packaged", "ActiveState") == ("inactive",), what="stopped when withdrawn"
    )
    assert olympus.host.path("/etc/systemd/system/packaged.service").exists()


def test_a_unit_file_changed_by_hand_is_healed(olympus):
    content = unit("/bin/sleep 1018")
    olympus.push(specs("drift", content))
    before = olympus.instance("drift", up)
    file = olympus.host.path("/etc/systemd/system/drift.service")
    file.write_text(content.replace("1018", "1"))
    eventually(lambda: file.read_text() == content, within=60, what="healed")
    eventually(lambda: "healed" in told(olympus, "drift"), what="told")
    assert olympus.instance("drift", up)["pid"] == before["pid"]


def test_a_host_that_is_switched_off_and_on_again_runs_what_it_ran(olympus):
    files = specs("reborn", unit("/bin/sleep 1019"))
    files["p.yaml"] = process("own", 1020)
    olympus.push(files)
    before = {name: olympus.instance(name, up)["identity"] for name in ("reborn", "own")}
    olympus.host.off()
    olympus.host.on()
    olympus.start()
    for name, identity in before.items():
        after = olympus.instance(name, lambda one, old=identity: up(one) and one["identity"] != old)
        assert after["identity"]["bootId"] != identity["bootId"]
