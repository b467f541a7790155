"""One leads, a standby takes over, and who led before writes nothing."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from olympus.hermes import keys
from olympus.hermes.chunks import Blob, get_blob, put_blob, sweep
from olympus.hermes.kv import Put, TransactionConflict
from olympus.hermes.lease import Lease, lead
from olympus.hermes.registry import Member
from olympus.hermes.registry_embedded import EmbeddedRegistry
from olympus.kernel.errors import Conflict, NotFound


async def stopped(*tasks):
    for task in tasks:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_one_of_two_leads_and_the_other_takes_over_at_once_when_it_gives_back(kv):
    leading: list[tuple[str, int]] = []
    changed = asyncio.Event()

    def work(name):
        async def reign(term):
            leading.append((name, term.epoch))
            changed.set()
            await asyncio.Event().wait()

        return reign

    first = asyncio.ensure_future(lead(Lease(kv, "r", "a"), work("a")))
    async with asyncio.timeout(10):
        await changed.wait()
    changed.clear()
    second = asyncio.ensure_future(lead(Lease(kv, "r", "b"), work("b")))
    await asyncio.sleep(0.3)
    assert leading == [("a", 1)]
    await stopped(first)
    async with asyncio.timeout(10):
        await changed.wait()
    assert leading == [("a", 1), ("b", 2)]
    await stopped(second)
    assert (await kv.get(keys.epoch("r"))).value == b"2"


async def test_a_leader_whose_session_ended_writes_nothing_and_is_told(kv):
    lease = Lease(kv, "r", "a")
    term, session = await lease.acquire()
    await kv.transact([term.guard, Put("olympus/x", b"1")])
    await kv.destroy_session(session)
    with pytest.raises(TransactionConflict):
        await kv.transact([term.guard, Put("olympus/x", b"2")])
    other, _ = await Lease(kv, "r", "b").acquire()
    assert other.epoch == term.epoch + 1
    with pytest.raises(TransactionConflict):
        await kv.transact([term.guard, Put("olympus/x", b"3")])
    assert (await kv.get("olympus/x")).value == b"1"


async def test_work_that_meets_a_conflict_is_begun_anew_with_a_higher_epoch(kv):
    epochs: list[int] = []

    async def work(term):
        epochs.append(term.epoch)
        if len(epochs) < 3:
            raise Conflict("somebody else wrote")
        await asyncio.Event().wait()

    task = asyncio.ensure_future(lead(Lease(kv, "r", "a"), work))
    async with asyncio.timeout(15):
        while len(epochs) < 3:
            await asyncio.sleep(0.01)
    await stopped(task)
    assert epochs == sorted(set(epochs))


async def test_who_is_ended_at_the_moment_its_term_is_lost_does_not_lead_again(kv):
    epochs, begun = [], asyncio.Event()

    async def reign(term):
        epochs.append(term.epoch)
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            # What was being written comes back refused.
            raise Conflict("another one has written")

    task = asyncio.ensure_future(lead(Lease(kv, "r", "a"), reign))
    async with asyncio.timeout(10):
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert epochs == [1]


async def test_other_errors_of_the_work_are_not_swallowed(kv):
    async def work(term):
        raise RuntimeError("a bug")

    with pytest.raises(ExceptionGroup):
        await lead(Lease(kv, "r", "a"), work)


async def test_blobs_survive_in_pieces_and_equal_pieces_are_kept_once(kv):
    data = bytes(range(256)) * 8000 + b"tail"
    blob = await put_blob(kv, data)
    assert await put_blob(kv, data) == blob
    assert Blob.from_json(blob.to_json()) == blob
    assert await get_blob(kv, blob) == data
    empty = await put_blob(kv, b"")
    assert await get_blob(kv, empty) == b""
    assert await sweep(kv, empty.chunks) == len(blob.chunks)
    with pytest.raises(NotFound):
        await get_blob(kv, blob)


async def test_members_are_told_now_and_when_they_change():
    registry = EmbeddedRegistry()
    watch = registry.watch()
    assert await anext(watch) == ()
    await registry.register(Member("b", "2"))
    await registry.register(Member("a", "1"))
    assert [m.name for m in await anext(watch)] == ["a", "b"]
    await registry.deregister("b")
    assert [m.name for m in await anext(watch)] == ["a"]
