"""How a run comes to be, whoever starts it: the API on any node, a webhook, Chronos's firing, another run.

The record, the Idempotency-Key and the event that tells the coordinator are one transaction, so that the run
is readable as soon as the start was answered, and is started once however often it is asked for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

import orjson

from olympus.hephaestus import params as parameters
from olympus.hephaestus.draft import RUN_FINISHED, told
from olympus.hephaestus.gate import gated
from olympus.hephaestus.model import Approved
from olympus.hephaestus.ports import DeclaredPipeline, Notes, Specs
from olympus.hephaestus.recipe import digest_of
from olympus.hephaestus.settling import settled_group, settled_spec
from olympus.hermes import keys
from olympus.hermes.bus import Bus
from olympus.hermes.kv import CheckAbsent, Kv, Op, Put, TransactionConflict
from olympus.kernel.clock import Clock
from olympus.kernel.errors import Conflict, Invalid, NotFound, Refused
from olympus.kernel.events import MAX_DEPTH, Event
from olympus.kernel.ids import new_id
from olympus.records.run import Cause, Claim, Parent, Run, StoredPipeline, may_approve

SOURCE: Final = "olympus/hephaestus"
RUN_REQUESTED: Final = "olympus.hephaestus.run-requested"
CANCEL_REQUESTED: Final = "olympus.hephaestus.cancel-requested"
RETRY_REQUESTED: Final = "olympus.hephaestus.retry-requested"
APPROVAL_GIVEN: Final = "olympus.hephaestus.approval-given"

MAX_PARAMS: Final = 64 * 1024
MAX_EVENT: Final = 32 * 1024


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be started, by whom and why.

    run:    its id, where that follows from what caused it; None: a new one
    event:  the event behind it: expressions see it, and its depth counts
    approve: it waits in a first step named `approve` (see `gate`)
    """

    pipeline: str
    params: Mapping[str, Any]
    cause: Cause = field(default_factory=Cause)
    run: str | None = None
    event: Event | None = None
    depth: int | None = None
    claim: Claim | None = None
    parent: Parent | None = None
    approve: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A run, and what is to be committed so that it exists."""

    run: Run
    ops: tuple[Op, ...]
    event: Event


@dataclass(frozen=True, slots=True)
class Started:
    """The run; `created` is False where it had been started before under the same key."""

    id: str
    created: bool


class Starts:
    """One per process; shared by all who start runs."""

    def __init__(self, kv: Kv, bus: Bus, clock: Clock, specs: Specs) -> None:
        self._kv = kv
        self._bus = bus
        self._clock = clock
        self._specs = specs

    async def start(self, asked: Asked, *, idempotency_key: str | None = None) -> Started:
        """Returns when the run is stored and survives a power cut.

        Raises NotFound (no such pipeline), Invalid (its parameters), Refused (too deep, too large), Conflict
        (the key was used for another request).
        """
        await self._specs.current()
        ops: list[Op] = []
        asked_digest = _digest(asked)
        if idempotency_key is not None:
            key = keys.start(f"{asked.pipeline}/{idempotency_key}")
            known = await self._known(key, asked_digest)
            if known is not None:
                return known
        prepared = self.prepare(asked)
        if idempotency_key is not None:
            ours = orjson.dumps({"run": prepared.run.id, "request": asked_digest})
            ops += [CheckAbsent(key), Put(key, ours)]
        try:
            await self._bus.publish([prepared.event], [*ops, *prepared.ops])
        except TransactionConflict:
            known = await self._known(key, asked_digest) if idempotency_key is not None else None
            if known is not None:
                return known
            if await self._kv.get(keys.run(prepared.run.id)) is not None:
                return Started(prepared.run.id, created=False)
            raise
        return Started(prepared.run.id, created=True)

    async def _known(self, key: str, asked_digest: str) -> Started | None:
        entry = await self._kv.get(key)
        if entry is None:
            return None
        known = orjson.loads(entry.value)
        if known["request"] != asked_digest:
            raise Conflict("this Idempotency-Key was used with another pipeline or other parameters")
        return Started(known["run"], created=False)

    def prepare(self, asked: Asked) -> Prepared:
        """What `start` would commit; asks nobody. Raises as `start` does."""
        declared = self._specs.pipeline(asked.pipeline)
        if declared is None:
            raise NotFound(f"there is no pipeline '{asked.pipeline}'")
        event = asked.event
        depth = asked.depth if asked.depth is not None else event.depth + 1 if event is not None else 0
        if depth > MAX_DEPTH + 1:
            raise Refused(f"{MAX_DEPTH} events have caused each other: the last one starts nothing")
        checked = parameters.checked(declared.name, declared.spec.get("params"), asked.params)
        if len(orjson.dumps(checked)) > MAX_PARAMS:
            raise Invalid(f"parameters of pipeline '{declared.name}' are over {MAX_PARAMS // 1024} KiB")
        run_id = asked.run or new_id()
        roots = {
            "params": checked,
            "event": event.to_json() if event else {},
            "cause": asked.cause.to_json(),
            "run": {"id": run_id, "pipeline": declared.name, "revision": declared.revision},
        }
        if asked.approve is not None:
            declared = replace(declared, spec=gated(declared.name, declared.spec, asked.approve))
        stored = _stored(declared, roots)
        run = Run(
            id=run_id,
            pipeline=declared.name,
            revision=declared.revision,
            params=checked,
            cause=asked.cause,
            created_at=self._clock.now(),
            spec=digest_of(stored),
            event=_kept(event),
            depth=depth,
            parent=asked.parent,
            claims=_claims(declared, roots, asked.claim),
        )
        return Prepared(run, _ops(run, stored), self._told(run))

    def refused(self, asked: Asked, reason: str) -> Prepared:
        """A run that failed before it began: so that people see what an event could not start."""
        event = asked.event
        now = self._clock.now()
        run = Run(
            id=asked.run or new_id(),
            pipeline=asked.pipeline,
            revision="",
            state="failed",
            message=reason,
            cause=asked.cause,
            created_at=now,
            finished_at=now,
            spec="",
            event=_kept(event),
            depth=event.depth + 1 if event is not None else 0,
        )
        data = told(run, "failed", reason)
        finished = Event(
            new_id(), RUN_FINISHED, SOURCE, now, data, run.id, cause=run.cause.event, depth=run.depth
        )
        return Prepared(run, (CheckAbsent(keys.run(run.id)), Put(keys.run(run.id), run.to_bytes())), finished)

    def _told(self, run: Run) -> Event:
        data = {"run": run.id, "pipeline": run.pipeline}
        return Event(
            new_id(),
            RUN_REQUESTED,
            SOURCE,
            run.created_at,
            data,
            run.id,
            cause=run.cause.event,
            depth=run.depth,
        )

    # --- what can be asked of a run that exists ----------------------------------------------------------

    async def cancel(self, run_id: str, by: str, reason: str = "") -> None:
        """Ask for its end. Raises NotFound, Conflict (it is finished)."""
        run = await self.run(run_id)
        if run.finished:
            raise Conflict(f"run {run_id} is finished: {run.state}")
        why = reason or (f"cancelled by {by}" if by else "cancelled")
        await self._ask(CANCEL_REQUESTED, run, {"reason": why, "by": by})

    async def retry(self, run_id: str, by: str) -> None:
        """Ask that it goes on from what failed. Raises NotFound, Conflict (it runs, or it succeeded)."""
        run = await self.run(run_id)
        if not run.finished:
            raise Conflict(f"run {run_id} is not finished: {run.state}")
        if run.state == "succeeded":
            raise Conflict(f"run {run_id} succeeded: there is nothing to retry")
        if not run.spec:
            raise Conflict(f"run {run_id} never began ({run.message}): start its pipeline anew")
        await self._ask(RETRY_REQUESTED, run, {"by": by})

    async def approve(self, run_id: str, answer: Approved) -> None:
        """Answer an `approve` step. Raises NotFound, Conflict (it doesn't ask), Refused (too low a role)."""
        run, step = await self.run(run_id), answer.step
        asking = [one for one in run.steps if one.name == step and one.state == "waiting" and one.role]
        if not asking:
            raise Conflict(f"step '{step}' of run {run_id} does not wait for an approval")
        if not any(may_approve(answer.role, one.role) for one in asking):
            raise Refused(f"step '{step}' of run {run_id} wants the role {asking[0].role}")
        await self._ask(APPROVAL_GIVEN, run, asdict(answer))

    async def run(self, run_id: str) -> Run:
        """The record. Raises NotFound."""
        entry = await self._kv.get(keys.run(run_id))
        if entry is None:
            raise NotFound(f"there is no run {run_id}")
        return Run.from_bytes(entry.value)

    async def _ask(self, type_: str, run: Run, data: Mapping[str, Any]) -> None:
        said = {"run": run.id, "pipeline": run.pipeline, **data}
        now = self._clock.now()
        await self._bus.publish([Event(new_id(), type_, SOURCE, now, said, run.id)])


@dataclass(frozen=True, slots=True)
class Means:
    """What the coordinator's parts work with."""

    kv: Kv
    bus: Bus
    clock: Clock
    specs: Specs
    starts: Starts
    node: str
    notes: Notes


def _digest(asked: Asked) -> str:
    said = [asked.pipeline, asked.params]
    return hashlib.sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _stored(declared: DeclaredPipeline, roots: Mapping[str, Any]) -> bytes:
    spec = {name: value for name, value in declared.spec.items() if name not in {"on", "concurrency"}}
    settled = settled_spec(declared.name, spec, roots)
    return StoredPipeline(name=declared.name, spec=settled, files=dict(declared.files)).to_bytes()


def _ops(run: Run, stored: bytes) -> tuple[Op, ...]:
    return (
        CheckAbsent(keys.run(run.id)),
        Put(keys.run(run.id), run.to_bytes()),
        Put(keys.live_run(run.id), b"{}"),
        Put(keys.pipeline(run.spec), stored),
    )


def _claims(declared: DeclaredPipeline, roots: Mapping[str, Any], asked: Claim | None) -> tuple[Claim, ...]:
    claims = [] if asked is None else [asked]
    concurrency = declared.spec.get("concurrency")
    if concurrency:
        group, on_busy = settled_group(declared.name, concurrency, roots)
        claims.append(Claim(group=group, on_busy=on_busy))
    return tuple(claims)


def _kept(event: Event | None) -> dict[str, Any] | None:
    if event is None:
        return None
    raw = event.to_json()
    return raw if len(orjson.dumps(raw)) <= MAX_EVENT else {**raw, "data": {}}
