"""One service's life on a virtual clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from olympus.host.process import Identity
from olympus.records.desired import (
    BlobRef,
    FileSpec,
    HealthCheck,
    InstanceSpec,
    ProcessRun,
    RestartPolicy,
    SystemdRun,
)
from olympus.records.instance import Instance
from olympus.zeus.steward.core import decide
from olympus.zeus.steward.model import (
    Checked,
    DependenciesChanged,
    Desired,
    Due,
    Exited,
    Forget,
    Reload,
    Removed,
    Start,
    Started,
    StartFailed,
    Stop,
    Tell,
    WakeAt,
    Watch,
    WriteFiles,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def spec(*command: str, **more) -> InstanceSpec:
    run = ProcessRun(command=command or ("sleep", "1"))
    return InstanceSpec(service="web", process=run, **more).sealed()


class Life:
    """Drives the core as the service does, and remembers what it wanted."""

    def __init__(self, wanted: InstanceSpec, **more) -> None:
        self.now, self.state, self.wake, self.pid = NOON, None, None, 100
        self.told: list[tuple[str, str]] = []
        self.starts = self.stops = 0
        self.tell(Desired(wanted, node="n1", **more))

    @property
    def record(self) -> Instance:
        return self.state.record

    @property
    def identity(self) -> Identity:
        return Identity("boot", self.pid, 1)

    def tell(self, fact) -> list:
        decision = decide(self.state, fact, self.now)
        self.state = decision.state
        for effect in decision.effects:
            if isinstance(effect, WakeAt):
                self.wake = effect.when
            elif isinstance(effect, Start):
                self.starts += 1
            elif isinstance(effect, Stop):
                self.stops += 1
            elif isinstance(effect, Tell):
                self.told.append((effect.what, effect.reason))
        return list(decision.effects)

    def up(self) -> None:
        self.pid += 1
        self.tell(Started(self.identity))

    def die(self, code: int = 1) -> None:
        self.tell(Exited(code, self.state.identity))

    def later(self, seconds: float) -> None:
        end = self.now + timedelta(seconds=seconds)
        while self.wake is not None and self.wake <= end:
            self.now = self.wake
            self.tell(Due())
        self.now = end


def test_without_checks_executed_is_running():
    life = Life(spec())
    assert (life.starts, life.record.state) == (1, "starting")
    life.up()
    assert (life.record.state, life.record.healthy, life.record.restarts) == ("running", True, 0)
    assert life.told == []


def test_the_first_of_a_burst_is_at_once_and_then_the_delay_doubles():
    life = Life(spec(restart=RestartPolicy(attempts=10, delay=1.0, max=60.0)))
    waits = []
    for _ in range(6):
        life.up()
        life.now += timedelta(milliseconds=100)
        life.die()
        waits.append((life.wake - life.now).total_seconds() if life.wake else 0.0)
        if life.wake:
            assert life.record.state == "backoff"
            life.later((life.wake - life.now).total_seconds())
    assert waits[0] == 0.0
    for wait, wanted in zip(waits[1:], [1, 2, 4, 8, 16], strict=True):
        assert 0.9 * wanted <= wait <= 1.1 * wanted
    assert life.record.restarts == 5
    assert {what for what, _ in life.told} == {"service-failed"}


def test_ten_stable_seconds_end_the_burst():
    life = Life(spec())
    for _ in range(4):
        life.up()
        life.later(10)
        life.die()
        assert life.starts
        assert life.record.state == "starting"


def test_after_its_attempts_it_crashloops_once_said_and_is_tried_every_max():
    life = Life(spec(restart=RestartPolicy(attempts=3, within=600, delay=0.5, max=30.0)))
    for _ in range(8):
        life.up()
        life.die(3)
        if life.wake:
            life.later((life.wake - life.now).total_seconds())
    assert [what for what, _ in life.told] == ["service-failed"] * 3 + ["service-crashlooping"]
    assert life.record.state == "crashlooping"
    assert "exit code 3" in life.record.message
    before = life.now
    life.up()
    life.die()
    assert life.wake - before == timedelta(seconds=30)


def test_a_crashlooping_service_that_stays_up_recovers_and_says_so():
    life = Life(spec(restart=RestartPolicy(attempts=1, delay=0.1, max=5.0)))
    for _ in range(3):
        life.up()
        life.die()
        life.later(5)
    assert life.record.state == "crashlooping"
    life.up()
    life.later(9)
    assert life.record.state == "crashlooping"
    life.later(2)
    assert life.record.state == "running"
    assert life.told[-1][0] == "service-recovered"


def test_with_checks_it_runs_when_they_pass_and_is_ended_when_they_fail():
    life = Life(spec(checks=(HealthCheck(http="http://x/", failures=2), HealthCheck(tcp="x:1", failures=2))))
    life.up()
    assert (life.record.state, life.record.healthy) == ("starting", None)
    life.tell(Checked(0, True))
    assert life.record.state == "starting"
    life.tell(Checked(1, True))
    assert (life.record.state, life.record.healthy) == ("running", True)
    life.tell(Checked(0, False, "no answer"))
    assert life.record.state == "running"
    life.tell(Checked(0, False, "no answer"))
    assert (life.stops, life.record.healthy, life.record.reason) == (1, False, "CheckFailed")
    life.tell(Exited(-9, life.identity))
    assert life.told[0] == ("service-failed", "http http://x/: no answer")
    assert life.starts == 2


def test_it_waits_for_what_it_depends_on():
    life = Life(spec(depends_on=("db",)), ready=False)
    assert (life.starts, life.record.reason) == (0, "DependencyNotReady")
    life.tell(DependenciesChanged(True))
    assert life.starts == 1


def test_a_change_of_what_runs_restarts_it_without_counting_as_failure():
    life = Life(spec())
    life.up()
    life.tell(Desired(spec("sleep", "2"), node="n1"))
    assert life.stops == 1
    life.tell(Exited(-15, life.identity))
    life.up()
    assert (life.starts, life.record.restarts, life.record.state, life.told) == (2, 0, "running", [])


def test_what_changed_while_it_was_started_is_put_into_effect_then():
    life = Life(spec("sleep", "1"))
    life.tell(Desired(spec("sleep", "2"), node="n1"))
    assert (life.starts, life.stops) == (1, 0)
    life.up()
    assert (life.stops, life.record.generation) == (1, spec("sleep", "1").generation)
    life.tell(Exited(-15, life.identity))
    life.up()
    assert (life.starts, life.stops, life.record.generation) == (2, 1, spec("sleep", "2").generation)


@pytest.mark.parametrize("how", [{"stop": True}, {"drain": True}, None])
def test_what_is_withdrawn_while_it_is_started_is_stopped_then(how):
    life = Life(spec())
    life.tell(Removed() if how is None else Desired(spec().model_copy(update=how), node="n1"))
    life.up()
    assert life.stops == 1


def test_it_is_stopped_as_what_it_was_started_as():
    life = Life(spec())
    life.up()
    unit = InstanceSpec(service="web", systemd=SystemdRun(unit="web.service")).sealed()
    (stop,) = (e for e in life.tell(Desired(unit, node="n1")) if isinstance(e, Stop))
    assert stop.spec == spec()


def test_changed_checks_are_asked_from_now_on():
    old, new = (spec(checks=(HealthCheck(tcp=f"x:{port}", failures=2),)) for port in (1, 2))
    life = Life(old)
    life.up()
    life.tell(Checked(0, True))
    effects = life.tell(Desired(new, node="n1"))
    assert Watch(new, life.identity) in effects
    assert (life.stops, life.record.healthy, life.record.checks[0].name) == (0, True, "tcp x:2")
    life.tell(Checked(0, False, "no"))
    life.tell(Checked(0, False, "no"))
    assert life.stops == 1


def test_a_service_whose_checks_are_withdrawn_runs():
    life = Life(spec(checks=(HealthCheck(tcp="x:1"),)))
    life.up()
    assert life.record.state == "starting"
    life.tell(Desired(spec(), node="n1"))
    assert (life.record.state, life.record.healthy, life.stops) == ("running", True, 0)


def test_another_program_is_not_blamed_for_the_crash_loop_before_it():
    life = Life(spec(restart=RestartPolicy(attempts=1, delay=0.1, max=30.0)))
    for _ in range(3):
        if life.state.phase == "spawning":
            life.up()
            life.die()
        life.later(1)
    assert life.record.state == "crashlooping"
    life.tell(Desired(spec("sleep", "2"), node="n1"))
    life.up()
    assert (life.record.state, life.record.healthy) == ("running", True)


def file(content: str, on_change: str) -> FileSpec:
    return FileSpec(path="/etc/x", content=BlobRef(digest=content, size=1), on_change=on_change)


@pytest.mark.parametrize(
    ("on_change", "effect"), [("reload", Reload), ("none", WriteFiles), ("restart", Stop)]
)
def test_a_changed_file_is_brought_as_its_on_change_says(on_change, effect):
    life = Life(spec(files=(file("a", on_change),)))
    life.up()
    effects = life.tell(Desired(spec(files=(file("b", on_change),)), node="n1"))
    assert [type(e) for e in effects if isinstance(e, Reload | WriteFiles | Stop)] == [effect]


def test_files_of_a_suspended_service_are_left_alone_until_it_is_resumed():
    life = Life(spec(files=(file("a", "none"),)))
    life.up()
    changed = spec(files=(file("b", "none"),))
    held = life.tell(Desired(changed.model_copy(update={"suspended": True}), node="n1"))
    assert not any(isinstance(e, WriteFiles | Reload) for e in held)
    assert any(isinstance(e, WriteFiles) for e in life.tell(Desired(changed, node="n1")))


def test_a_restart_token_restarts_once():
    life = Life(spec())
    life.up()
    wanted = spec().model_copy(update={"restart_token": "t1"})
    life.tell(Desired(wanted, node="n1"))
    assert life.stops == 1
    life.tell(Exited(-15, life.identity))
    life.up()
    life.tell(Desired(wanted, node="n1"))
    assert (life.stops, life.starts, life.record.restart_token) == (1, 2, "t1")


@pytest.mark.parametrize(("field", "reason"), [("stop", "Stopped"), ("drain", "Drained")])
def test_stop_and_drain_end_stopped_and_stay_so(field, reason):
    life = Life(spec())
    life.up()
    life.tell(Desired(spec().model_copy(update={field: True}), node="n1"))
    life.tell(Exited(-15, life.identity))
    assert (life.record.state, life.record.reason, life.record.pid) == ("stopped", reason, None)
    life.later(1000)
    assert life.starts == 1
    life.tell(Desired(spec(), node="n1"))
    assert life.starts == 2


@pytest.mark.parametrize("how", [{"manage": False}, {"suspended": True}])
def test_observed_and_suspended_services_are_left_alone(how):
    wanted = spec()
    life = Life(wanted)
    life.up()
    if "suspended" in how:
        life.tell(Desired(wanted.model_copy(update=how), node="n1"))
    else:
        life.tell(Desired(wanted, node="n1", **how))
    life.die()
    life.later(1000)
    assert (life.starts, life.record.state) == (1, "stopped")


def test_what_survived_our_restart_is_adopted_as_it_was():
    before = Life(spec())
    before.up()
    life = Life(spec(), adopted=before.identity, adopted_since=NOON, known=before.record)
    assert (life.starts, life.record.state, life.record.pid) == (0, "running", before.record.pid)
    assert life.record.since == before.record.since


def test_a_removed_service_is_ended_and_forgotten():
    life = Life(spec())
    life.up()
    life.tell(Removed())
    assert life.stops == 1
    effects = life.tell(Exited(-15, life.identity))
    assert life.state is None
    assert Forget() in effects


def test_an_exit_of_a_process_before_is_no_exit_of_this_one():
    life = Life(spec())
    life.up()
    old = life.identity
    life.die()
    life.up()
    life.tell(Exited(1, old))
    assert life.record.state == "running"


FACTS = st.sampled_from(
    [
        "up",
        "fail",
        "exit",
        "exit0",
        "ok",
        "bad",
        "stop",
        "go",
        "change",
        "token",
        "suspend",
        "later",
        "minute",
    ]
)


@given(st.lists(FACTS, max_size=60))
def test_there_are_never_two_processes_and_a_stop_always_ends_stopped(facts):  # noqa: PLR0912 - a fact each
    checks = (HealthCheck(tcp="x:1", failures=2),)
    life = Life(spec(checks=checks))
    running, changes = 0, 0
    wanted = spec(checks=checks)
    for fact in facts:
        starts, stops = life.starts, life.stops
        match fact:
            case "up" if life.state.phase == "spawning":
                life.up()
                running += 1
            case "fail" if life.state.phase == "spawning":
                life.tell(StartFailed("no"))
            case "exit" | "exit0" if running:
                life.tell(Exited(0 if fact == "exit0" else 1, life.state.identity))
                running -= 1
            case "ok" | "bad":
                life.tell(Checked(0, fact == "ok", "said"))
            case "stop" | "go" | "suspend":
                wanted = wanted.model_copy(update={"stop": fact == "stop", "suspended": fact == "suspend"})
                life.tell(Desired(wanted, node="n1"))
            case "change" | "token":
                changes += 1
                if fact == "change":
                    wanted = spec("sleep", str(changes), checks=checks)
                else:
                    wanted = wanted.model_copy(update={"restart_token": str(changes)})
                life.tell(Desired(wanted, node="n1"))
            case "later" | "minute":
                life.later(1 if fact == "later" else 61)
        if life.starts > starts:
            assert running == 0
            assert life.starts == starts + 1
        assert life.stops <= stops + 1
        assert running in (0, 1)
        assert life.record.state in ("starting", "running", "backoff", "crashlooping", "stopped", "unknown")
    life.tell(Desired(wanted.model_copy(update={"stop": True, "suspended": False}), node="n1"))
    for _ in range(3):
        if life.state.phase == "spawning":
            life.up()
        elif life.state.phase in ("up", "stopping"):
            life.tell(Exited(-15, life.state.identity))
    assert life.record.state == "stopped"
