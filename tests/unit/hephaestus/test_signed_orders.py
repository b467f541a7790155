"""Orders that no controller signed for this node are refused, whatever else they say; none is carried out twice."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from olympus.hephaestus.artifacts import Artifacts
from olympus.hephaestus.execute_process import Tools
from olympus.hephaestus.orders import (
    ORDER_FINISHED,
    HttpAction,
    Limits,
    Load,
    Order,
    Outcome,
    RunAction,
    ScriptAction,
    SecretRef,
    Workspace,
)
from olympus.hephaestus.secrets import SecretReader
from olympus.hephaestus.signer import OrderSigner
from olympus.hephaestus.worker import Worker
from olympus.hephaestus.workspace import Workspaces
from olympus.hermes import keys
from olympus.hermes.bus import Bus
from olympus.hermes.kv import Cas, Op, Put
from olympus.hermes.kv_embedded import EmbeddedKv
from olympus.hermes.trust import Author
from olympus.host.http_aiohttp import HttpClient
from olympus.host.users import own_name
from olympus.kernel.clock import SystemClock
from olympus.kernel.errors import HermesUnreachable
from olympus.records.desired import BlobRef
from olympus.testing.hephaestus import hephaestus_here
from olympus.testing.trust import author_of, signer_of, trust_of

RUN = "01hzy8m0000000000000000000"


def order(attempt: int = 1, **more: object) -> Order:
    said = {
        "id": f"{RUN}.say.n1.{attempt}",
        "run": RUN,
        "pipeline": "p",
        "step": "say",
        "node": "n1",
        "attempt": attempt,
        "epoch": 3,
        "revision": "r",
        "issued_at": datetime.now(UTC),
        "action": RunAction(do="run", argv=("sh", "-c", "echo x >> RAN")),
        "workspace": Workspace(key=f"{RUN}-n1"),
    }
    return Order(**(said | more))


async def no_files(_ref: BlobRef) -> bytes:
    raise FileNotFoundError


class Node:
    """A worker over a Hermes that anybody may write."""

    def __init__(self, kv: EmbeddedKv, state: Path, signer: OrderSigner) -> None:
        self.kv = kv
        self.state = state
        self.signer = signer
        self.ran = state / "ran"
        for name in ("runs", "work", "artifacts"):
            (state / name).mkdir(mode=0o711)

    def order(self, attempt: int = 1, **more: object) -> Order:
        script = ScriptAction(do="script", text=f"echo {attempt} >> {self.ran}")
        return order(attempt, **({"action": script, "user": own_name(), "allow_users": (own_name(),)} | more))

    async def give(self, what: Order | bytes, name: str | None = None) -> None:
        raw = what if isinstance(what, bytes) else what.to_bytes()
        name = name or (what.id if isinstance(what, Order) else order().id)
        await self.kv.transact([Put(keys.order("n1", name), raw)])

    async def ended(self, name: str) -> Outcome:
        async with asyncio.timeout(20):
            async for found in self.kv.watch(keys.order("n1", name)):
                for entry in found.entries:
                    outcome = Order.from_bytes(entry.value).outcome
                    if outcome is not None:
                        return outcome
        raise AssertionError

    def times(self) -> int:
        return len(self.ran.read_text().splitlines()) if self.ran.exists() else 0

    @asynccontextmanager
    async def worker(self) -> AsyncIterator[Bus]:
        bus, client, clock = Bus(self.kv, "n1", clock=SystemClock()), HttpClient(), SystemClock()
        tools = Tools(
            self.state / "runs",
            Workspaces(self.state / "work", Artifacts(self.state / "artifacts", self.kv, "n1"), no_files),
            SecretReader(os.environ),
            clock,
        )
        believes = OrderSigner(await trust_of(self.kv))
        worker = Worker(
            self.kv, bus, "n1", tools, state=self.state, client=client, objection=believes.objection
        )
        tasks = [asyncio.ensure_future(one) for one in (bus.run(), worker.run())]
        try:
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
    yield Node(kv, state, await signer_of(kv, tmp_path, "c1"))
    await kv.close()


async def test_what_a_controller_signed_is_carried_out_once(node: Node):
    async with node.worker():
        await node.give(node.signer.sign(node.order()))
        assert (await node.ended(order().id)).state == "succeeded"
        assert node.times() == 1


def unsigned(node: Node) -> Order:
    return node.order()


def by_a_stranger(node: Node) -> Order:
    stranger = author_of(node.state, "stranger")
    return OrderSigner(node.signer._trust, stranger).sign(node.order())


def in_a_controller_s_name(node: Node) -> Order:
    stranger = Author("c1", author_of(node.state, "stranger").key)
    return OrderSigner(node.signer._trust, stranger).sign(node.order())


def altered(node: Node) -> Order:
    evil = ScriptAction(do="script", text=f"echo evil >> {node.ran}")
    return node.signer.sign(node.order()).model_copy(update={"action": evil})


FORGED = {
    unsigned: "it is not signed",
    by_a_stranger: "no controller of",
    in_a_controller_s_name: "another key",
    altered: "it was altered",
}


@pytest.mark.parametrize("forged", FORGED, ids=lambda one: one.__name__)
async def test_the_step_fails_with_the_reason(node: Node, forged):
    async with node.worker() as bus:
        await node.give(forged(node))
        outcome = await node.ended(order().id)
        assert outcome.state == "failed"
        assert outcome.error.startswith("node n1 refused it: ")
        assert FORGED[forged] in outcome.error
        (event,) = (await bus.history(types=[ORDER_FINISHED]))[0]
        assert event.data["outcome"]["error"] == outcome.error
        # The worker goes on.
        await node.give(node.signer.sign(node.order(attempt=2, epoch=4)))
        assert (await node.ended(order(2).id)).state == "succeeded"
        assert node.ran.read_text() == "2\n"


async def test_orders_of_an_older_coordinator_wait_until_they_are_given_again(node: Node):
    """Given again one after the other: the first one's epoch must not fail those that follow."""
    left = [node.order(attempt=number) for number in range(1, 6)]
    for old in left:
        await node.give(node.signer.sign(old))
    (node.state / "worker.epoch").write_text("4")
    async with node.worker():
        await asyncio.sleep(0.1)
        there = (await node.kv.scan(keys.orders("n1"))).entries
        assert [Order.from_bytes(entry.value).state for entry in there] == ["pending"] * 5
        for old in left:
            ours = node.signer.sign(old.model_copy(update={"epoch": 4}))
            await node.give(ours)
            await asyncio.sleep(0.01)
        for old in left:
            assert (await node.ended(old.id)).state == "succeeded"
    assert node.times() == 5


@pytest.mark.parametrize("told", ["before the answer", "after the answer"])
async def test_an_order_that_changes_while_it_is_taken_is_taken_as_it_is_then(node: Node, told: str):
    first = node.signer.sign(node.order())
    again = node.signer.sign(node.order(epoch=4))
    transact = node.kv.transact
    met = 0

    async def meet(ops: Sequence[Op]) -> Mapping[str, int]:
        nonlocal met
        if any(isinstance(op, Cas) for op in ops) and not met:
            met += 1
            await transact([Put(keys.order("n1", first.id), again.to_bytes())])
            if told == "before the answer":
                await asyncio.sleep(0.1)
        return await transact(ops)

    node.kv.transact = meet
    async with node.worker():
        await node.give(first)
        assert (await node.ended(first.id)).state == "succeeded"
    assert (met, node.times()) == (1, 1)


async def test_an_answer_that_is_lost_when_an_order_is_taken_loses_no_step(node: Node):
    transact = node.kv.transact
    lost = 0

    async def lose(ops: Sequence[Op]) -> Mapping[str, int]:
        nonlocal lost
        done = await transact(ops)
        if any(isinstance(op, Cas) for op in ops) and not lost:
            lost += 1
            raise HermesUnreachable("the answer is lost")
        return done

    node.kv.transact = lose
    async with node.worker():
        signed = node.signer.sign(node.order())
        await node.give(signed)
        assert (await node.ended(signed.id)).state == "succeeded"
    assert (lost, node.times()) == (1, 1)


async def test_an_order_for_another_node_or_of_another_name_is_refused(node: Node):
    elsewhere = node.signer.sign(node.order(node="n2"))
    renamed = node.signer.sign(node.order(attempt=2))
    async with node.worker() as bus:
        await node.give(elsewhere)
        await node.give(renamed, name=order(3).id)
        assert "it is for node n2" in (await node.ended(elsewhere.id)).error
        assert f"it is order {renamed.id}" in (await node.ended(order(3).id)).error
        events = (await bus.history(types=[ORDER_FINISHED]))[0]
        assert {(event.node, event.data["node"]) for event in events} == {("n1", "n1")}
        assert node.times() == 0


@pytest.mark.parametrize("forged", [unsigned, by_a_stranger, altered], ids=lambda one: one.__name__)
async def test_what_is_said_to_be_started_is_not_believed_either(node: Node, forged):
    made = forged(node).model_copy(update={"state": "started", "started_at": datetime.now(UTC)})
    await node.give(made)
    async with node.worker():
        outcome = await node.ended(made.id)
        assert outcome.state == "unknown"
        assert FORGED[forged] in outcome.error
        assert node.times() == 0


async def test_an_order_that_is_given_again_is_not_carried_out_again(node: Node):
    signed = node.signer.sign(node.order())
    async with node.worker():
        await node.give(signed)
        first = await node.ended(signed.id)
    for _ in range(2):
        await node.give(signed)
        async with node.worker():
            again = await node.ended(signed.id)
        assert (again.state, again.exit) == (first.state, first.exit)
    assert node.times() == 1


async def test_garbage_among_the_orders_stops_nobody(node: Node):
    garbage = (b"", b"{}", b"[]", b"\xff", b'{"id": 5}')
    for i, raw in enumerate(garbage):
        await node.give(raw, name=f"x{i}")
    await node.give(b"?", name="y/z")
    async with node.worker():
        await node.give(node.signer.sign(node.order()))
        assert (await node.ended(order().id)).state == "succeeded"


CHANGED = {
    "id": f"{RUN}.say.n1.9",
    "run": "other",
    "pipeline": "other",
    "step": "other",
    "node": "n2",
    "attempt": 9,
    "epoch": 4,
    "revision": "other",
    "issued_at": datetime.now(UTC) + timedelta(seconds=1),
    "action": HttpAction(do="http", url="http://127.0.0.1/"),
    "params": {"ip": "203.0.113.7"},
    "env": {"A": "b"},
    "secrets": {"A": SecretRef(secret="s", source={"file": "/etc/shadow"})},
    "user": "root",
    "allow_users": ("root",),
    "timeout": 5.0,
    "deadline": datetime.now(UTC),
    "grace": 6.0,
    "workspace": Workspace(key="other"),
    "save": {"a": "b"},
    "share": ("x",),
    "load": (Load(name="a", path="b", node="n2"),),
    "limits": Limits(tasks=1),
    "idempotent": True,
    "cause": "other",
    "depth": 1,
}


def test_every_field_that_the_coordinator_says_is_known_here():
    assert set(Order.model_fields) == {*CHANGED, "signature", "state", "started_at", "outcome"}


@pytest.mark.parametrize("field", CHANGED)
async def test_no_field_can_be_altered(tmp_path, field):
    kv = EmbeddedKv.open(tmp_path / "hermes.db", SystemClock())
    signer = await signer_of(kv, tmp_path, "c1")
    signed = signer.sign(order())
    assert await signer.objection(signed) is None
    changed = Order.from_bytes(signed.model_copy(update={field: CHANGED[field]}).to_bytes())
    assert "it was altered" in (await OrderSigner(await trust_of(kv)).objection(changed))
    back = Order.from_bytes(changed.model_copy(update={field: getattr(signed, field)}).to_bytes())
    assert await signer.objection(back) is None
    await kv.close()


NUMBERS = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(
    params=st.dictionaries(st.text(), JSON, max_size=4),
    env=st.dictionaries(st.text(), st.text(), max_size=3),
    seconds=st.integers(0, 10**6) | st.floats(0, 1e6),
    body=JSON,
)
async def test_a_signed_order_is_believed_however_it_was_made(tmp_path_factory, params, env, seconds, body):
    author = author_of(tmp_path_factory.getbasetemp(), "c1")
    signer = OrderSigner(_Believing(author), author)
    # As the coordinator makes them: copied, so that nothing is converted.
    made = order().model_copy(
        update={
            "params": params,
            "env": env,
            "timeout": seconds,
            "grace": seconds,
            "action": HttpAction(do="http", url="http://x/", body=body),
        }
    )
    signed = signer.sign(made)
    assert await signer.objection(Order.from_bytes(signed.to_bytes())) is None


class _Believing:
    def __init__(self, author: Author) -> None:
        self._author = author

    async def objection(self, what, said, signature):
        return None if self._author.sign(what, said) == signature else "altered"


PIPELINE = {"p": "steps: [{name: a, run: [a]}]"}


async def test_a_new_coordinator_signs_no_order_that_none_has_signed(tmp_path):
    async with hephaestus_here(tmp_path, PIPELINE) as here:
        worker = here.workers["n1"]
        worker.pause()
        run = await here.start("p")
        key = await until_ordered(here.kv)
        await here.crash()
        forged = Order.from_bytes((await here.kv.get(key)).value)
        evil = forged.model_copy(update={"action": RunAction(do="run", argv=("evil",)), "user": "root"})
        await here.kv.transact([Put(key, evil.to_bytes())])
        await here.lead()
        ended = await here.until(run)
        worker.resume()
        assert ended.state == "failed"
        (step,) = ended.steps
        assert "refused by a new coordinator: its signature is not that of controller 'n1'" in step.message
        assert worker.taken == []


async def test_a_new_coordinator_gives_again_what_its_predecessor_signed(tmp_path):
    async with hephaestus_here(tmp_path, PIPELINE) as here:
        worker = here.workers["n1"]
        worker.pause()
        run = await here.start("p")
        key = await until_ordered(here.kv)
        before = Order.from_bytes((await here.kv.get(key)).value)
        await here.crash()
        await here.lead()
        worker.resume()
        assert (await here.until(run)).state == "succeeded"
        (taken,) = worker.taken
        assert taken.epoch == before.epoch + 1
        assert await here.signer.objection(taken) is None


async def test_garbage_that_a_node_writes_stops_no_coordinator(tmp_path):
    async with hephaestus_here(tmp_path, PIPELINE, script=lambda _: None) as here:
        run = await here.start("p")
        key = await until_ordered(here.kv)
        await here.until(run, "running")
        await here.crash()
        await here.kv.transact([Put(key, b"?"), Put(keys.order("n1", f"{run}.x"), b"?")])
        await here.lead()
        # What was lost is given again, and another run is not in its way.
        here.workers["n1"].script = lambda _: Outcome(state="succeeded", exit=0)
        here.workers["n1"].open.clear()
        assert (await here.until(await here.start("p"))).state == "succeeded"
        assert (await here.until(run)).state == "succeeded"


async def test_a_node_ends_nobody_else_s_order(tmp_path):
    pipeline = {"p": "{nodes: {selector: role=web}, steps: [{name: a, run: [a]}]}"}
    async with hephaestus_here(tmp_path, pipeline, nodes=("n1", "n2"), script=lambda _: None) as here:
        run = await here.start("p")
        async with asyncio.timeout(20):
            while not (here.workers["n1"].open and here.workers["n2"].open):
                await asyncio.sleep(0.01)
        (other,) = here.workers["n2"].open
        forged = Outcome(state="succeeded", exit=0).to_json()
        for data in ({"node": "n1"}, {"node": "n1", "order": None}, {}, {"outcome": 5}):
            said = {"order": other, "run": run, "step": "a", "attempt": 1, "outcome": forged, **data}
            await here.emit(ORDER_FINISHED, said, node="n1")
        (mine,) = here.workers["n1"].open
        await here.workers["n1"].end(mine, Outcome(state="succeeded", exit=0))
        found = await until_ended(here, run, "n1")
        assert {step.node: step.state for step in found.steps} == {"n1": "succeeded", "n2": "running"}
        await here.workers["n2"].end(other, Outcome(state="succeeded", exit=0))
        assert (await here.until(run)).state == "succeeded"


async def until_ordered(kv: EmbeddedKv) -> str:
    async with asyncio.timeout(20):
        async for found in kv.watch(keys.orders("n1")):
            if found.entries:
                return found.entries[0].key
    raise AssertionError


async def until_ended(here, run: str, node: str):
    async with asyncio.timeout(20):
        while True:
            found = next(one for one in await here.runs() if one.id == run)
            if any(step.node == node and step.state == "succeeded" for step in found.steps):
                return found
            await asyncio.sleep(0.01)
