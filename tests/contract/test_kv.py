"""Both adapters of `Kv` hold to the one contract."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from contextlib import aclosing

import pytest

from olympus.hermes.consul_client import WAITS, ConsulAddress
from olympus.hermes.kv import Lock, PartialRead, Put, TransactionConflict
from olympus.hermes.kv_consul import open_consul
from olympus.hermes.kv_embedded import EmbeddedKv
from olympus.hermes.registry import Member
from olympus.hermes.registry_consul import ConsulRegistry
from olympus.kernel.clock import SystemClock
from olympus.kernel.errors import HermesUnreachable, NotFound, Refused
from olympus.testing.clock import VirtualClock
from olympus.testing.cluster import free_port
from olympus.testing.consul_agent import find_consul
from olympus.testing.kv_contract import KvContract

MANAGER = "5f0e7b9c-2d60-4c8a-9d38-1f6c9d6d2f55"


def _acl(manager: str) -> dict:
    return {"acl": {"enabled": True, "default_policy": "deny", "tokens": {"initial_management": manager}}}


def _token(agent, rules: str) -> str:
    """A new token with just `rules`."""
    policy = json.loads(
        agent.call("PUT", "/v1/acl/policy", json.dumps({"Name": "node", "Rules": rules}).encode())
    )
    token = agent.call("PUT", "/v1/acl/token", json.dumps({"Policies": [{"ID": policy["ID"]}]}).encode())
    return json.loads(token)["SecretID"]


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

    async def test_others_that_open_the_file_find_it_locked_also_after_a_flush(self, tmp_path, kv):
        await kv.transact([Put("a", b"1")])
        await kv.flush()
        # The bytes where SQLite keeps shared locks, sqlite.org/lockingv3.html; a process does not see its own.
        take = (
            "import fcntl, sys; f = open(sys.argv[1], 'r+b');"
            "fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB, 510, 0x40000002)"
        )
        ran = subprocess.run(
            [sys.executable, "-c", take, str(tmp_path / "hermes.db")], capture_output=True, check=False
        )
        assert b"BlockingIOError" in ran.stderr

    async def test_the_file_is_its_owners_alone(self, tmp_path, kv):
        assert (tmp_path / "hermes.db").stat().st_mode & 0o077 == 0


@pytest.mark.consul
class TestConsul(KvContract):
    lock_ttl = 10.0

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

    async def test_a_store_that_was_restored_from_a_backup_is_watched_anew(self, make_consul):
        agent = make_consul()
        kv = await open_consul(ConsulAddress("127.0.0.1", agent.port))
        await kv.transact([Put("olympus/a", b"1")])
        backup = await asyncio.to_thread(agent.call, "GET", "/v1/snapshot")
        for _ in range(50):
            await kv.transact([Put("olympus/a", b"2")])
        async with aclosing(kv.watch("olympus/a")) as watch, asyncio.timeout(30):
            assert (await anext(watch)).entries[0].value == b"2"
            waiting = asyncio.ensure_future(anext(watch))
            await asyncio.sleep(0.2)
            await asyncio.to_thread(agent.call, "PUT", "/v1/snapshot", backup)
            assert (await waiting).entries[0].value == b"1"
            await kv.transact([Put("olympus/a", b"3")])
            assert (await anext(watch)).entries[0].value == b"3"
        await kv.close()

    async def test_what_a_token_may_not_read_is_no_absence(self, make_consul):
        agent = make_consul(settings=_acl(MANAGER), token=MANAGER)
        operator = await open_consul(ConsulAddress("127.0.0.1", agent.port, token=MANAGER))
        await operator.transact([Put("olympus/nodes/a/x", b"1"), Put("olympus/nodes/b/x", b"1")])
        await ConsulRegistry(operator.client).register(Member("a", "10.0.0.1"))
        token = await asyncio.to_thread(_token, agent, 'key_prefix "olympus/nodes/a/" { policy = "write" }')
        node = await open_consul(ConsulAddress("127.0.0.1", agent.port, token=token))
        assert [e.key for e in (await node.scan("olympus/nodes/a/")).entries] == ["olympus/nodes/a/x"]
        for prefix in ("olympus/nodes/", "olympus/nodes/b/"):
            with pytest.raises(PartialRead):
                await node.scan(prefix)
            async with aclosing(node.watch(prefix)) as watch:
                with pytest.raises(PartialRead):
                    await anext(watch)
        with pytest.raises(PartialRead):
            await ConsulRegistry(node.client).members()
        with pytest.raises(Refused, match="Permission denied"):
            await node.transact([Put("olympus/nodes/b/x", b"2")])
        await node.transact([Put("olympus/nodes/a/x", b"2")])
        assert (await operator.get("olympus/nodes/b/x")).value == b"1"
        await node.close()
        await operator.close()

    async def test_who_comes_back_is_there_at_once(self, consul_agent):
        kv = await open_consul(ConsulAddress("127.0.0.1", consul_agent.port))
        gone, back = ConsulRegistry(kv.client), ConsulRegistry(kv.client)
        await gone.register(Member("a", "127.0.0.1"))
        await asyncio.to_thread(consul_agent.call, "PUT", "/v1/agent/check/fail/olympus-a-alive", b"")

        async def until(alive):
            async with asyncio.timeout(2), aclosing(back.watch()) as watch:
                async for members in watch:
                    if [one.alive for one in members if one.name == "a"] == [alive]:
                        return

        await until(False)
        await back.register(Member("a", "127.0.0.1"))
        await until(True)
        await back.deregister("a")
        await kv.close()

    async def test_a_client_certificate_is_shown_where_the_agent_asks_for_one(self, make_consul, tmp_path):
        make = (
            ["tls", "ca", "create"],
            ["tls", "cert", "create", "-server"],
            ["tls", "cert", "create", "-client"],
        )
        for command in make:
            subprocess.run([find_consul(), *command], cwd=tmp_path, check=True, capture_output=True)
        ca, port = tmp_path / "consul-agent-ca.pem", free_port()
        served = {
            "ca_file": str(ca),
            "cert_file": str(tmp_path / "dc1-server-consul-0.pem"),
            "key_file": str(tmp_path / "dc1-server-consul-0-key.pem"),
            "verify_incoming": True,
        }
        make_consul(settings={"ports": {"https": port}, "tls": {"https": served}})
        mine = tmp_path / "dc1-client-consul-0.pem", tmp_path / "dc1-client-consul-0-key.pem"
        kv = await open_consul(ConsulAddress("localhost", port, True, None, ca, *mine))
        await kv.transact([Put("olympus/a", b"1")])
        await kv.close()
        with pytest.raises(HermesUnreachable):
            await open_consul(ConsulAddress("localhost", port, True, None, ca))
        with pytest.raises(HermesUnreachable):
            await open_consul(ConsulAddress("localhost", port, True, None, None, *mine))
        with pytest.raises(Refused, match="certificates"):
            await open_consul(ConsulAddress("localhost", port, True, None, tmp_path / "none.pem"))

    async def test_more_watches_than_connections_keep_no_call_waiting(self, consul_agent):
        kv = await open_consul(ConsulAddress("127.0.0.1", consul_agent.port))

        async def watch(i):
            async for _ in kv.watch(f"{self.root}{i}/"):
                pass

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(watch(i)) for i in range(WAITS + 50)]
            await asyncio.sleep(0.5)
            async with asyncio.timeout(5):
                for _ in range(20):
                    await kv.transact([Put(self.root + "busy", b"1")])
            for task in tasks:
                task.cancel()
        await kv.close()

    async def test_nobody_there_is_said_at_once(self):
        with pytest.raises(HermesUnreachable, match="does not answer"):
            await open_consul(ConsulAddress("127.0.0.1", 1))
