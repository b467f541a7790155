"""Checks at work, on the embedded Hermes and on a real Consul: what is told, once, also over a restart."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from olympus.argos.check_service import Checks
from olympus.hermes import keys
from olympus.hermes.bus import Bus
from olympus.hermes.kv import Put
from olympus.host.http_aiohttp import HttpClient
from olympus.kernel.clock import SystemClock
from olympus.records.check import CheckRecord, checks_of
from olympus.records.desired import CheckDesired


def file_check(path, **more):
    return CheckDesired(
        name="flag", probe="file", target=str(path), every=0.02, fail_when="value.exists", **more
    )


class Here:
    """A node's checks, and the events that they told."""

    def __init__(self, kv, bus, checks):
        self.kv, self.bus, self.checks = kv, bus, checks
        self.told = []

    async def listen(self):
        async for batch in self.bus.subscribe():
            self.told += [(event.type.rpartition(".")[2], event.data["check"]) for event in batch.events]

    async def record(self, name="flag"):
        entry = await self.kv.get(keys.check("n1", name))
        return None if entry is None else CheckRecord.from_bytes(entry.value)

    async def until(self, holds):
        async with asyncio.timeout(20):
            while not await holds():
                await asyncio.sleep(0.01)

    async def stands(self, state, name="flag"):
        async def so():
            found = await self.record(name)
            return found is not None and found.state == state

        await self.until(so)


@asynccontextmanager
async def here(kv, state):
    clock = SystemClock()
    bus = Bus(kv, "n1", clock=clock)
    client = HttpClient()
    checks = Checks(kv, bus, clock, "n1", state=state, client=client)
    found = Here(kv, bus, checks)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(work) for work in (bus.run(), checks.run(), found.listen())]
        yield found
        for task in tasks:
            task.cancel()
    await client.close()


async def test_a_state_is_told_when_it_changes_and_known_over_a_restart(kv, tmp_path):
    flag = tmp_path / "flag"
    async with here(kv, tmp_path / "s") as argos:
        argos.checks.take([file_check(flag)])
        await argos.stands("passing")
        flag.touch()
        await argos.stands("failing")
        await argos.until(lambda: _is(argos.told, [("check-failed", "flag")]))
        since = (await argos.record()).since
    async with here(kv, tmp_path / "s") as argos:
        argos.checks.take([file_check(flag)])
        # Something that is told after it was looked at anew shows that it was not told again.
        argos.checks.take([file_check(flag), file_check(tmp_path).model_copy(update={"name": "other"})])
        await argos.stands("failing", "other")
        await asyncio.sleep(0.1)
        assert (await argos.record()).since == since
        flag.unlink()
        await argos.stands("passing")
        await argos.until(lambda: _is(argos.told, [("check-failed", "other"), ("check-recovered", "flag")]))


async def _is(found, wanted):
    return sorted(found) == sorted(wanted)


async def test_while_all_is_well_nothing_is_written(kv, tmp_path):
    async with here(kv, tmp_path / "s") as argos:
        argos.checks.take([file_check(tmp_path / "flag")])
        await argos.stands("passing")
        before = await argos.kv.get(keys.check("n1", "flag"))
        many = CheckDesired(
            name="many",
            probe="command",
            command=("/bin/sh", "-c", "exit 0"),
            every=0.01,
            fail_when="value.exit > 0",
        )
        argos.checks.take([file_check(tmp_path / "flag"), many])
        await argos.stands("passing", "many")
        heads = await argos.bus.now()
        await asyncio.sleep(0.5)
        assert (await argos.kv.get(keys.check("n1", "flag"))).version == before.version
        assert await argos.bus.now() == heads


async def test_what_is_withdrawn_is_forgotten_also_when_that_was_while_we_were_away(kv, tmp_path):
    async with here(kv, tmp_path / "s") as argos:
        argos.checks.take([file_check(tmp_path), file_check(tmp_path).model_copy(update={"name": "b"})])
        await argos.stands("failing")
        await argos.stands("failing", "b")
        argos.checks.take([file_check(tmp_path)])
        await argos.until(lambda: _gone(argos, "b"))
    async with here(kv, tmp_path / "s") as argos:
        argos.checks.take([])
        await argos.until(lambda: _gone(argos, "flag"))


async def _gone(argos, name):
    return await argos.record(name) is None


async def test_another_condition_counts_at_once(kv, tmp_path):
    async with here(kv, tmp_path / "s") as argos:
        argos.checks.take([file_check(tmp_path)])
        await argos.stands("failing")
        changed = file_check(tmp_path).model_copy(update={"fail_when": "!value.exists"})
        argos.checks.take([changed])
        await argos.stands("passing")


@pytest.mark.parametrize(
    "raw", [b"nonsense", b'{"check":"flag","node":"n2","state":"failing","since":"2026-11-24T00:00:00Z"}']
)
async def test_what_is_no_record_of_this_check_is_not_believed(kv, raw):
    await kv.transact([Put(keys.check("n1", "flag"), raw)])
    assert checks_of((await kv.scan(keys.NODES)).entries) == {}
