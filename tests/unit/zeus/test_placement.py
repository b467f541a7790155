"""Where services run: claims about the pure placement."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from olympus.records.desired import InstanceSpec
from olympus.zeus.model import Goal, Host, Labels
from olympus.zeus.placement import place


def goal(
    name: str,
    *,
    replicas: int | None = 1,
    accepts: Callable[[Labels], bool] = lambda labels: True,
    spread: str | None = None,
    failover: bool = False,
) -> Goal:
    return Goal(
        service=name,
        digest="d",
        accepts=accepts,
        spec_on=lambda host: InstanceSpec(service=name).sealed(),
        replicas=replicas,
        spread=spread,
        failover=failover,
    )


def hosts(count: int, **labels: str) -> list[Host]:
    return [Host(f"n{number}", labels=labels) for number in range(count)]


def test_one_replica_on_any_registered_host_by_default():
    assert len(place([goal("a")], hosts(3), {})["a"]) == 1


def test_without_hosts_a_service_runs_nowhere():
    assert place([goal("a")], [], {}) == {"a": ()}


def test_each_runs_on_every_host_that_matches():
    some = [Host("a", {"role": "web"}), Host("b", {"role": "db"}), Host("c", {"role": "web"})]
    web = goal("shop", replicas=None, accepts=lambda labels: labels.get("role") == "web")
    assert place([web], some, {}) == {"shop": ("a", "c")}


def test_replicas_spread_over_zones():
    zoned = [Host(f"{zone}{number}", {"zone": zone}) for zone in "abc" for number in range(3)]
    nodes = place([goal("s", replicas=3, spread="zone")], zoned, {})["s"]
    assert {node[0] for node in nodes} == {"a", "b", "c"}


def test_a_new_host_moves_nothing():
    before = place([goal(f"s{number}", replicas=2) for number in range(20)], hosts(4), {})
    after = place([goal(f"s{number}", replicas=2) for number in range(20)], hosts(9), before)
    assert after == before


def test_load_is_balanced():
    placed = place([goal(f"s{number}") for number in range(30)], hosts(3), {})
    counts = [sum(nodes == (f"n{number}",) for nodes in placed.values()) for number in range(3)]
    assert counts == [10, 10, 10]


def test_a_drained_host_is_left():
    some = hosts(2)
    before = {"a": ("n0",)}
    some[0] = Host("n0", drained=True)
    assert place([goal("a")], some, before) == {"a": ("n1",)}


def test_a_lost_host_keeps_its_service_unless_it_fails_over():
    some = [Host("n0", alive=False), Host("n1")]
    assert place([goal("a")], some, {"a": ("n0",)}) == {"a": ("n0",)}
    assert place([goal("a", failover=True)], some, {"a": ("n0",)}) == {"a": ("n1",)}


def test_nothing_new_is_placed_on_a_lost_host():
    assert place([goal("a")], [Host("n0", alive=False)], {}) == {"a": ()}


def test_a_host_that_only_observes_is_chosen_last():
    some = [Host("n0", mode="observe"), Host("n1")]
    assert place([goal(f"s{number}") for number in range(5)], some, {}) == {
        f"s{number}": ("n1",) for number in range(5)
    }


def test_fewer_replicas_keep_some_of_the_same():
    before = place([goal("a", replicas=4)], hosts(6), {})
    after = place([goal("a", replicas=2)], hosts(6), before)
    assert len(after["a"]) == 2
    assert set(after["a"]) < set(before["a"])


@given(
    replicas=st.lists(st.one_of(st.none(), st.integers(0, 5)), min_size=1, max_size=6),
    first=st.sets(st.integers(0, 8), max_size=8),
    second=st.sets(st.integers(0, 8), max_size=8),
)
def test_placing_twice_changes_nothing(replicas, first, second):
    goals = [goal(f"s{number}", replicas=count) for number, count in enumerate(replicas)]
    before = place(goals, [Host(f"n{number}") for number in sorted(first)], {})
    now = [Host(f"n{number}") for number in sorted(second)]
    once = place(goals, now, before)
    assert place(goals, now, once) == once
    for one in goals:
        nodes = once[one.service]
        assert len(set(nodes)) == len(nodes)
        assert set(nodes) <= {host.name for host in now}
        assert len(nodes) == (len(now) if one.replicas is None else min(one.replicas, len(now)))
