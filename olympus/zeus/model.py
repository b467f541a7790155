"""What Zeus's decisions are made of: hosts, what services ask of them, what is known of a roll-out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from olympus.records.desired import CheckDesired, InstanceSpec, Mode, WatchDesired
from olympus.records.instance import Instance
from olympus.records.rollout import Rollout

Labels: TypeAlias = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Host:
    """A machine that registered itself, with what git declares of it.

    labels:  of its Node document alone: what a host says of itself places nothing
    alive:   as the registry sees it; what is not alive keeps its instances unless they fail over
    drained: maintenance in git, or an operator's drain
    """

    name: str
    labels: Labels = field(default_factory=dict)
    alive: bool = True
    drained: bool = False
    mode: Mode = "manage"
    allow_users: tuple[str, ...] = ()
    address: str = ""


@dataclass(frozen=True, slots=True)
class Declared:
    """A resource as far as comparing goes: `text` gives what people read in a diff, line by line."""

    kind: str
    name: str
    digest: str
    text: Callable[[], str]


@dataclass(frozen=True, slots=True)
class UpdatePolicy:
    """canary: how many go first; max_unavailable: how many may be away; healthy_for: seconds of proof."""

    canary: int = 0
    max_unavailable: int = 1
    max_unavailable_percent: float | None = None
    healthy_for: float = 10.0
    rollback: bool = True

    def may_be_away(self, replicas: int) -> int:
        """Of `replicas`; at least one, or nothing could ever be replaced."""
        if self.max_unavailable_percent is None:
            return max(1, self.max_unavailable)
        return max(1, int(replicas * self.max_unavailable_percent / 100))


@dataclass(frozen=True, slots=True)
class Goal:
    """A service as git and operators want it.

    digest:    of the Service document and its files
    replicas:  None: one on each host that matches
    accepts:   whether a host with such labels may run it
    spread:    the label whose values the replicas are spread over
    spec_on:   the instance resolved for a host
    """

    service: str
    digest: str
    accepts: Callable[[Labels], bool]
    spec_on: Callable[[Host], InstanceSpec]
    replicas: int | None = 1
    spread: str | None = None
    failover: bool = False
    update: UpdatePolicy = UpdatePolicy()
    suspended: bool = False


@dataclass(frozen=True, slots=True)
class Look:
    """A `check` or a `logwatch`: each host that `accepts` is told of it, as it is `on` that host."""

    kind: str
    name: str
    accepts: Callable[[Labels], bool]
    on: Callable[[Host], CheckDesired | WatchDesired]


@dataclass(frozen=True, slots=True)
class World:
    """Everything that a plan or a reconciliation looks at.

    desired:  node → service → what the node was told
    observed: node → service → what its steward answered
    """

    hosts: Mapping[str, Host]
    desired: Mapping[str, Mapping[str, InstanceSpec]]
    observed: Mapping[str, Mapping[str, Instance]] = field(default_factory=dict)
    rollouts: Mapping[str, Rollout] = field(default_factory=dict)

    def current(self, service: str) -> dict[str, InstanceSpec]:
        """Node → what it was told of `service`."""
        return {node: specs[service] for node, specs in self.desired.items() if service in specs}

    def seen(self, service: str) -> dict[str, Instance]:
        """Node → what it answered about `service`."""
        return {node: ones[service] for node, ones in self.observed.items() if service in ones}

    def placement(self) -> dict[str, tuple[str, ...]]:
        """Service → the nodes that were told to run it."""
        nodes: dict[str, list[str]] = {}
        for node in sorted(self.desired):
            for service in self.desired[node]:
                nodes.setdefault(service, []).append(node)
        return {service: tuple(names) for service, names in nodes.items()}


Placement: TypeAlias = Mapping[str, tuple[str, ...]]
"""Service → the nodes that run it, sorted."""
