"""Plans: what is claimed of the pure difference."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

from olympus.records.desired import InstanceSpec, ProcessRun
from olympus.records.instance import Instance
from olympus.records.rollout import Rollout
from olympus.zeus.model import Declared, Goal, Host, World
from olympus.zeus.plan import Declaration, plan, prune_refused


def goal(name: str, command: str = "run", *, replicas: int | None = 1) -> Goal:
    spec = InstanceSpec(service=name, process=ProcessRun(command=(command,))).sealed()
    return Goal(name, command, lambda labels: labels.get("off") is None, lambda host: spec, replicas=replicas)


def declared(revision: str, *goals: Goal) -> Declaration:
    resources = {
        ("Service", one.service): Declared(
            "Service", one.service, one.digest, partial("command: {}".format, one.digest)
        )
        for one in goals
    }
    return Declaration(revision, resources, {one.service: one for one in goals})


def world(*hosts: Host, **told: tuple[Goal, ...]) -> World:
    by_name = {host.name: host for host in hosts}
    desired = {
        name: {one.service: one.spec_on(by_name.get(name, Host(name))) for one in goals}
        for name, goals in told.items()
    }
    return World(by_name, desired)


def verbs(made) -> list[tuple[str, str, str | None]]:
    return [(one.verb, one.name, one.node) for one in made.actions]


def test_a_first_commit_creates_and_starts():
    made = plan(Declaration(), declared("b", goal("s")), world(Host("n1")))
    assert verbs(made) == [("create", "s", None), ("start", "s", "n1")]
    assert made.from_ is None
    assert made.summary() == "+1 service"


def test_what_is_as_declared_needs_no_action():
    s = goal("s")
    made = plan(declared("a", s), declared("b", s), world(Host("n1"), n1=(s,)))
    assert made.actions == ()
    assert made.summary() == "no changes"


def test_a_changed_command_restarts_where_it_runs():
    old, new = goal("s"), goal("s", "other")
    made = plan(declared("a", old), declared("b", new), world(Host("n1"), n1=(old,)))
    assert verbs(made) == [("update", "s", None), ("restart", "s", "n1")]
    assert made.actions[0].diff == "-command: run\n+command: other"


def test_a_deleted_service_stops():
    s = goal("s")
    made = plan(declared("a", s), declared("b"), world(Host("n1"), n1=(s,)))
    assert verbs(made) == [("delete", "s", None), ("stop", "s", "n1")]


def test_a_drained_node_moves_its_service():
    s = goal("s")
    made = plan(declared("a", s), declared("a", s), world(Host("n1", drained=True), Host("n2"), n1=(s,)))
    assert verbs(made) == [("move", "s", "n2")]
    assert made.actions[0].reason == "from n1: the node is drained"


def test_too_few_nodes_is_a_warning():
    made = plan(Declaration(), declared("b", goal("s", replicas=3)), world(Host("n1")))
    assert made.warnings == ("service s: 1 of 3 replicas: not enough nodes match",)


def names(count: int) -> set[tuple[str, str]]:
    return {("Service", f"s{number}") for number in range(count)}


def test_a_tree_that_declares_nothing_never_prunes():
    assert "declares nothing" in (prune_refused(names(1), set()) or "")


def test_more_than_half_and_ten_is_refused():
    assert prune_refused(names(19), names(9)) is not None


def test_half_or_fewer_than_ten_is_allowed():
    assert prune_refused(names(20), names(10)) is None
    assert prune_refused(names(12), names(3)) is None
    assert prune_refused(set(), set()) is None


def test_against_live_also_says_what_would_be_healed():
    s = goal("s")
    told = world(Host("n1"), n1=(s,))
    dead = Instance(
        service="s", node="n1", state="backoff", message="exit 1", since=datetime(2026, 1, 1, tzinfo=UTC)
    )
    live = World(told.hosts, told.desired, {"n1": {"s": dead}})
    assert plan(declared("a", s), declared("a", s), live).actions == ()
    (action,) = plan(declared("a", s), declared("a", s), live, live=True).actions
    assert (action.verb, action.node, action.reason) == ("start", "n1", "backoff: exit 1")


def test_a_node_that_is_only_observed_is_a_warning():
    made = plan(Declaration(), declared("b", goal("s")), world(Host("n1", mode="observe")))
    assert made.warnings == ("service s: node n1 is only observed, nothing is changed there",)


def test_a_user_that_the_node_does_not_allow_is_a_warning():
    spec = InstanceSpec(service="s", process=ProcessRun(command=("run",), user="root")).sealed()
    as_root = Goal("s", "d", lambda labels: True, lambda host: spec)
    refused = plan(Declaration(), declared("b", as_root), world(Host("n1")))
    assert refused.warnings == ("service s: user root is not in allow.users of node n1",)
    allowed = plan(Declaration(), declared("b", as_root), world(Host("n1", allow_users=("root",))))
    assert allowed.warnings == ()


def test_a_rollback_that_stands_is_not_planned_as_a_restart():
    old, new = goal("s"), goal("s", "other")
    told = world(Host("n1"), n1=(old,))
    rollout = Rollout(service="s", goal="other", started=datetime(2026, 1, 1, tzinfo=UTC), failed="exit 1")
    stands = World(told.hosts, told.desired, {}, {"s": rollout})
    assert plan(declared("b", new), declared("b", new), stands).actions == ()


def test_the_shape_that_programs_rely_on():
    made = plan(declared("a"), declared("b", goal("s")), world(Host("n1"))).to_json()
    assert set(made) == {"from", "to", "actions", "warnings", "foreseen"}
    assert set(made["actions"][0]) == {"verb", "kind", "name", "node", "reason", "diff"}
