"""What Athena keeps in Hermes: read by a leader that takes over, written with the cursor of what it came from.

Changes of one round may need several transactions. An incident goes with the events that tell of it and with the
budgets that it used up; windows come after it, and the cursor last: what is told again then comes to the same.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import orjson

from olympus.athena.engine import Changes
from olympus.hermes import keys
from olympus.hermes.bus import Bus, Cursor
from olympus.hermes.kv import Delete, Kv, Op, Put
from olympus.kernel.events import Event
from olympus.records.document import Document
from olympus.records.incident import Incident, KeyRecord, RuleRecord, WindowRecord

CONSUMER: Final = "athena"

# The bus adds two operations of its own; the guard and the cursor are one each.
_MAX_OPS: Final = 48
_MAX_BYTES: Final = 256 * 1024
_MAX_RECORD: Final = 200 * 1024

Transaction: TypeAlias = tuple[list[Event], list[Op]]


@dataclass(frozen=True, slots=True)
class Stored:
    """incidents: those that may still change by themselves; known: the ids of all."""

    incidents: tuple[Incident, ...] = ()
    rules: tuple[RuleRecord, ...] = ()
    keys: tuple[KeyRecord, ...] = ()
    windows: tuple[WindowRecord, ...] = ()
    known: frozenset[str] = frozenset()


@dataclass(slots=True)
class _Unit:
    """What has to be in one transaction; an operation of a key stands for those before it."""

    events: Sequence[Event] = ()
    ops: dict[str, Op] = field(default_factory=dict)

    def put(self, key: str, document: Document | None) -> None:
        self.ops[key] = Delete(key) if document is None else Put(key, document.to_bytes())

    def size(self) -> int:
        told = sum(len(orjson.dumps(event.data)) + 600 for event in self.events)
        return told + sum(len(op.value) + 200 if isinstance(op, Put) else 200 for op in self.ops.values())


class Store:
    """Of one term: `guard` stands in every write."""

    def __init__(self, kv: Kv, bus: Bus, guard: Op) -> None:
        self._kv = kv
        self._bus = bus
        self._guard = guard

    async def cursor(self) -> Cursor:
        """Before anything else is read: what happens from now on is told, what was before is in the records."""
        cursor = await self._bus.stored_cursor(CONSUMER)
        if cursor is None:
            cursor = await self._bus.now()
            await self._kv.transact([self._guard, self._bus.cursor_op(CONSUMER, cursor)])
        return cursor

    async def load(self) -> Stored:
        live = [key.removeprefix(keys.LIVE_INCIDENTS) for key in await self._kv.keys(keys.LIVE_INCIDENTS)]
        found = [await self.incident(one) for one in live]
        return Stored(
            incidents=tuple(one for one in found if one is not None),
            rules=tuple(RuleRecord.from_bytes(e.value) for e in (await self._kv.scan(keys.RULES)).entries),
            keys=tuple(KeyRecord.from_bytes(e.value) for e in (await self._kv.scan(keys.RULE_KEYS)).entries),
            windows=tuple(
                WindowRecord.from_bytes(e.value) for e in (await self._kv.scan(keys.WINDOWS)).entries
            ),
            known=frozenset(key.removeprefix(keys.INCIDENTS) for key in await self._kv.keys(keys.INCIDENTS)),
        )

    async def incident(self, incident_id: str) -> Incident | None:
        entry = await self._kv.get(keys.incident(incident_id))
        return Incident.from_bytes(entry.value) if entry is not None else None

    async def save(
        self,
        changes: Changes,
        live: Container[str],
        told: Mapping[str, Sequence[Event]],
        cursor: Cursor | None,
    ) -> None:
        """told: by incident. Raises Conflict where another leads now."""
        parts = list(pack(changes, live, told))
        if cursor is not None:
            last = self._bus.cursor_op(CONSUMER, cursor)
            parts = [*parts[:-1], (parts[-1][0], [*parts[-1][1], last])] if parts else [([], [last])]
        for events, ops in parts:
            await self._bus.publish(events, [self._guard, *ops], durable=False)


def pack(
    changes: Changes, live: Container[str], told: Mapping[str, Sequence[Event]]
) -> Iterator[Transaction]:
    """In as few transactions as hold it."""
    events: list[Event] = []
    ops: dict[str, Op] = {}
    size = 0
    for unit in _units(changes, live, told):
        weight = unit.size()
        if ops and (len(ops.keys() | unit.ops.keys()) > _MAX_OPS or size + weight > _MAX_BYTES):
            yield events, list(ops.values())
            events, ops, size = [], {}, 0
        events.extend(unit.events)
        ops.update(unit.ops)
        size += weight
    if ops:
        yield events, list(ops.values())


def _units(changes: Changes, live: Container[str], told: Mapping[str, Sequence[Event]]) -> Iterator[_Unit]:
    for incident in changes.incidents.values():
        unit = _Unit(told.get(incident.id, ()))
        unit.ops[keys.incident(incident.id)] = Put(keys.incident(incident.id), incident_bytes(incident))
        index = keys.live_incident(incident.id)
        unit.ops[index] = Put(index, b"{}") if incident.id in live else Delete(index)
        at = (incident.rule, incident.key)
        if incident.rule in changes.rules:
            unit.put(keys.rule(incident.rule), changes.rules[incident.rule])
        if at in changes.keys:
            unit.put(keys.rule_key(*at), changes.keys[at])
        yield unit
    for rule, record in changes.rules.items():
        unit = _Unit()
        unit.put(keys.rule(rule), record)
        yield unit
    for at, key in changes.keys.items():
        unit = _Unit()
        unit.put(keys.rule_key(*at), key)
        yield unit
    for (rule, of), window in changes.windows.items():
        unit = _Unit()
        kept = None if window is None else WindowRecord(rule=rule, key=of, window=dict(window))
        unit.put(keys.window(rule, of), kept)
        yield unit


def incident_bytes(incident: Incident) -> bytes:
    """Within what a transaction holds: where it is over that, the largest answers are dropped, and said."""
    raw = incident.to_bytes()
    answers: dict[str, Any] = dict(incident.answers)
    unanswered = dict(incident.unanswered)
    while len(raw) > _MAX_RECORD and answers:
        name = max(answers, key=lambda one: len(orjson.dumps(answers[one], default=str)))
        del answers[name]
        unanswered[name] = "its answer was dropped: the incident's record would be too large"
        dropped = incident.model_copy(update={"answers": dict(answers), "unanswered": dict(unanswered)})
        raw = dropped.to_bytes()
    return raw
