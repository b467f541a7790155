"""What a batch of decisions writes, packed into as few transactions as hold it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import orjson

from olympus.hermes import keys
from olympus.hermes.kv import Delete, Op, Put
from olympus.kernel.events import Event
from olympus.records.run import Run, StepRun

# The bus adds two operations of its own, and the guard is one.
MAX_OPS: Final = 48
MAX_BYTES: Final = 256 * 1024
MAX_RECORD: Final = 200 * 1024

Transaction: TypeAlias = tuple[list[Event], list[Op]]


@dataclass(slots=True)
class Unit:
    """What belongs to one run: the record goes with its events, in one transaction; orders may follow."""

    run: Run | None = None
    lazy: bool = True
    events: list[Event] = field(default_factory=list)
    ops: list[Op] = field(default_factory=list)

    def idle(self) -> bool:
        return self.lazy and not self.events and not self.ops


def pack(units: Mapping[str, Unit], guard: Op) -> Iterator[Transaction]:
    """In order; each transaction begins with the guard. A record is never after the orders that it tells of."""
    events: list[Event] = []
    ops: list[Op] = [guard]
    size = 0
    for unit in units.values():
        first = record_ops(unit.run) if unit.run is not None else []
        for group, told in ((first, unit.events), *(([op], []) for op in unit.ops)):
            weight = sum(_size(op) for op in group) + sum(_weight(event) for event in told)
            if len(ops) > 1 and (len(ops) + len(group) > MAX_OPS or size + weight > MAX_BYTES):
                yield events, ops
                events, ops, size = [], [guard], 0
            events.extend(told)
            ops.extend(group)
            size += weight
    yield events, ops


def record_ops(run: Run) -> list[Op]:
    """The record, and whether it is among the live ones."""
    live = keys.live_run(run.id)
    index: Op = Delete(live) if run.finished else Put(live, b"{}")
    return [Put(keys.run(run.id), record_bytes(run)), index]


def record_bytes(run: Run) -> bytes:
    """Within what a transaction holds: where it is over that, the largest outputs are dropped, and said."""
    raw = run.to_bytes()
    steps = list(run.steps)
    while len(raw) > MAX_RECORD:
        index = max(range(len(steps)), key=lambda i: len(orjson.dumps(steps[i].output)))
        if steps[index].output is None:
            break
        steps[index] = _without_output(steps[index])
        raw = run.model_copy(update={"steps": tuple(steps)}).to_bytes()
    return raw


def _without_output(entry: StepRun) -> StepRun:
    said = "its output was dropped: the run's record would be too large"
    return entry.model_copy(update={"output": None, "message": f"{entry.message}; {said}".lstrip("; ")})


def _size(op: Op) -> int:
    return len(op.value) + 200 if isinstance(op, Put) else 200


def _weight(event: Event) -> int:
    return len(orjson.dumps(event.data)) + 600


def order_gone(node: str, order: str) -> Sequence[Op]:
    """An order and its mark."""
    return (Delete(keys.order(node, order)), Delete(keys.order(node, order) + "/cancel"))
