"""The one loop that every god runs in: facts come in, a pure core decides, the decision is performed.

    tell(fact) ──▶ inbox ──▶ decide(state, fact, now) ──▶ Decision ──▶ perform(effects)
                     ▲                                        │
                  timers ◀──────── wake(key, when) ◀──────────┘

A god keeps one state per key (run, schedule, instance), so that a decision never costs what is stored.
`perform` gets the decisions of a whole batch of facts, so that one transaction can carry them all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from olympus.kernel.clock import Clock
from olympus.kernel.decision import Decision
from olympus.kernel.timers import Timers

Key = TypeVar("Key", bound=Hashable)
State = TypeVar("State")
Fact = TypeVar("Fact")
Effect = TypeVar("Effect")

MAX_BATCH = 256
# A wall clock that was set must not delay what is due: the sleep is cut and the clock read again.
MAX_SLEEP = 60.0


@dataclass(frozen=True, slots=True)
class Decided(Generic[Key, State, Effect]):
    """What `decide` made of one fact about `key`; `before` is the state that it replaced."""

    key: Key
    before: State | None
    after: State | None
    effects: tuple[Effect, ...]


class Actor(Generic[Key, State, Fact, Effect]):
    """Runs `decide` on facts, one at a time per actor.

    decide:  pure; gets None for a key without state, returns a state of None to forget the key
    perform: stores the states and does the effects, in the order given; it raises Conflict when another
             leader has written, which ends the actor so that its owner loads anew
    wake:    the fact that tells a key that its time has come (see `wake_at`)
    max_batch: of how many facts `perform` gets the decisions at most
    """

    def __init__(
        self,
        *,
        clock: Clock,
        decide: Callable[[State | None, Fact, datetime], Decision[State | None, Effect]],
        perform: Callable[[Sequence[Decided[Key, State, Effect]]], Awaitable[None]],
        wake: Callable[[Key], Fact],
        max_batch: int = MAX_BATCH,
    ) -> None:
        self._clock = clock
        self._decide = decide
        self._perform = perform
        self._wake = wake
        self._max_batch = max_batch
        self._states: dict[Key, State] = {}
        self._timers: Timers[Key] = Timers()
        self._inbox: list[tuple[Key, Fact]] = []
        self._stirred = asyncio.Event()

    def load(self, key: Key, state: State) -> None:
        """Take `state` as it was stored, without deciding anything."""
        self._states[key] = state

    def state(self, key: Key) -> State | None:
        return self._states.get(key)

    def states(self) -> dict[Key, State]:
        """A copy: what is known of every key now."""
        return dict(self._states)

    def tell(self, key: Key, fact: Fact) -> None:
        """Put a fact in the inbox; returns at once. From the event loop's thread only."""
        self._inbox.append((key, fact))
        self._stirred.set()

    def wake_at(self, key: Key, when: datetime | None) -> None:
        """Tell `wake(key)` at `when`; None cancels. One deadline per key: a second one moves it."""
        if when is None:
            self._timers.cancel(key)
        else:
            self._timers.set(key, when)
        self._stirred.set()

    async def run(self) -> None:
        """Until cancelled, or until `perform` raises."""
        while True:
            await self._idle()
            self._inbox.extend((key, self._wake(key)) for key in self._timers.due(self._clock.now()))
            batch, self._inbox = self._inbox[: self._max_batch], self._inbox[self._max_batch :]
            decided = [self._one(key, fact) for key, fact in batch]
            if decided:
                await self._perform(decided)

    def _one(self, key: Key, fact: Fact) -> Decided[Key, State, Effect]:
        before = self._states.get(key)
        decision = self._decide(before, fact, self._clock.now())
        if decision.state is None:
            self._states.pop(key, None)
            self._timers.cancel(key)
        else:
            self._states[key] = decision.state
        return Decided(key, before, decision.state, decision.effects)

    async def _idle(self) -> None:
        while not self._inbox:
            self._stirred.clear()
            soonest = self._timers.next()
            delay = None if soonest is None else (soonest - self._clock.now()).total_seconds()
            if delay is not None and delay <= 0:
                return
            try:
                async with asyncio.timeout(None if delay is None else min(delay, MAX_SLEEP)):
                    await self._stirred.wait()
            except TimeoutError:
                continue
