"""The bus: nothing is lost, each publisher's order is kept, and a transaction's state goes with its events."""

from __future__ import annotations

import asyncio
import random
import tempfile
from contextlib import aclosing, asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from olympus.hermes import keys
from olympus.hermes.bus import Bus, Retention
from olympus.hermes.kv import CheckAbsent, Put, TransactionConflict
from olympus.hermes.kv_embedded import EmbeddedKv
from olympus.hermes.spool import Spool
from olympus.kernel.clock import SystemClock
from olympus.kernel.errors import HermesUnreachable, Refused
from olympus.kernel.events import Event
from olympus.kernel.ids import new_id
from olympus.testing.clock import VirtualClock

CLOCK = SystemClock()


def event(n: int, type_: str = "test.counted", **more) -> Event:
    return Event(new_id(), type_, "test", CLOCK.now(), {"n": n}, **more)


@asynccontextmanager
async def running(kv, publisher="n1", **more):
    bus = Bus(kv, publisher, clock=more.pop("clock", CLOCK), **more)
    task = asyncio.ensure_future(bus.run())
    try:
        yield bus
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def take(subscription, count: int) -> list[Event]:
    got: list[Event] = []
    async with asyncio.timeout(20):
        while len(got) < count:
            got += (await anext(subscription)).events
    return got


async def test_what_is_published_reaches_every_subscriber_in_order(kv):
    async with running(kv) as bus:
        cursor = await bus.now()
        subscriptions = [bus.subscribe(cursor) for _ in range(3)]
        await asyncio.gather(*(bus.publish([event(i)]) for i in range(200)))
        for subscription in subscriptions:
            async with aclosing(subscription):
                assert [e.data["n"] for e in await take(subscription, 200)] == list(range(200))


async def test_two_publishers_are_heard_each_in_its_order(kv):
    async with running(kv, "n1") as one, running(kv, "n2") as two, aclosing(one.subscribe({})) as heard:
        for i in range(50):
            await one.publish([event(i)], durable=False)
            await two.publish([event(1000 + i)], durable=False)
        got = [e.data["n"] for e in await take(heard, 100)]
    assert [n for n in got if n < 1000] == list(range(50))
    assert [n for n in got if n >= 1000] == list(range(1000, 1050))


async def test_a_failed_guard_publishes_nothing_and_harms_nobody_beside_it(kv):
    await kv.transact([Put("olympus/taken", b"x")])
    async with running(kv) as bus:
        before = await bus.now()
        results = await asyncio.gather(
            bus.publish([event(1)], [Put("olympus/a", b"1")]),
            bus.publish([event(2)], [CheckAbsent("olympus/taken"), Put("olympus/b", b"1")]),
            bus.publish([event(3)], [Put("olympus/c", b"1")]),
            return_exceptions=True,
        )
        assert isinstance(results[1], TransactionConflict)
        assert results[1].failed == (0,)
        assert results[0]["olympus/a"] == (await kv.get("olympus/a")).version
        assert await kv.get("olympus/b") is None
        async with aclosing(bus.subscribe(before)) as subscription:
            assert [e.data["n"] for e in await take(subscription, 2)] == [1, 3]


async def test_a_cursor_that_was_stored_goes_on_after_a_restart(kv):
    async with running(kv) as bus:
        await bus.publish([event(0)])
        start = await bus.now()
        await bus.publish([event(i) for i in range(1, 4)])
        async with aclosing(bus.subscribe(start)) as subscription:
            batch = await anext(subscription)
            await kv.transact([bus.cursor_op("me", batch.cursor)])
        await bus.publish([event(4)])
    async with (
        running(kv) as again,
        aclosing(again.subscribe(await again.stored_cursor("me"))) as subscription,
    ):
        assert [e.data["n"] for e in await take(subscription, 1)] == [4]


async def test_history_pages_through_all_in_both_directions_and_filters(kv):
    async with running(kv) as bus:
        for i in range(30):
            await bus.publish([event(i, "a.even" if i % 2 == 0 else "b.odd", node=f"n{i % 3}")])
        for newest_first in (True, False):
            seen: list[int] = []
            after = None
            while True:
                page, after = await bus.history(limit=7, after=after, newest_first=newest_first)
                seen += [e.data["n"] for e in page]
                if after is None:
                    break
            assert seen == (list(range(29, -1, -1)) if newest_first else list(range(30)))
        evens, _ = await bus.history(types=["a.*"])
        assert {e.data["n"] % 2 for e in evens} == {0}
        of_node, _ = await bus.history(node="n1")
        assert {e.data["n"] % 3 for e in of_node} == {1}
        middle = evens[5]
        later, _ = await bus.history(since=middle.time, until=evens[0].time, newest_first=False)
        assert later[0].id == middle.id
        assert evens[0].id not in {e.id for e in later}
        assert await bus.find(middle.id) == middle
        assert await bus.find(new_id()) is None
        with pytest.raises(Refused):
            await bus.history(after="nonsense")


async def test_an_event_with_a_foreign_id_is_found_as_well(kv):
    async with running(kv) as bus:
        foreign = Event("not-one-of-ours", "x.y", "s", CLOCK.now())
        await bus.publish([event(1)])
        await bus.publish([foreign])
        assert await bus.find("not-one-of-ours") == foreign


async def test_what_is_too_large_for_a_transaction_is_split_in_order(kv):
    async with running(kv) as bus:
        async with aclosing(bus.subscribe(await bus.now())) as subscription:
            big = [Event(new_id(), "x.y", "s", CLOCK.now(), {"n": i, "pad": "x" * 60_000}) for i in range(20)]
            await bus.publish(big)
            assert [e.data["n"] for e in await take(subscription, 20)] == list(range(20))
        with pytest.raises(Refused):
            await bus.publish(big, [Put("olympus/x", b"")])


async def test_old_segments_go_by_age_and_by_size_and_the_newest_stays(tmp_path):
    clock = VirtualClock()
    kv = EmbeddedKv.open(tmp_path / "h.db", clock)
    bus_clock = clock
    async with running(kv, clock=bus_clock, retention=Retention(timedelta(days=1), 10_000, 1e9)) as bus:
        for i in range(5):
            await bus.publish([event(i)])
        clock.advance(90_000)
        await bus.publish([event(5)])
        while await bus.retain():
            pass
        kept, _ = await bus.history()
        assert [e.data["n"] for e in kept] == [5]
        for i in range(6, 100):
            await bus.publish([event(i)])
        while await bus.retain():
            pass
        sizes = sum(len(e.value) for e in (await kv.scan(keys.segments("n1"))).entries)
        assert sizes <= 10_400
        await bus.publish([event(100)])
        kept, _ = await bus.history(limit=1)
        assert kept[0].data["n"] == 100
    await kv.close()


class Away:
    """A store that can be unplugged."""

    def __init__(self, kv) -> None:
        self._kv = kv
        self.gone = False

    def __getattr__(self, name):
        found = getattr(self._kv, name)
        if name == "watch":
            return found

        async def call(*args, **kwargs):
            if self.gone:
                raise HermesUnreachable("unplugged")
            return await found(*args, **kwargs)

        return call


async def test_while_hermes_is_away_events_wait_on_disk_and_come_in_order(tmp_path):
    kv = EmbeddedKv.open(tmp_path / "h.db", CLOCK)
    away = Away(kv)
    async with running(away, spool=tmp_path / "spool") as bus:
        cursor = await bus.now()
        await bus.publish([event(0)])
        away.gone = True
        for i in range(1, 4):
            with suppress(HermesUnreachable):
                await bus.publish([event(i)])
        with pytest.raises(HermesUnreachable):
            await bus.publish([event(99)], [Put("olympus/x", b"")])
        assert (tmp_path / "spool" / "n1.jsonl").stat().st_size > 0
    away.gone = False
    async with (
        running(away, spool=tmp_path / "spool") as bus,
        aclosing(bus.subscribe(cursor)) as subscription,
    ):
        assert [e.data["n"] for e in await take(subscription, 4)] == [0, 1, 2, 3]
        async with asyncio.timeout(10):
            while (tmp_path / "spool" / "n1.jsonl").stat().st_size:
                await asyncio.sleep(0.01)
    await kv.close()


def test_a_spool_that_is_full_refuses_and_keeps_what_it_has(tmp_path):
    spool = Spool(tmp_path / "s.jsonl", limit=400)
    spool.append([event(1)])
    with pytest.raises(HermesUnreachable, match="full"):
        spool.append([event(i) for i in range(10)])
    assert [e.data["n"] for e in spool.read()] == [1]


def test_what_a_power_cut_left_half_written_is_left_out(tmp_path):
    file = tmp_path / "s.jsonl"
    spool = Spool(file)
    spool.append([event(1), event(2)])
    with file.open("ab") as half:
        half.write(b'{"specversion": "1.0", "id": "3", "ty')
    again = Spool(file)
    again.append([event(4)])
    assert [e.data["n"] for e in again.read()] == [1, 2, 4]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.lists(st.integers(1, 30), min_size=1, max_size=6))
def test_the_set_sent_equals_the_set_handled_however_often_both_ends_restart(seed, rounds):
    """Handled means: stored in one transaction with the cursor. Both ends are cut off at random points."""
    chance = random.Random(seed)

    async def story() -> None:
        with tempfile.TemporaryDirectory() as folder:
            kv = EmbeddedKv.open(Path(folder) / "h.db", CLOCK)
            sent: list[int] = []
            start = None
            for count in rounds:
                async with running(kv) as bus:
                    start = start if start is not None else await bus.now()
                    for _ in range(count):
                        sent.append(len(sent))
                        await bus.publish([event(sent[-1])], durable=False)
                    await handle(kv, bus, start, stop_after=chance.randint(0, 40))
            async with running(kv) as bus:
                await handle(kv, bus, start, stop_after=len(sent), until=len(sent))
            handled = sorted(int(k.rpartition("/")[2]) for k in await kv.keys("olympus/handled/"))
            assert handled == sent
            await kv.close()

    async def handle(kv, bus, start, *, stop_after: int, until: int | None = None) -> None:
        cursor = await bus.stored_cursor("me") or start
        taken = 0
        async with aclosing(bus.subscribe(cursor)) as subscription:
            while True:
                done = len(await kv.keys("olympus/handled/"))
                if done == until or (until is None and taken >= stop_after):
                    return
                try:
                    async with asyncio.timeout(0.05 if until is None else 5):
                        batch = await anext(subscription)
                except TimeoutError:
                    assert until is None
                    return
                taken += len(batch.events)
                if until is None and taken > stop_after:
                    return  # cut off between taking and storing
                for i in range(0, len(batch.events), 40):
                    puts = [
                        Put(f"olympus/handled/{e.data['n']}", e.id.encode()) for e in batch.events[i : i + 40]
                    ]
                    last = i + 40 >= len(batch.events)
                    await kv.transact([*puts, *([bus.cursor_op("me", batch.cursor)] if last else [])])

    asyncio.run(story())
