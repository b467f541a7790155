"""Where services run: a pure function of what is declared, which hosts are there, and where they run already.

A placement that may stay stays: adding a host, or another service, moves nothing.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from olympus.zeus.model import Goal, Host, Placement


def place(goals: Iterable[Goal], hosts: Sequence[Host], before: Placement) -> dict[str, tuple[str, ...]]:
    """Service → its nodes. `before` is where each runs now, also on hosts that are gone."""
    by_name = {host.name: host for host in hosts}
    ordered = sorted(goals, key=lambda goal: goal.service)
    after: dict[str, tuple[str, ...]] = {}
    load: Counter[str] = Counter()
    # First what stays, so that new replicas see the whole load wherever their service's name sorts.
    for goal in ordered:
        kept = _kept(goal, by_name, before.get(goal.service, ()))
        after[goal.service] = kept
        load.update(kept)
    for goal in ordered:
        nodes = _filled(goal, hosts, after[goal.service], load)
        load.update(set(nodes) - set(after[goal.service]))
        after[goal.service] = nodes
    return after


def _kept(goal: Goal, hosts: Mapping[str, Host], before: Iterable[str]) -> tuple[str, ...]:
    stay = [hosts[name] for name in sorted(before) if name in hosts and _may_stay(goal, hosts[name])]
    if goal.replicas is None or len(stay) <= goal.replicas:
        return tuple(host.name for host in stay)
    # Too many: the dead and those that crowd a zone go first.
    chosen: list[Host] = []
    while len(chosen) < goal.replicas:
        chosen.append(
            min((h for h in stay if h not in chosen), key=lambda h: _cost(goal, h, chosen, Counter()))
        )
    return tuple(sorted(host.name for host in chosen))


def _may_stay(goal: Goal, host: Host) -> bool:
    return not host.drained and goal.accepts(host.labels) and (host.alive or not goal.failover)


def _may_come(goal: Goal, host: Host) -> bool:
    return not host.drained and goal.accepts(host.labels) and host.alive


def _filled(goal: Goal, hosts: Sequence[Host], kept: Sequence[str], load: Counter[str]) -> tuple[str, ...]:
    if goal.replicas is not None and len(kept) >= goal.replicas:
        return tuple(kept)
    candidates = [host for host in hosts if host.name not in kept and _may_come(goal, host)]
    if goal.replicas is None:
        return tuple(sorted([*kept, *(host.name for host in candidates)]))
    chosen = [host for host in hosts if host.name in kept]
    while len(chosen) < goal.replicas and candidates:
        best = min(candidates, key=lambda host: _cost(goal, host, chosen, load))
        candidates.remove(best)
        chosen.append(best)
    return tuple(sorted(host.name for host in chosen))


def _cost(goal: Goal, host: Host, chosen: Sequence[Host], load: Counter[str]) -> tuple[object, ...]:
    """Less is better: alive, may be changed at all, an empty zone, little load, then by rendezvous."""
    zone = 0
    if goal.spread is not None:
        mine = host.labels.get(goal.spread)
        zone = sum(1 for one in chosen if one.labels.get(goal.spread) == mine)
    rank = hashlib.blake2b(f"{goal.service}\0{host.name}".encode(), digest_size=8).digest()
    return (not host.alive, host.mode == "observe", zone, load[host.name], rank)
