"""The loop that every god runs in."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta

import pytest

from olympus.actor import Actor
from olympus.kernel.clock import SystemClock
from olympus.kernel.decision import Decision
from olympus.kernel.errors import Conflict


def counting(performed: list, perform=None) -> Actor:
    """Counts what it is told per key; 'stop' forgets the key."""

    def decide(state, fact, _now):
        return Decision(None if fact == "stop" else (state or 0) + 1, (fact,))

    async def remember(decided):
        performed.append([(d.key, d.before, d.after, d.effects) for d in decided])

    return Actor(
        clock=SystemClock(), decide=decide, perform=perform or remember, wake=lambda key: f"due {key}"
    )


async def running(actor: Actor, until) -> None:
    task = asyncio.ensure_future(actor.run())
    async with asyncio.timeout(10):
        while not until() and not task.done():
            await asyncio.sleep(0.001)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_facts_told_together_are_performed_together_in_order():
    performed: list = []
    actor = counting(performed)
    actor.tell("a", "one")
    actor.tell("b", "two")
    actor.tell("a", "three")
    await running(actor, lambda: performed)
    assert performed == [
        [("a", None, 1, ("one",)), ("b", None, 1, ("two",)), ("a", 1, 2, ("three",))],
    ]


async def test_a_key_wakes_at_its_last_deadline_once():
    performed: list = []
    actor = counting(performed)
    now = SystemClock().now()
    actor.wake_at("a", now + timedelta(hours=1))
    actor.wake_at("a", now + timedelta(milliseconds=20))
    await running(actor, lambda: performed)
    assert performed == [[("a", None, 1, ("due a",))]]


async def test_a_forgotten_key_has_no_state_and_no_deadline():
    performed: list = []
    actor = counting(performed)
    actor.load("a", 5)
    actor.wake_at("a", SystemClock().now() + timedelta(milliseconds=50))
    actor.tell("a", "stop")
    await running(actor, lambda: performed)
    assert actor.states() == {}
    await running(actor, lambda: True)
    assert performed == [[("a", 5, None, ("stop",))]]


async def test_a_conflict_ends_the_loop_so_that_its_owner_loads_anew():
    async def perform(_decided):
        raise Conflict("another leader wrote")

    actor = counting([], perform)
    actor.tell("a", "x")
    with pytest.raises(Conflict):
        await actor.run()
