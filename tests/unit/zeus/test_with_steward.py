"""Controller and steward together on one host: what is pushed runs as a real process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from olympus.hermes import keys
from olympus.hermes.kv import Put
from olympus.host.http_aiohttp import HttpClient
from olympus.kernel.clock import SystemClock
from olympus.records.instance import Instance
from olympus.records.intents import ordered
from olympus.records.seals import Seals
from olympus.records.status import shown_all
from olympus.testing.trust import trust_of
from olympus.testing.zeus import Clone, ZeusHere, zeus_here
from olympus.zeus.steward.service import Steward


@asynccontextmanager
async def whole(state: Path) -> AsyncIterator[ZeusHere]:
    async with zeus_here(state) as here:
        client = HttpClient()
        seals = Seals(here.kv, await trust_of(here.kv))
        steward = Steward(here.kv, here.bus, SystemClock(), "n1", state=state, client=client, seals=seals)
        running = asyncio.ensure_future(steward.run())
        try:
            yield here
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running
            await client.close()
            for found in (await here.kv.scan(keys.instances("n1"))).entries:
                pid = Instance.from_bytes(found.value).pid
                if pid is not None:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)


async def instance(here: ZeusHere, service: str, holds: Callable[[Instance], object]) -> Instance:
    async with asyncio.timeout(20):
        async for found in here.kv.watch(keys.instance("n1", service)):
            for entry in found.entries:
                seen = Instance.from_bytes(entry.value)
                if holds(seen):
                    return seen
    raise AssertionError


def service(name: str, seconds: int = 1000, extra: str = "") -> str:
    return (
        f"apiVersion: olympus/v1\nkind: Service\nmetadata: {{name: {name}}}\n"
        f"spec:\n  run: {{process: {{command: [sleep, '{seconds}']}}}}\n{extra}"
    )


async def sleeps(pid: int | None, seconds: int) -> bool:
    """Once the wrapper that switches users has become the program."""
    async with asyncio.timeout(10):
        while True:
            program, *arguments = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
            if program.endswith("/sleep") or program == "sleep":
                return arguments == [str(seconds), ""]
            await asyncio.sleep(0.01)


async def test_what_is_pushed_runs_and_what_is_removed_stops(tmp_path: Path):
    async with whole(tmp_path / "state") as here:
        clone = Clone(tmp_path / "clone", here.repository.path)
        ok, said, _ = await clone.push({"a.yaml": service("web"), "b.yaml": service("db")})
        assert ok, said
        web = await instance(here, "web", lambda one: one.state == "running" and one.healthy)
        db = await instance(here, "db", lambda one: one.state == "running" and one.healthy)
        assert await sleeps(web.pid, 1000)
        await clone.push({"a.yaml": service("web")})
        async with asyncio.timeout(20):
            while await here.kv.get(keys.instance("n1", "db")) is not None:
                await asyncio.sleep(0.02)
        assert not Path(f"/proc/{db.pid}").exists()
        assert await sleeps(web.pid, 1000)


async def test_a_changed_command_is_running_after_the_push(tmp_path: Path):
    async with whole(tmp_path / "state") as here:
        clone = Clone(tmp_path / "clone", here.repository.path)
        await clone.push({"a.yaml": service("web")})
        old = await instance(here, "web", lambda one: one.healthy)
        await clone.push({"a.yaml": service("web", 2000)})
        new = await instance(here, "web", lambda one: one.healthy and one.pid != old.pid)
        assert await sleeps(new.pid, 2000)


async def test_the_status_says_healthy_and_plan_says_nothing_to_do(tmp_path: Path):
    async with whole(tmp_path / "state") as here:
        clone = Clone(tmp_path / "clone", here.repository.path)
        await clone.push({"a.yaml": service("web")})
        await instance(here, "web", lambda one: one.healthy)
        cluster = await here.zeus.cluster()
        root = await here.catalogs.root()
        assert root is not None
        (item,) = shown_all("Service", await here.catalogs.load(root), cluster)
        ready = next(one for one in item["status"]["conditions"] if one["type"] == "Ready")
        assert (ready["status"], ready["reason"]) == ("True", "Healthy")
        assert (await here.zeus.plan(live=True)).actions == ()


async def test_orders_to_stop_start_and_restart_are_honoured(tmp_path: Path):
    async with whole(tmp_path / "state") as here:
        clone = Clone(tmp_path / "clone", here.repository.path)
        await clone.push({"a.yaml": service("web")})
        first = await instance(here, "web", lambda one: one.healthy)
        clock = SystemClock()
        key = keys.intent("Service", "web")
        order = ordered(None, "restart", "o1", clock.now(), "ada")
        await here.kv.transact([Put(key, order.to_bytes())])
        second = await instance(here, "web", lambda one: one.healthy and one.pid != first.pid)
        assert second.restart_token == "o1"
        order = ordered(order, "stop", "o2", clock.now(), "ada")
        await here.kv.transact([Put(key, order.to_bytes())])
        await instance(here, "web", lambda one: one.state == "stopped")
        order = ordered(order, "start", "o3", clock.now(), "ada")
        await here.kv.transact([Put(key, order.to_bytes())])
        third = await instance(here, "web", lambda one: one.healthy)
        assert third.pid not in (first.pid, second.pid)


async def test_a_version_that_crashes_is_undone(tmp_path: Path):
    update = "  update: {rollback: true, healthyFor: 500ms}\n"
    async with whole(tmp_path / "state") as here:
        clone = Clone(tmp_path / "clone", here.repository.path)
        await clone.push({"a.yaml": service("web", extra=update)})
        await instance(here, "web", lambda one: one.healthy)
        broken = service("web", extra=update).replace("[sleep, '1000']", "[sh, -c, 'exit 3']")
        await clone.push({"a.yaml": broken})
        async with asyncio.timeout(20):
            while "web" not in (await here.zeus.cluster()).rollouts:
                await asyncio.sleep(0.02)
            while (await here.zeus.cluster()).rollouts["web"].failed is None:
                await asyncio.sleep(0.02)
        back = await instance(here, "web", lambda one: one.healthy)
        assert await sleeps(back.pid, 1000)
        assert (await here.zeus.plan()).actions == ()
