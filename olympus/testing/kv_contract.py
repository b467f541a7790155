"""What every adapter of `Kv` does: one suite, run against each of them.

Subclass it with a fixture `kv`; keys are under `self.root`, which is new for each test.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from olympus.hermes.kv import (
    MAX_BODY,
    MAX_OPS,
    MAX_PREFIX,
    Cas,
    CheckAbsent,
    CheckSession,
    CheckVersion,
    Delete,
    DeleteCas,
    DeletePrefix,
    Kv,
    Lock,
    Op,
    Put,
    Snapshot,
    TooLarge,
    TransactionConflict,
    Unlock,
)
from olympus.kernel.errors import NotFound
from olympus.kernel.ids import new_id


async def _next(watch: AsyncGenerator[Snapshot, None], within: float = 5.0) -> Snapshot:
    async with asyncio.timeout(within):
        return await anext(watch)


class KvContract:
    """`lock_ttl` is the shortest time-to-live of a session that the adapter holds to."""

    lock_ttl = 0.3

    @pytest.fixture(autouse=True)
    def _fresh_root(self) -> None:
        self.root = f"olympus/test-{new_id()}/"

    async def test_what_was_put_is_read(self, kv: Kv) -> None:
        versions = await kv.transact([Put(self.root + "a", b"\x00\xff"), Put(self.root + "b", b"")])
        entry = await kv.get(self.root + "a")
        assert entry is not None
        assert (entry.value, entry.version, entry.session) == (b"\x00\xff", versions[self.root + "a"], None)
        assert (await kv.get(self.root + "b")).value == b""  # type: ignore[union-attr]
        assert await kv.get(self.root + "c") is None

    async def test_a_prefix_is_scanned_in_order_and_nothing_beside_it(self, kv: Kv) -> None:
        for name in ("b/2", "a", "b/10", "b", "c"):
            await kv.transact([Put(self.root + name, name.encode())])
        found = await kv.scan(self.root + "b/")
        assert [entry.key for entry in found.entries] == [self.root + "b/10", self.root + "b/2"]
        assert await kv.keys(self.root) == [self.root + n for n in ("a", "b", "b/10", "b/2", "c")]
        assert (await kv.scan(self.root + "none/")).entries == ()
        assert await kv.keys(self.root + "none/") == []

    @pytest.mark.parametrize(
        "guard", ["cas", "cas-absent", "check-absent", "check-version", "delete-cas", "check-session"]
    )
    async def test_a_failed_guard_undoes_all_and_is_named(self, kv: Kv, guard: str) -> None:
        key = self.root + "guarded"
        version = (await kv.transact([Put(key, b"before")]))[key]
        ops: dict[str, Op] = {
            "cas": Cas(key, b"x", version + 1000),
            "cas-absent": Cas(key, b"x", 0),
            "check-absent": CheckAbsent(key),
            "check-version": CheckVersion(key, version + 1000),
            "delete-cas": DeleteCas(key, version + 1000),
            "check-session": CheckSession(key, "3b7f7c5e-0000-0000-0000-000000000000"),
        }
        with pytest.raises(TransactionConflict) as conflict:
            await kv.transact([Put(self.root + "other", b"1"), ops[guard]])
        assert conflict.value.failed == (1,)
        assert await kv.get(self.root + "other") is None
        assert (await kv.get(key)).value == b"before"  # type: ignore[union-attr]

    async def test_guards_that_hold_let_all_through(self, kv: Kv) -> None:
        key, gone = self.root + "k", self.root + "gone"
        versions = await kv.transact([Cas(key, b"1", 0), Put(gone, b"x"), Put(self.root + "p/1", b"x")])
        await kv.transact(
            [
                CheckVersion(key, versions[key]),
                CheckAbsent(self.root + "absent"),
                Cas(key, b"2", versions[key]),
                DeleteCas(gone, versions[gone]),
                DeletePrefix(self.root + "p/"),
                Delete(self.root + "never-was"),
            ]
        )
        assert [e.key for e in (await kv.scan(self.root)).entries] == [key]

    async def test_versions_only_grow(self, kv: Kv) -> None:
        seen = [
            (await kv.transact([Put(self.root + "v", str(i).encode())]))[self.root + "v"] for i in range(5)
        ]
        assert seen == sorted(set(seen))

    async def test_what_is_written_as_it_was_changes_nothing(self, kv: Kv) -> None:
        key, other = self.root + "same", self.root + "other"
        version = (await kv.transact([Put(key, b"1")]))[key]
        async with aclosing(kv.watch(self.root)) as watch:
            await _next(watch)
            again = await kv.transact([Put(key, b"1")])
            cas = await kv.transact([Cas(key, b"1", version)])
            assert again[key] == cas[key] == version
            assert (await kv.get(key)).version == version  # type: ignore[union-attr]
            await kv.transact([Put(other, b"1")])
            assert [e.key for e in (await _next(watch)).entries] == [other, key]

    async def test_of_many_at_once_exactly_one_wins(self, kv: Kv) -> None:
        async def take(i: int) -> bool:
            try:
                await kv.transact([Cas(self.root + "one", str(i).encode(), 0)])
            except TransactionConflict:
                return False
            return True

        assert sum(await asyncio.gather(*(take(i) for i in range(20)))) == 1

    async def test_what_is_over_the_limits_is_refused_as_a_whole(self, kv: Kv) -> None:
        with pytest.raises(TooLarge, match="operations"):
            await kv.transact([Put(f"{self.root}{i}", b"") for i in range(MAX_OPS + 1)])
        with pytest.raises(TooLarge, match="bytes"):
            await kv.transact([Put(self.root + "big", b"x" * (MAX_BODY + 1))])
        await kv.transact([Put(self.root + "big", b"x" * MAX_BODY)])
        await kv.transact([Put(f"{self.root}{i}", b"") for i in range(MAX_OPS)])

    async def test_a_watch_tells_what_is_there_and_each_change(self, kv: Kv) -> None:
        async with aclosing(kv.watch(self.root)) as watch:
            assert (await _next(watch)).entries == ()
            await kv.transact([Put(self.root + "a", b"1")])
            assert [e.value for e in (await _next(watch)).entries] == [b"1"]
            await kv.transact([Put(self.root + "a", b"2")])
            assert [e.value for e in (await _next(watch)).entries] == [b"2"]
            await kv.transact([Delete(self.root + "a")])
            assert (await _next(watch)).entries == ()

    async def test_a_watch_is_not_woken_by_what_is_beside_its_prefix(self, kv: Kv) -> None:
        async with aclosing(kv.watch(self.root + "in/")) as watch:
            await _next(watch)
            await kv.transact([Put(self.root + "out", b"1")])
            await kv.transact([Put(self.root + "in/a", b"1")])
            found = await _next(watch)
            assert [e.key for e in found.entries] == [self.root + "in/a"]

    async def test_changes_may_coalesce_but_the_last_one_is_told(self, kv: Kv) -> None:
        async with aclosing(kv.watch(self.root)) as watch:
            await _next(watch)
            for i in range(50):
                await kv.transact([Put(self.root + "n", str(i).encode())])
            seen = 0
            while (found := await _next(watch)).entries[0].value != b"49":
                seen += 1
                assert seen <= 50, found

    async def test_a_hundred_watchers_share_one_store(self, kv: Kv) -> None:
        async def one(i: int) -> bytes:
            async with aclosing(kv.watch(f"{self.root}w/{i}/")) as watch:
                found = await _next(watch, 20)
                while not found.entries:
                    found = await _next(watch, 20)
                return found.entries[0].value

        tasks = [asyncio.ensure_future(one(i)) for i in range(100)]
        await asyncio.sleep(0.2)
        for i in range(100):
            await kv.transact([Put(f"{self.root}w/{i}/k", str(i).encode())])
        assert await asyncio.gather(*tasks) == [str(i).encode() for i in range(100)]

    async def test_a_lock_is_one_sessions_alone(self, kv: Kv) -> None:
        key = self.root + "lock"
        mine, other = await kv.create_session(30), await kv.create_session(30)
        await kv.transact([Lock(key, b"mine", mine)])
        with pytest.raises(TransactionConflict):
            await kv.transact([Lock(key, b"other", other)])
        with pytest.raises(TransactionConflict):
            await kv.transact([CheckSession(key, other), Put(self.root + "x", b"1")])
        await kv.transact([CheckSession(key, mine), Put(self.root + "y", b"1")])
        assert (await kv.get(key)).session == mine  # type: ignore[union-attr]
        await kv.transact([Unlock(key, b"free", mine)])
        await kv.transact([Lock(key, b"other", other)])
        assert (await kv.get(key)).value == b"other"  # type: ignore[union-attr]

    async def test_a_destroyed_session_frees_its_locks_and_wakes_watchers(self, kv: Kv) -> None:
        key = self.root + "lock"
        session = await kv.create_session(30)
        await kv.transact([Lock(key, b"v", session)])
        async with aclosing(kv.watch(key)) as watch:
            assert (await _next(watch)).entries[0].session == session
            await kv.destroy_session(session)
            assert (await _next(watch)).entries[0].session is None
        with pytest.raises(NotFound):
            await kv.renew_session(session)
        await kv.destroy_session(session)

    async def test_a_prefix_that_is_too_large_to_watch_is_refused(self, kv: Kv) -> None:
        piece = b"x" * MAX_BODY
        for i in range(MAX_PREFIX // MAX_BODY + 1):
            await kv.transact([Put(f"{self.root}large/{i}", piece)])
        async with aclosing(kv.watch(self.root + "large/")) as watch:
            with pytest.raises(TooLarge, match="narrower"):
                await _next(watch, 20)
        await kv.transact([DeletePrefix(self.root)])

    async def test_a_session_that_is_not_renewed_ends_and_its_locks_are_free(self, kv: Kv) -> None:
        key = self.root + "lock"
        session = await kv.create_session(self.lock_ttl)
        await kv.transact([Lock(key, b"v", session)])
        async with aclosing(kv.watch(key)) as watch, asyncio.timeout(self.lock_ttl * 3 + 5):
            found = await anext(watch)
            while found.entries[0].session is not None:
                found = await anext(watch)
        with pytest.raises(NotFound):
            await kv.renew_session(session)
        with pytest.raises(TransactionConflict):
            await kv.transact([CheckSession(key, session), Put(self.root + "x", b"1")])
        with pytest.raises(TransactionConflict):
            await kv.transact([Lock(key, b"again", session)])

    async def test_a_lock_that_was_lost_is_not_to_be_had_before_its_delay(self, kv: Kv) -> None:
        key = self.root + "lock"
        first, second = await kv.create_session(30, lock_delay=1), await kv.create_session(30)
        await kv.transact([Lock(key, b"first", first)])
        await kv.destroy_session(first)
        with pytest.raises(TransactionConflict):
            await kv.transact([Lock(key, b"second", second)])
        async with asyncio.timeout(10):
            while True:
                try:
                    await kv.transact([Lock(key, b"second", second)])
                except TransactionConflict:
                    await asyncio.sleep(0.1)
                else:
                    return

    async def test_flush_returns(self, kv: Kv) -> None:
        await kv.transact([Put(self.root + "a", b"1")])
        await asyncio.gather(*(kv.flush() for _ in range(20)))
