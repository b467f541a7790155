"""What a steward does not believe: it keeps what it had, and says why, where an operator sees it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from olympus.hermes import keys
from olympus.hermes.bus import Bus
from olympus.hermes.kv import Delete, Put
from olympus.hermes.kv_embedded import EmbeddedKv
from olympus.host.http_aiohttp import HttpClient
from olympus.kernel.clock import SystemClock
from olympus.records.blobs import desired_bytes
from olympus.records.cluster import read_cluster
from olympus.records.desired import InstanceSpec, NodeDesired, ProcessRun, Refusal
from olympus.records.hosts import HostRecord, Hosts
from olympus.records.instance import Instance
from olympus.records.seals import Seals, split
from olympus.records.status.node import node_status
from olympus.testing.trust import author_of, seals_of, trust_of
from olympus.zeus.steward.service import Steward


def desired(*services: str, node: str = "n1", epoch: int = 5, sequence: int = 7, pad: int = 0) -> NodeDesired:
    specs = tuple(
        InstanceSpec(
            service=name, process=ProcessRun(command=("sleep", "97531"), env={"PAD": "x" * pad})
        ).sealed()
        for name in services
    )
    return NodeDesired(node=node, epoch=epoch, sequence=sequence, revision="r", instances=specs)


class Node:
    """A steward over a Hermes that anybody may write."""

    def __init__(self, kv: EmbeddedKv, state: Path, controller: Seals) -> None:
        self.kv = kv
        self.state = state
        self.controller = controller

    async def tell(self, value: bytes | NodeDesired) -> None:
        raw = value if isinstance(value, bytes) else await self.controller.sealed(value)
        await self.kv.transact([Put(keys.desired("n1"), raw)])

    async def instance(self, service: str, holds: Callable[[Instance], object] = lambda _: True) -> Instance:
        async with asyncio.timeout(20):
            async for found in self.kv.watch(keys.instance("n1", service)):
                for entry in found.entries:
                    seen = Instance.from_bytes(entry.value)
                    if holds(seen):
                        return seen
        raise AssertionError

    async def running(self, service: str) -> Instance:
        return await self.instance(service, lambda one: one.state == "running" and one.pid)

    async def refusal(self, holds: Callable[[Refusal | None], object] = bool) -> Refusal | None:
        async with asyncio.timeout(20):
            async for found in self.kv.watch(keys.refusal("n1")):
                seen = Refusal.from_bytes(found.entries[0].value) if found.entries else None
                if holds(seen):
                    return seen
        raise AssertionError

    @asynccontextmanager
    async def steward(self) -> AsyncIterator[Bus]:
        bus, client = Bus(self.kv, "n1", clock=SystemClock()), HttpClient()
        seals = Seals(self.kv, await trust_of(self.kv))
        steward = Steward(self.kv, bus, SystemClock(), "n1", state=self.state, client=client, seals=seals)
        tasks = [asyncio.ensure_future(one) for one in (bus.run(), steward.run())]
        try:
            async with asyncio.timeout(20):
                await steward.ready.wait()
            yield bus
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await client.close()


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    kv = EmbeddedKv.open(tmp_path / "hermes.db", SystemClock())
    state = tmp_path / "state"
    state.mkdir(mode=0o711)
    yield Node(kv, state, await seals_of(kv, tmp_path, "c1"))
    for entry in (await kv.scan(keys.instances("n1"))).entries:
        pid = Instance.from_bytes(entry.value).pid
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    await kv.close()


async def unsigned(node: Node) -> bytes:
    return await desired_bytes(node.kv, desired("evil", epoch=9))


async def by_a_stranger(node: Node) -> bytes:
    stranger = author_of(node.state, "stranger")
    said = await desired_bytes(node.kv, desired("evil", epoch=9))
    return stranger.sign("desired", said).encode() + b"\n" + said


async def altered(node: Node) -> bytes:
    return (await node.controller.sealed(desired("web", epoch=9))).replace(b"97531", b"97530")


async def altered_in_its_epoch(node: Node) -> bytes:
    return (await node.controller.sealed(desired("web", epoch=9))).replace(b'"epoch":9', b'"epoch":99')


async def for_another_node(node: Node) -> bytes:
    return await node.controller.sealed(desired("evil", node="n2", epoch=9))


async def of_an_earlier_epoch(node: Node) -> bytes:
    return await node.controller.sealed(desired("evil", epoch=4, sequence=99))


async def of_an_earlier_moment(node: Node) -> bytes:
    return await node.controller.sealed(desired("evil", sequence=6))


async def another_of_the_same_moment(node: Node) -> bytes:
    return await node.controller.sealed(desired("evil"))


async def an_order_s_signature(node: Node) -> bytes:
    said = await desired_bytes(node.kv, desired("evil", epoch=9))
    return author_of(node.state.parent, "c1").sign("order", said).encode() + b"\n" + said


async def garbage(_node: Node) -> bytes:
    return b"\xff\x00 c1:AAAA\n{]"


async def whose_chunks_are_gone(node: Node) -> bytes:
    value = await node.controller.sealed(desired("evil", epoch=9, pad=100_000))
    assert b'{"blob"' in value
    await node.kv.transact([Delete(key) for key in await node.kv.keys(keys.CHUNKS)])
    return value


FORGED = {
    unsigned: "it is not signed",
    by_a_stranger: "no controller of",
    altered: "it was altered",
    altered_in_its_epoch: "it was altered",
    for_another_node: "it is for node n2",
    of_an_earlier_epoch: "it is older (epoch 4, sequence 99)",
    of_an_earlier_moment: "it is older (epoch 5, sequence 6)",
    another_of_the_same_moment: "it is another one",
    an_order_s_signature: "it was altered, or signed",
    garbage: "no controller of",
    whose_chunks_are_gone: "is not in Hermes any more",
}


@pytest.mark.parametrize("forged", FORGED, ids=lambda one: one.__name__)
async def test_the_node_keeps_what_it_had_and_says_why(node: Node, forged):
    await node.tell(desired("web"))
    async with node.steward() as bus:
        before = await node.running("web")
        await node.tell(await forged(node))
        refusal = await node.refusal()
        assert refusal is not None
        assert FORGED[forged] in refusal.reason
        (event,) = (await bus.history(types=["olympus.zeus.desired-refused"]))[0]
        assert (event.node, event.data["reason"]) == ("n1", refusal.reason)
        hosts = Hosts(hosts={"n1": HostRecord(alive=True, since=refusal.at)})
        await node.kv.transact([Put(keys.HOSTS, hosts.to_bytes()), Delete(keys.desired("n1"))])
        status = node_status("n1", await read_cluster(node.kv, refusal.at))
        ready = next(one for one in status["conditions"] if one["type"] == "Ready")
        assert (ready["status"], ready["reason"], ready["message"]) == (
            "False",
            "DesiredRefused",
            refusal.reason,
        )
        # Better news is taken at once, and ends the complaint.
        await node.tell(desired("web", "more", sequence=8))
        await node.running("more")
        assert await node.refusal(lambda one: one is None) is None
        assert (await node.running("web")).pid == before.pid
        assert await node.kv.get(keys.instance("n1", "evil")) is None


async def test_after_a_restart_what_was_taken_holds_while_what_lies_there_is_refused(node: Node):
    await node.tell(desired("web"))
    async with node.steward():
        before = await node.running("web")
    assert before.pid is not None
    for forged in (unsigned, of_an_earlier_moment):
        await node.tell(await forged(node))
        async with node.steward():
            assert (await node.refusal()) is not None
            os.kill(before.pid, signal.SIGKILL)
            after = await node.instance("web", lambda one: one.state == "running" and one.pid != before.pid)  # noqa: B023
            before = after
        await node.kv.transact([Delete(keys.refusal("n1"))])


async def test_what_was_taken_survives_a_hermes_that_lost_it(node: Node):
    await node.tell(desired("web"))
    async with node.steward():
        before = await node.running("web")
    await node.kv.transact([Delete(keys.desired("n1"))])
    async with node.steward():
        os.kill(before.pid, signal.SIGKILL)
        await node.instance("web", lambda one: one.state == "running" and one.pid != before.pid)


async def test_what_is_kept_is_for_the_owner_alone_and_of_this_node(node: Node):
    await node.tell(desired("web"))
    async with node.steward():
        await node.running("web")
    file = node.state / "steward.desired"
    assert file.stat().st_mode & 0o777 == 0o600
    assert b'"web"' in file.read_bytes()


async def test_a_large_desired_state_is_signed_by_its_digest(node: Node):
    value = await node.controller.sealed(desired("web", pad=100_000))
    signature, said = split(value)
    assert signature.startswith("c1:")
    assert len(said) < 1000
    opened = await Seals(node.kv, await trust_of(node.kv)).opened(value)
    assert opened == desired("web", pad=100_000)
