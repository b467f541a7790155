"""A run while one decision is made of it: entries by step and node, and the effects so far."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from olympus.hephaestus.model import Effect, Emit, RunState, Store, WakeAt
from olympus.hephaestus.recipe import Recipe, Step, settled
from olympus.kernel.clock import rfc3339
from olympus.kernel.decision import Decision
from olympus.kernel.errors import Invalid
from olympus.kernel.ids import derived_id
from olympus.records.run import Run, StepRun, Target

Made = Decision[RunState | None, Effect]

RUN_STARTED: Final = "olympus.hephaestus.run-started"
STEP_FINISHED: Final = "olympus.hephaestus.step-finished"
RUN_FINISHED: Final = "olympus.hephaestus.run-finished"


class Draft:
    """Lives within one call of `decide`; `done` freezes it into a Decision."""

    def __init__(self, run: Run, recipe: Recipe, now: datetime) -> None:
        self.recipe = recipe
        self.now = now
        self.effects: list[Effect] = []
        self.entries: dict[tuple[str, str], StepRun] = {one.key: one for one in run.steps}
        self._run = run
        self._changes: dict[str, Any] = {}
        self._stored: bool | None = None  # None: nothing to store, False: lazily, True: with the effects
        self._events = 0
        self._steps_root: dict[str, Any] | None = None

    @property
    def run(self) -> Run:
        """The record as it is by now."""
        if "steps" in self._changes:
            self._changes["steps"] = tuple(self.entries.values())
        if self._changes:
            self._run = self._run.model_copy(update=self._changes)
            self._changes = {}
        return self._run

    def change(self, **fields: Any) -> None:
        """Set fields of the run."""
        self._changes.update(fields)
        self._stored = True

    def put(  # - fields of StepRun
        self,
        entry: StepRun,
        *,
        lazy: bool = False,
        quiet: bool = False,
        **fields: Any,
    ) -> StepRun:
        """Replace the entry. lazy: stored within a moment; quiet: with the next store."""
        new = entry.model_copy(update=fields)
        self.entries[new.key] = new
        self._changes["steps"] = None
        self._steps_root = None
        if not quiet:
            self._stored = bool(self._stored) or not lazy
        return new

    def do(self, *effects: Effect) -> None:
        self.effects.extend(effects)

    def step(self, entry: StepRun) -> Step:
        found = self.recipe.step(entry.name)
        if found is None:
            raise LookupError(f"run {self.run.id} has a step '{entry.name}' that its pipeline has not")
        return found

    def settled(self, entry: StepRun) -> Step:
        """As `step`, with what its typed expressions yield for this entry. Raises Invalid."""
        step = self.step(entry)
        return step if step.unsettled is None else settled(step, self.roots(entry))

    def begun(self, entry: StepRun) -> Step:
        """As `settled`, of an entry that has begun; were its expressions to fail now, its defaults count."""
        try:
            return self.settled(entry)
        except Invalid:
            return self.step(entry)

    def ordered(self, order: str) -> StepRun | None:
        """The entry whose outstanding attempt is `order`."""
        return next((one for one in self.entries.values() if one.order == order), None)

    def open(self) -> list[StepRun]:
        return [one for one in self.entries.values() if not one.ended]

    def emit(
        self, type_: str, data: Mapping[str, Any], *, node: str | None = None, first: bool = False
    ) -> str:
        """An event of this run: caused by its run-started event (`first`), which what started it caused."""
        self._events += 1
        run = self.run
        # Derived: the same decision made again after a crash makes the same event.
        attempts = sum(one.attempt for one in self.entries.values())
        over = sum(one.ended for one in self.entries.values())
        seed = f"{run.id}/{run.retries}/{attempts}/{over}/{self._events}/{type_}"
        event = derived_id(int(self.now.timestamp() * 1000), seed)
        cause = run.cause.event if first else run.begun or run.cause.event
        self.do(Emit(event, type_, data, node, cause, run.depth if first else run.depth + 1))
        return event

    def roots(self, entry: StepRun) -> dict[str, Any]:
        """What expressions of this entry's step see."""
        run = self.run
        if self._steps_root is None:
            self._steps_root = _by_name(self.entries.values())
        mine = {
            name: {**values["nodes"].get(entry.target, {}), "nodes": values["nodes"]}
            for name, values in self._steps_root.items()
        }
        return {
            "params": run.params,
            "steps": mine,
            "run": self._run_root(),
            "node": _node(self._node_of(entry)),
            "target": _node(
                next((t for t in run.targets if t.name == entry.target), Target(name=entry.target))
            ),
            "event": run.event or {},
            "cause": run.cause.to_json(),
        }

    def _run_root(self) -> dict[str, Any]:
        run = self.run
        state: str = run.state
        if run.stop is not None:
            state = run.stop.state
        elif any(one.state in {"failed", "unknown"} for one in self.entries.values()):
            state = "failed"
        return {
            "id": run.id,
            "pipeline": run.pipeline,
            "revision": run.revision,
            "state": state,
            "createdAt": rfc3339(run.created_at),
            "startedAt": rfc3339(run.started_at) if run.started_at else None,
            "message": run.message
            or next((e.message for e in self.entries.values() if e.state == "failed"), ""),
        }

    def _node_of(self, entry: StepRun) -> Target:
        known = (*self.run.targets, *self.run.delegates.get(entry.name, ()))
        return next((one for one in known if one.name == entry.node), Target(name=entry.node))

    def done(self, *, forget: bool = False) -> Made:
        """The decision; its store comes first, so that nothing is done that is not recorded."""
        run = self.run
        if self._stored is not None:
            self.effects.insert(0, Store(run, lazy=not self._stored))
        if forget:
            return Decision(None, tuple(self.effects))
        self.effects.append(WakeAt(self._next_wake()))
        return Decision(RunState(run, self.recipe), tuple(self.effects))

    def _next_wake(self) -> datetime | None:
        moments = [self.run.deadline] if self.run.deadline and not self.run.finished else []
        for one in self.entries.values():
            if not one.ended:
                moments += [moment for moment in (one.wake_at, one.deadline) if moment is not None]
        return min(moments, default=None)


def _by_name(entries: Iterable[StepRun]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for one in entries:
        if one.state == "pending" and not one.attempt:
            continue
        values = {"state": one.state, "exit": one.exit, "output": one.output}
        out.setdefault(one.name, {"nodes": {}})["nodes"][one.target] = values
    return out


def _node(target: Target) -> dict[str, Any]:
    return {"name": target.name, "labels": target.labels, "address": target.address}


def told(run: Run, state: str, reason: str) -> dict[str, Any]:
    """The data of run-started and run-finished."""
    return {
        "run": run.id,
        "pipeline": run.pipeline,
        "state": state,
        "reason": reason,
        "cause": run.cause.to_json(),
    }
