"""How services are replaced: each test plays hosts that do at once what they are told."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from olympus.records.desired import InstanceSpec, ProcessRun
from olympus.records.instance import Instance
from olympus.records.rollout import Rollout
from olympus.zeus.model import Goal, Host, UpdatePolicy
from olympus.zeus.rollout import Seen, Step, step

START = datetime(2026, 1, 1, tzinfo=UTC)


def goal(version: str, *, token: str = "", suspended: bool = False, **update: object) -> Goal:
    spec = InstanceSpec(service="s", process=ProcessRun(command=(version,)), restart_token=token).sealed()
    return Goal(
        service="s",
        digest=version,
        accepts=lambda labels: True,
        spec_on=lambda host: spec,
        replicas=None,
        update=UpdatePolicy(**{"healthy_for": 30.0, **update}),
        suspended=suspended,
    )


@dataclass
class Cluster:
    """Hosts that obey: `bad` versions crash, others become healthy at once."""

    names: tuple[str, ...]
    bad: frozenset[str] = frozenset()
    now: datetime = START
    current: dict[str, InstanceSpec] = field(default_factory=dict)
    observed: dict[str, Instance] = field(default_factory=dict)
    rollout: Rollout | None = None
    most_away: int = 0

    def tick(self, wanted: Goal, *, seconds: float = 0, names: tuple[str, ...] | None = None) -> Step:
        self.now += timedelta(seconds=seconds)
        hosts = {name: Host(name) for name in self.names}
        placed = [hosts[name] for name in names or self.names]
        made = step(wanted, placed, hosts, Seen(self.current, self.observed, self.rollout), self.now)
        self.rollout = made.rollout
        changed = 0
        for name, spec in made.specs.items():
            old = self.current.get(name)
            if old is None or (old.generation, old.restart_token) != (spec.generation, spec.restart_token):
                changed += old is not None
                crashes = spec.process is not None and spec.process.command[0] in self.bad
                self.observed[name] = Instance(
                    service="s",
                    node=name,
                    state="crashlooping" if crashes else "running",
                    healthy=not crashes,
                    healthy_since=None if crashes else self.now,
                    since=self.now,
                    generation=spec.generation,
                    restart_token=spec.restart_token,
                )
        for name in set(self.current) - set(made.specs):
            del self.observed[name]
        self.most_away = max(self.most_away, changed)
        self.current = dict(made.specs)
        return made

    def versions(self) -> dict[str, str]:
        return {name: spec.process.command[0] for name, spec in self.current.items() if spec.process}


def running(version: str, count: int = 4, **more) -> Cluster:
    cluster = Cluster(tuple(f"n{number}" for number in range(count)), **more)
    cluster.tick(goal(version))
    cluster.tick(goal(version), seconds=60)
    return cluster


def test_a_new_service_starts_everywhere_at_once():
    cluster = Cluster(("a", "b", "c"))
    cluster.tick(goal("1"))
    assert cluster.versions() == {"a": "1", "b": "1", "c": "1"}


def test_one_at_a_time_each_proven_before_the_next():
    cluster = running("1")
    for expected in (1, 2, 3, 4):
        cluster.tick(goal("2"), seconds=31)
        assert list(cluster.versions().values()).count("2") == expected
        cluster.tick(goal("2"), seconds=1)
        assert list(cluster.versions().values()).count("2") == expected
    assert cluster.most_away == 1
    cluster.tick(goal("2"), seconds=31)
    assert cluster.rollout is None


def test_it_asks_to_be_woken_when_an_instance_has_proven_itself():
    cluster = running("1")
    cluster.tick(goal("2"))
    assert cluster.tick(goal("2"), seconds=1).wake == cluster.now + timedelta(seconds=29)


def test_max_unavailable_as_a_percentage():
    cluster = running("1", count=10)
    cluster.tick(goal("2", max_unavailable_percent=30.0))
    assert list(cluster.versions().values()).count("2") == 3


def test_the_canary_goes_alone():
    cluster = running("1", count=5)
    cautious = goal("2", canary=1, max_unavailable=5)
    cluster.tick(cautious)
    cluster.tick(cautious, seconds=10)
    assert list(cluster.versions().values()).count("2") == 1
    cluster.tick(cautious, seconds=31)
    assert list(cluster.versions().values()).count("2") == 5


def test_a_failing_canary_is_undone_everywhere_and_not_tried_again():
    cluster = running("1", bad=frozenset({"2"}))
    cluster.tick(goal("2", canary=1))
    assert list(cluster.versions().values()).count("2") == 1
    cluster.tick(goal("2", canary=1), seconds=1)
    assert set(cluster.versions().values()) == {"1"}
    for _ in range(5):
        cluster.tick(goal("2", canary=1), seconds=100)
    assert set(cluster.versions().values()) == {"1"}
    assert cluster.rollout is not None
    assert "crashlooping" in (cluster.rollout.failed or "")


def test_after_a_rollback_the_next_version_is_tried():
    cluster = running("1", bad=frozenset({"2"}))
    cluster.tick(goal("2"))
    cluster.tick(goal("2"), seconds=1)
    for _ in range(10):
        cluster.tick(goal("3"), seconds=31)
    assert set(cluster.versions().values()) == {"3"}
    assert cluster.rollout is None


def test_without_rollback_the_failed_instance_stays_and_stops_the_others():
    cluster = running("1", bad=frozenset({"2"}))
    for _ in range(10):
        cluster.tick(goal("2", rollback=False), seconds=31)
    assert sorted(cluster.versions().values()) == ["1", "1", "1", "2"]


def test_a_broken_service_without_a_working_past_is_not_rolled_back():
    cluster = Cluster(("a",), bad=frozenset({"1", "2"}))
    cluster.tick(goal("1"))
    cluster.tick(goal("2"), seconds=1)
    cluster.tick(goal("2"), seconds=1)
    assert cluster.versions() == {"a": "2"}


def test_a_restart_order_is_honoured_one_by_one():
    cluster = running("1")
    for expected in (1, 2, 3, 4):
        cluster.tick(goal("1", token="again"), seconds=31)
        tokens = [spec.restart_token for spec in cluster.current.values()]
        assert tokens.count("again") == expected


def test_a_suspended_service_is_left_as_it_is():
    cluster = running("1")
    cluster.tick(goal("2", suspended=True), seconds=31)
    assert set(cluster.versions().values()) == {"1"}
    assert all(spec.suspended for spec in cluster.current.values())
    cluster.tick(goal("1"), seconds=31)
    assert not any(spec.suspended for spec in cluster.current.values())


def test_a_leaving_instance_waits_for_its_replacement():
    cluster = Cluster(("a", "b", "c"))
    cluster.tick(goal("1"), names=("a", "b"))
    cluster.tick(goal("1"), seconds=60, names=("a", "b"))
    cluster.observed["b"] = cluster.observed["b"].model_copy(update={"healthy": False})
    cluster.tick(goal("1"), names=("b", "c"))
    assert set(cluster.current) == {"a", "b", "c"}
    cluster.tick(goal("1"), seconds=31, names=("b", "c"))
    assert set(cluster.current) == {"b", "c"}


def test_a_single_instance_moves_at_once():
    cluster = Cluster(("a", "b"))
    cluster.tick(goal("1"), names=("a",))
    cluster.tick(goal("1"), seconds=60, names=("b",))
    assert set(cluster.current) == {"b"}


def test_a_dead_host_does_not_hold_up_the_others():
    cluster = running("1", count=3)
    hosts = {"n0": Host("n0", alive=False), "n1": Host("n1"), "n2": Host("n2")}
    made = step(goal("2"), list(hosts.values()), hosts, Seen(cluster.current, cluster.observed), cluster.now)
    commands = {name: spec.process.command[0] for name, spec in made.specs.items() if spec.process}
    assert commands == {"n0": "2", "n1": "2", "n2": "1"}


def test_what_a_bad_version_left_behind_does_not_undo_the_next_one():
    cluster = running("1", bad=frozenset({"7"}))
    cluster.tick(goal("7"))
    for _ in range(10):
        cluster.tick(goal("good"), seconds=45)
    assert set(cluster.versions().values()) == {"good"}
    assert cluster.rollout is None


class Chaos(RuleBasedStateMachine):
    """Versions, restarts, crashes and time in any order; hosts obey at the next tick."""

    def __init__(self) -> None:
        super().__init__()
        self.cluster = Cluster(tuple(f"n{number}" for number in range(5)), bad=frozenset({"7", "8", "9"}))
        self.version = "1"
        self.token = ""
        self.away = 2
        self.cluster.tick(self.goal())
        self.cluster.tick(self.goal(), seconds=60)

    def goal(self) -> Goal:
        return goal(self.version, token=self.token, max_unavailable=self.away)

    @rule(version=st.sampled_from("123456789"))
    def declare(self, version: str) -> None:
        self.version = version

    @rule(token=st.sampled_from(["a", "b", "c"]))
    def order_restart(self, token: str) -> None:
        self.token = token

    @rule(node=st.integers(0, 4))
    def crash(self, node: int) -> None:
        seen = self.cluster.observed.get(f"n{node}")
        if seen is not None:
            fallen = {"state": "backoff", "healthy": False, "healthy_since": None, "since": self.cluster.now}
            self.cluster.observed[f"n{node}"] = seen.model_copy(update=fallen)

    @rule(node=st.integers(0, 4))
    def recover(self, node: int) -> None:
        seen = self.cluster.observed.get(f"n{node}")
        if seen is not None and seen.state == "backoff":
            well = {"state": "running", "healthy": True, "healthy_since": self.cluster.now}
            self.cluster.observed[f"n{node}"] = seen.model_copy(update=well)

    @rule(seconds=st.integers(0, 90))
    def tick(self, seconds: int) -> None:
        healthy_before = self.healthy()
        before = dict(self.cluster.current)
        self.cluster.tick(self.goal(), seconds=seconds)
        taken = [
            name
            for name in healthy_before
            if (before[name].generation, before[name].restart_token)
            != (self.cluster.current[name].generation, self.cluster.current[name].restart_token)
        ]
        # However it got here: no step takes more than may be away from those that work.
        assert not taken or len(healthy_before) - len(taken) >= 5 - self.away
        assert set(self.cluster.current) == set(self.cluster.names)

    def healthy(self) -> list[str]:
        return [name for name, seen in self.cluster.observed.items() if seen.healthy is True]

    def teardown(self) -> None:
        """A version that works is everywhere in the end, whatever was before it."""
        self.version = "good"
        for name in self.cluster.names:
            self.recover(int(name[1:]))
        for _ in range(20):
            self.cluster.tick(self.goal(), seconds=45)
        assert set(self.cluster.versions().values()) == {"good"}
        assert self.cluster.rollout is None


TestChaos = Chaos.TestCase
TestChaos.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
