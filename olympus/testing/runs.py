"""One run on a virtual clock: the pure core, with a world that does what its effects say, and writes it down."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

import yaml

from olympus.hephaestus.core import decide
from olympus.hephaestus.model import (
    Admitted,
    CancelChild,
    CheckOrder,
    Claims,
    Clear,
    Dispatch,
    Effect,
    Emit,
    Fact,
    Intend,
    Observe,
    OrderEnded,
    OrderMissing,
    OrderStarted,
    Place,
    Placed,
    Requested,
    Resumed,
    RetryAsked,
    RunState,
    StartChild,
    Store,
    WakeAt,
    Withdraw,
    Woken,
    WriteNote,
)
from olympus.hephaestus.orders import Artifact, Order, Outcome
from olympus.hephaestus.recipe import Recipe, parse
from olympus.records.run import Cause, Claim, Run, StepRun, StoredPipeline, Target
from olympus.testing.clock import VirtualClock

Ended = Literal["succeeded", "failed", "cancelled", "unknown"]


class YamlLoader(yaml.SafeLoader):
    """`on` stays a text, as in YAML 1.2's core schema."""


YamlLoader.yaml_implicit_resolvers = {
    first: [pair for pair in pairs if first in "tTfF" or not pair[0].endswith(":bool")]
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def recipe_of(text: str, name: str = "p") -> Recipe:
    """The recipe of a Pipeline's `spec`, in YAML."""
    return parse(StoredPipeline(name=name, spec=yaml.load(text, Loader=YamlLoader)))  # noqa: S506


class RunWorld:
    """Tell it facts; see `orders` (outstanding), `said` (a transcript), `run`.

    strict: forget all but the stored bytes before each fact, as if the leader changed each time
    """

    def __init__(
        self,
        spec: str | dict[str, Any],
        *,
        params: dict[str, Any] | None = None,
        nodes: Sequence[str] = ("n1",),
        strict: bool = False,
        event: dict[str, Any] | None = None,
    ) -> None:
        self.clock = VirtualClock()
        self.recipe = recipe_of(spec) if isinstance(spec, str) else parse(StoredPipeline(name="p", spec=spec))
        self.nodes = tuple(Target(name=node, labels={"role": "web"}) for node in nodes)
        self.strict = strict
        self.orders: dict[str, Order] = {}
        self.started: set[str] = set()
        self.effects: list[Effect] = []
        self.events: list[Emit] = []
        self.said: list[str] = []
        self.wake: datetime | None = None
        self.state: RunState | None = None
        self.children: list[StartChild] = []
        self.intents: list[Intend] = []
        self.notes: list[WriteNote] = []
        self.unfit: dict[str, str] = {}
        self.delegates: dict[str, tuple[Target, ...]] = {}
        self.hold_claims = False
        self.retries = 0
        self._facts: list[Fact] = []
        self.stored = Run(
            id="01",
            pipeline="p",
            revision="abc",
            params=params or {},
            created_at=self.clock.now(),
            spec="digest",
            cause=Cause(event="e0", kind="event", name="x") if event else Cause(),
            event=event,
        )

    # --- what happens ------------------------------------------------------------------------------------

    def begin(self, *, claims: tuple[Claim, ...] = ()) -> RunWorld:
        if claims:
            self.stored = self.stored.model_copy(update={"claims": claims})
        self.tell(Requested(self.stored, self.recipe))
        return self

    def tell(self, fact: Fact) -> None:
        self._facts.append(fact)
        while self._facts:
            self._one(self._facts.pop(0))

    def ok(self, step: str, output: Any = None, *, node: str | None = None, saved: str = "") -> None:
        self.end(step, "succeeded", node=node, exit_code=0, output=output, saved=saved)

    def fail(self, step: str, exit_code: int = 1, *, node: str | None = None, error: str = "") -> None:
        self.end(step, "failed", node=node, exit_code=exit_code, error=error)

    def lose(self, step: str, *, node: str | None = None) -> None:
        self.end(step, "unknown", node=node)

    def end(  # noqa: PLR0913 - each is a part of the outcome
        self,
        step: str,
        state: Ended,
        *,
        node: str | None = None,
        exit_code: int | None = None,
        output: Any = None,
        error: str = "",
        saved: str = "",
    ) -> None:
        """The worker's answer to the outstanding order of `step`."""
        order = self.order(step, node)
        now = self.clock.now()
        if order.id not in self.started:
            self.take(step, node=node)
        artifacts = (Artifact(name=saved, size=1, sha256="00"),) if saved else ()
        outcome = Outcome(
            state=state,
            exit=exit_code,
            output=output,
            error=error,
            started_at=now,
            finished_at=now,
            artifacts=artifacts,
        )
        self.tell(OrderEnded(order.id, order.node, outcome))

    def take(self, step: str, *, node: str | None = None) -> None:
        """The worker begins."""
        order = self.order(step, node)
        self.started.add(order.id)
        self.tell(OrderStarted(order.id, self.clock.now()))

    def order(self, step: str, node: str | None = None) -> Order:
        found = [o for o in self.orders.values() if o.step == step and node in {None, o.node}]
        if len(found) != 1:
            raise LookupError(
                f"{len(found)} outstanding orders of {step}; outstanding: {sorted(self.orders)}"
            )
        return found[0]

    def restart(self) -> None:
        """The leader changes: only what was stored is left."""
        self.state = None
        self.wake = None
        if self.stored.state == "queued":
            self.tell(Requested(self._reread(), self.recipe))
        elif not self.stored.finished:
            self.tell(Resumed(self._reread(), self.recipe))

    def retry(self, by: str = "me") -> None:
        self.retries += 1
        self.tell(RetryAsked(self._reread(), self.recipe, by, f"request{self.retries}"))

    def pass_time(self, seconds: float) -> None:
        """With everything that is due in between."""
        end = self.clock.now() + timedelta(seconds=seconds)
        while self.wake is not None and self.wake <= end:
            self.clock.advance(max(0.0, (self.wake - self.clock.now()).total_seconds()))
            before, self.wake = self.wake, None
            self.tell(Woken())
            if self.wake == before:
                raise AssertionError(f"it is woken at {before} for ever")
        self.clock.advance((end - self.clock.now()).total_seconds())

    # --- what is -----------------------------------------------------------------------------------------

    @property
    def run(self) -> Run:
        return self.state.run if self.state is not None else self.stored

    def step(self, name: str, target: str | None = None) -> StepRun:
        return next(one for one in self.run.steps if one.name == name and target in {None, one.target})

    def states(self) -> dict[str, str]:
        """Step → state; with more than one node, `step@node`."""
        many = len({one.target for one in self.run.steps}) > 1
        return {f"{o.name}@{o.target}" if many else o.name: o.state for o in self.run.steps}

    # --- the world ---------------------------------------------------------------------------------------

    def _reread(self) -> Run:
        return Run.from_bytes(self.stored.to_bytes())

    def _one(self, fact: Fact) -> None:
        if self.strict and self.state is not None:
            # What was not worth a store (polls, for one) must not matter.
            self.state = RunState(self._reread(), self.recipe)
        self._perform(decide(self.state, fact, self.clock.now()))

    def _perform(self, made: Any) -> None:
        self.state = made.state
        for effect in made.effects:
            self.effects.append(effect)
            handler: Callable[[Any], None] | None = getattr(self, f"_{type(effect).__name__.lower()}", None)
            if handler is not None:
                handler(effect)

    def _store(self, effect: Store) -> None:
        self.stored = effect.run

    def _emit(self, effect: Emit) -> None:
        self.events.append(effect)
        data = effect.data
        if effect.type.startswith("olympus."):
            what = " ".join(str(data[key]) for key in ("step", "node", "state") if data.get(key) is not None)
            self.said.append(f"{effect.type.rpartition('.')[2]} {what}".strip())
        else:
            self.said.append(f"emits {effect.type}")

    def _claims(self, effect: Claims) -> None:
        if not self.hold_claims:
            self._facts.append(Admitted())

    def _place(self, effect: Place) -> None:
        self._facts.append(Placed(self.nodes, self.delegates, self.unfit))

    def _dispatch(self, effect: Dispatch) -> None:
        order = Order.from_bytes(effect.order.to_bytes())
        self.orders[order.id] = order
        self.said.append(f"order {order.step} {order.node} #{order.attempt}")

    def _clear(self, effect: Clear) -> None:
        self.orders.pop(effect.order, None)

    def _withdraw(self, effect: Withdraw) -> None:
        self.said.append(f"withdraw {effect.order.split('.', 1)[1]}")
        order = self.orders.get(effect.order)
        outcome = Outcome(state="cancelled", error=effect.reason)
        if order is None or order.id not in self.started:
            self._facts.append(OrderEnded(effect.order, effect.node, outcome))

    def _checkorder(self, effect: CheckOrder) -> None:
        if effect.order not in self.orders:
            self._facts.append(OrderMissing(effect.order))
        elif effect.order in self.started:
            self._facts.append(OrderStarted(effect.order, self.clock.now()))

    def _startchild(self, effect: StartChild) -> None:
        self.children.append(effect)
        self.said.append(f"starts {effect.pipeline}")

    def _cancelchild(self, effect: CancelChild) -> None:
        self.said.append(f"cancels child: {effect.reason}")

    def _intend(self, effect: Intend) -> None:
        self.intents.append(effect)
        self.said.append(f"intends {effect.do} {effect.service}")

    def _writenote(self, effect: WriteNote) -> None:
        self.notes.append(effect)
        self.said.append(f"writes note {effect.path}")

    def _observe(self, effect: Observe) -> None:
        self.said.append("looks at " + " ".join(f"{key}={value}" for key, value in effect.what.items()))

    def _wakeat(self, effect: WakeAt) -> None:
        self.wake = effect.when
