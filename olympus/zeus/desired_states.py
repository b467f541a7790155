"""What each node was told to be, by whom it was signed, and what it has to be told anew."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeAlias

from olympus.hermes import keys
from olympus.hermes.kv import MAX_OPS, Op, Put
from olympus.kernel.errors import Invalid, NotFound, Refused
from olympus.records.desired import CheckDesired, InstanceSpec, NodeDesired, WatchDesired
from olympus.records.seals import Seals
from olympus.zeus.model import Host

log = logging.getLogger("olympus.zeus")

Told: TypeAlias = dict[str, dict[str, InstanceSpec]]
"""Node → service → instance."""

Looks: TypeAlias = tuple[tuple[CheckDesired, ...], tuple[WatchDesired, ...]]
"""What a node checks and watches."""

_BATCH_BYTES: Final = 300 * 1024


class DesiredStates:
    """What it wrote it knows: nobody else may write it while the guard holds.

    unsigned: nodes whose desired state they would refuse, and is written anew
    """

    def __init__(self, seals: Seals) -> None:
        self._seals = seals
        self._known: dict[str, NodeDesired] = {}
        self._signed: dict[str, tuple[str, str]] = {}
        self._sequence = 0
        self.unsigned: set[str] = set()

    async def load(self, node: str, value: bytes) -> None:
        """As it lies in Hermes."""
        try:
            self._known[node] = await self._seals.opened(value)
        except (Invalid, NotFound, Refused) as exc:
            # Written anew, all of it: what runs there is known by what the node says, and stays where it is.
            log.warning("desired_not_read", extra={"node": node, "reason": str(exc)})
            self.unsigned.add(node)
        else:
            self._signed[node] = self._seals.key_of(value)

    def distrust(self) -> bool:
        """Whether there are some that a controller signed who is not trusted any more, or has another key."""
        stale = self._seals.stale(self._signed)
        self.unsigned |= stale
        return bool(stale)

    def looks(self, node: str) -> Looks:
        """What it was told to check and watch."""
        known = self._known.get(node)
        return ((), ()) if known is None else (known.checks, known.watches)

    def told(self) -> Told:
        """A copy: what each node was told."""
        return {name: {spec.service: spec for spec in node.instances} for name, node in self._known.items()}

    async def changes(
        self, told: Told, looks: Mapping[str, Looks], hosts: Mapping[str, Host], *, epoch: int, revision: str
    ) -> list[Fresh]:
        """What has to be written so that each node is what `told` and `looks` say, signed."""
        fresh = []
        for name, specs in sorted(told.items()):
            before = self._known.get(name)
            host = hosts.get(name, Host(name))
            checks, watches = looks.get(name, ((), ()))
            after = NodeDesired(
                node=name,
                epoch=epoch,
                sequence=self._sequence + 1,
                revision=revision,
                mode=host.mode,
                allow_users=host.allow_users,
                instances=tuple(specs[service] for service in sorted(specs)),
                checks=checks,
                watches=watches,
            )
            nothing = not (specs or checks or watches)
            if name not in self.unsigned and (nothing if before is None else _same(before, after)):
                continue
            self._sequence += 1
            fresh.append((after, await self._seals.sealed(after)))
        return fresh

    def written(self, fresh: Iterable[Fresh]) -> None:
        """`fresh` lies in Hermes."""
        for desired, raw in fresh:
            self._known[desired.node] = desired
            self._signed[desired.node] = self._seals.key_of(raw)
            self.unsigned.discard(desired.node)


Fresh: TypeAlias = tuple[NodeDesired, bytes]
"""A desired state and the same as it is written."""


def tell_one(specs: dict[str, InstanceSpec], service: str, spec: InstanceSpec | None) -> None:
    """Put `spec` among what one node is told; None: it has no such instance any more."""
    if spec is None:
        specs.pop(service, None)
        return
    old = specs.get(service)
    # A commit that changes nothing here must not be written to every node.
    if old is None or old != spec.model_copy(update={"revision": old.revision}):
        specs[service] = spec


def batches(ops: Sequence[Op], fresh: Iterable[Fresh]) -> Iterable[list[Op]]:
    """In transactions that fit, with room for a guard."""
    writes: list[Op] = [*ops, *(Put(keys.desired(desired.node), raw) for desired, raw in fresh)]
    batch: list[Op] = []
    size = 0
    for op in writes:
        length = len(op.value) if isinstance(op, Put) else 0
        if batch and (len(batch) == MAX_OPS - 1 or size + length > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(op)
        size += length
    if batch:
        yield batch


def _same(one: NodeDesired, other: NodeDesired) -> bool:
    return other == one.model_copy(
        update={"revision": other.revision, "epoch": other.epoch, "sequence": other.sequence}
    )
