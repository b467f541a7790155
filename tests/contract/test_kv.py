"""Both adapters of `Kv` hold to the one contract."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from olympus.hermes.consul_client import ConsulAddress
from olympus.hermes.kv import Lock, Put, TransactionConflict
from olympus.hermes.kv_consul import open_consul
from olympus.hermes.kv_embedded import EmbeddedKv
from olympus.kernel.clock import SystemClock
from olympus.kernel.errors import HermesUnreachable, NotFound, Refused
from olympus.testing.clock import VirtualClock
from olympus.testing.kv_contract import KvContract


class TestEmbedded(KvContract):
    @pytest.fixture
    async def kv(self, tmp_path):
        kv = EmbeddedKv.open(tmp_path / "hermes.db", SystemClock())
        yield kv
        await kv.close()

    async def test_a_restart_loses_nothing_and_ends_all_sessions(self, tmp_path):
        kv = EmbeddedKv.open(tmp_path / "h.db", SystemClock())
        session = await kv.create_session(30)
        versions = await kv.transact([Put("a", b"1"), Lock("l", b"x", session)])
        await kv.close()
        again = EmbeddedKv.open(tmp_path / "h.db", SystemClock())
        entry, lock = await again.get("a"), await again.get("l")
        assert (entry.value, entry.version) == (b"1", versions["a"])
        assert lock.session is None
        assert (await again.transact([Put("a", b"2")]))["a"] > versions["a"]
        await again.close()

    async def test_a_second_process_is_refused_and_told_who_has_it(self, tmp_path):
        kv = EmbeddedKv.open(tmp_path / "h.db", SystemClock())
        with pytest.raises(Refused, match="in use by another Olympus"):
            EmbeddedKv.open(tmp_path / "h.db", SystemClock())
        await kv.close()

    async def test_a_session_ends_when_it_is_not_renewed(self, tmp_path):
        clock = VirtualClock()
        kv = EmbeddedKv.open(tmp_path / "h.db", clock)
        session = await kv.create_session(10, lock_delay=5)
        await kv.transact([Lock("l", b"x", session)])
        clock.advance(9)
        await kv.renew_session(session)
        clock.advance(9)
        assert (await kv.get("l")).session == session
        clock.advance(2)
        assert (await kv.get("l")).session is None
        with pytest.raises(NotFound):
            await kv.renew_session(session)
        other = await kv.create_session(10)
        with pytest.raises(TransactionConflict):
            await kv.transact([Lock("l", b"y", other)])
        clock.advance(5)
        await kv.renew_session(other)
        await kv.transact([Lock("l", b"y", other)])
        await kv.close()

    async def test_the_file_is_its_owners_alone(self, tmp_path, kv):
        assert (tmp_path / "hermes.db").stat().st_mode & 0o077 == 0


@pytest.mark.consul
class TestConsul(KvContract):
    @pytest.fixture
    async def kv(self, consul_agent):
        kv = await open_consul(ConsulAddress("127.0.0.1", consul_agent.port))
        yield kv
        await kv.close()

    async def test_explicit_settings_win_over_the_environment(self, consul_agent, monkeypatch):
        monkeypatch.setenv("CONSUL_HTTP_ADDR", "127.0.0.1:1")
        monkeypatch.setenv("CONSUL_HTTP_TOKEN", "not-ours")
        kv = await open_consul(ConsulAddress("127.0.0.1", consul_agent.port))
        assert kv.client.token is None
        await kv.transact([Put("olympus/env", b"1")])
        await kv.close()

    async def test_a_killed_server_loses_nothing_and_watches_go_on(self, make_consul):
        agent = make_consul()
        kv = await open_consul(ConsulAddress("127.0.0.1", agent.port))
        await kv.transact([Put("olympus/a", b"1")])
        async with aclosing(kv.watch("olympus/a")) as watch:
            await anext(watch)
            agent.kill()
            with pytest.raises(HermesUnreachable):
                await kv.get("olympus/a")
            await asyncio.to_thread(agent.start)
            assert (await kv.get("olympus/a")).value == b"1"
            await kv.transact([Put("olympus/a", b"2")])
            async with asyncio.timeout(20):
                found = await anext(watch)
                while found.entries[0].value != b"2":
                    found = await anext(watch)
        await kv.close()

    async def test_nobody_there_is_said_at_once(self):
        with pytest.raises(HermesUnreachable, match="does not answer"):
            await open_consul(ConsulAddress("127.0.0.1", 1))
