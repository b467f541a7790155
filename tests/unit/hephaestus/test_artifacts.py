"""What a step saved gets to the node that loads it, and nothing else does."""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from olympus.hephaestus.artifacts import Artifacts
from olympus.hephaestus.orders import Artifact, Load
from olympus.hephaestus.retention import Caretaker, Keep
from olympus.hermes import keys
from olympus.hermes.consul_client import ConsulAddress
from olympus.hermes.kv import CheckAbsent, Delete, Kv, Put
from olympus.hermes.kv_consul import open_consul
from olympus.hermes.kv_embedded import EmbeddedKv
from olympus.kernel.clock import SystemClock
from olympus.kernel.errors import Invalid
from olympus.kernel.ids import new_id
from olympus.records.desired import BlobRef
from olympus.testing.clock import VirtualClock
from olympus.testing.runs import RunWorld

RUN = new_id()
LIMIT = 1024 * 1024


@pytest.fixture(params=["embedded", pytest.param("consul", marks=pytest.mark.consul)])
async def kv(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Kv]:
    if request.param == "embedded":
        here: Kv = EmbeddedKv.open(tmp_path / "h.db", SystemClock())
    else:
        agent = request.getfixturevalue("fresh_consul_agent")
        here = await open_consul(ConsulAddress("127.0.0.1", agent.port))
    yield here
    await here.close()


class Nodes:
    """n1, which saves, and n2, which loads."""

    def __init__(self, kv: Kv, folder: Path) -> None:
        self.folder = folder
        self.n1 = Artifacts(folder / "n1", kv, "n1", max_carried=LIMIT)
        self.n2 = Artifacts(folder / "n2", kv, "n2", max_carried=LIMIT)
        self.source, self.target = folder / "source", folder / "target"

    async def save(self, content: bytes, *, share: bool = True) -> Artifact:
        self.source.write_bytes(content)
        return await self.n1.save(RUN, "app", self.source, share=share)

    def load(self, sha256: str, node: str = "n1") -> Load:
        return Load(name="app", path="in", node=node, sha256=sha256)


@pytest.fixture
def nodes(kv: Kv, tmp_path: Path) -> Nodes:
    return Nodes(kv, tmp_path)


@pytest.mark.parametrize("content", [b"", b"small", os.urandom(LIMIT)], ids=["empty", "small", "large"])
async def test_another_node_gets_what_was_saved(nodes, content):
    saved = await nodes.save(content)
    await nodes.n2.load(RUN, nodes.load(saved.sha256), nodes.target)
    assert nodes.target.read_bytes() == content
    assert saved.sha256 == hashlib.sha256(content).hexdigest()


async def test_what_nobody_else_may_want_stays_on_its_node(nodes, kv):
    saved = await nodes.save(b"mine", share=False)
    assert await kv.keys(keys.ARTIFACTS) == []
    await nodes.n1.load(RUN, nodes.load(saved.sha256), nodes.target)
    assert nodes.target.read_bytes() == b"mine"
    with pytest.raises(Invalid, match="'app', which node 'n1' saved, is not in Hermes"):
        await nodes.n2.load(RUN, nodes.load(saved.sha256), nodes.target)


async def test_a_file_of_the_same_name_that_another_node_saved_is_not_taken(nodes):
    mine = await nodes.save(b"of n1")
    nodes.source.write_bytes(b"of n2")
    await nodes.n2.save(RUN, "app", nodes.source, share=False)
    await nodes.n2.load(RUN, nodes.load(mine.sha256), nodes.target)
    assert nodes.target.read_bytes() == b"of n1"


async def test_what_is_too_large_to_be_carried_says_so_where_it_is_loaded(nodes):
    saved = await nodes.save(b"x" * (LIMIT + 1))
    with pytest.raises(Invalid, match=f"has {LIMIT + 1} bytes: no more than {LIMIT} are carried"):
        await nodes.n2.load(RUN, nodes.load(saved.sha256), nodes.target)
    await nodes.n1.load(RUN, nodes.load(saved.sha256), nodes.target)
    assert nodes.target.stat().st_size == LIMIT + 1


async def test_what_a_node_changed_afterwards_is_refused(nodes, kv):
    saved = await nodes.save(b"as it was")
    other = await nodes.save(b"forged")
    place = keys.artifacts("n1", RUN)
    forged = await kv.get(place + other.sha256)
    await kv.transact([Put(place + saved.sha256, forged.value)])
    with pytest.raises(Invalid, match="is not what it saved"):
        await nodes.n2.load(RUN, nodes.load(saved.sha256), nodes.target)
    named = BlobRef.from_bytes(forged.value).model_copy(update={"digest": saved.sha256})
    await kv.transact([Put(place + saved.sha256, named.to_bytes())])
    with pytest.raises(Invalid, match="is damaged"):
        await nodes.n2.load(RUN, nodes.load(saved.sha256), nodes.target)
    assert not nodes.target.exists()


@pytest.mark.parametrize("piece", [zlib.compress(b"\0" * 64 * LIMIT, 9), b"no zlib", b""])
async def test_a_piece_that_grows_or_is_none_is_refused(nodes, kv, piece):
    saved = await nodes.save(b"honest")
    place = keys.artifacts("n1", RUN)
    named = BlobRef.from_bytes((await kv.get(place + saved.sha256)).value)
    await kv.transact([Put(place + named.chunks[0], piece)])
    with pytest.raises(Invalid, match="damaged"):
        await nodes.n2.load(RUN, nodes.load(saved.sha256), nodes.target)


@pytest.mark.parametrize("raw", [b"", b"{}", b"[]", b"\xff", b'{"digest":1,"size":-1}'])
async def test_garbage_in_its_place_is_refused(nodes, kv, raw):
    saved = await nodes.save(b"honest")
    await kv.transact([Put(keys.artifacts("n1", RUN) + saved.sha256, raw)])
    with pytest.raises(Invalid):
        await nodes.n2.load(RUN, nodes.load(saved.sha256), nodes.target)


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/etc/passwd"), Path.mkdir])
async def test_only_regular_files_are_saved(nodes, make):
    make(nodes.source)
    with pytest.raises(Invalid, match="artifact 'app'"):
        await nodes.n1.save(RUN, "app", nodes.source, share=True)


async def test_a_node_forgets_its_own_and_the_coordinator_what_is_old(nodes, kv):
    await nodes.save(b"one")
    nodes.source.write_bytes(b"two")
    await nodes.n2.save(RUN, "app", nodes.source, share=True)
    await nodes.n1.forget(RUN)
    left = await kv.keys(keys.ARTIFACTS)
    assert left
    assert all(key.startswith(keys.artifacts("n2", RUN)) for key in left)
    guard = CheckAbsent("olympus/nobody")
    clock = VirtualClock(datetime.now(UTC))
    caretaker = Caretaker(kv, clock, Keep(), guard)
    await caretaker.sweep()
    assert await kv.keys(keys.ARTIFACTS) == left, "a retry may want it"
    clock.advance(timedelta(days=1, seconds=5).total_seconds())
    await kv.transact([Put(keys.live_run(RUN), b"{}")])
    await caretaker.sweep()
    assert await kv.keys(keys.ARTIFACTS) == left, "its run is not over"
    await kv.transact([Delete(keys.live_run(RUN))])
    await caretaker.sweep()
    assert await kv.keys(keys.ARTIFACTS) == []


BUILD = "{name: build, run: [make]%s, artifacts: {save: {app: out, log: log}}}"
SHIP = "{name: ship, run: [ship]%s, artifacts: {load: {app: in}}}"
THERE = ", delegate: {selector: role=web, pick: one}"


@pytest.mark.parametrize(
    ("build", "ship", "shared"),
    [("", "", ()), (THERE, "", ("app",)), ("", THERE, ("app",))],
)
def test_only_what_another_node_may_load_is_carried(build, ship, shared):
    world = RunWorld(f"steps: [{BUILD % build}, {SHIP % ship}]").begin()
    assert world.order("build").share == shared


def test_the_one_that_loads_is_told_which_content_it_is():
    world = RunWorld(f"steps: [{BUILD % ''}, {SHIP % THERE}]").begin()
    world.ok("build", saved="app")
    assert [one.sha256 for one in world.order("ship").load] == ["00"]
