"""The controller over a real embedded Hermes, with hosts that obey at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from olympus.hermes import keys
from olympus.hermes.bus import Bus
from olympus.hermes.kv import Op, Put, TransactionConflict
from olympus.hermes.kv_embedded import EmbeddedKv
from olympus.hermes.lease import Lease
from olympus.hermes.registry import Member
from olympus.hermes.registry_embedded import EmbeddedRegistry
from olympus.host.repository_git import Commit
from olympus.kernel.clock import SystemClock
from olympus.kernel.events import Event
from olympus.kernel.ids import IdFactory, new_id
from olympus.records.catalog import CatalogStore
from olympus.records.desired import InstanceSpec, NodeDesired
from olympus.records.instance import Instance
from olympus.records.intents import ordered
from olympus.records.offer import Offer, Outcome
from olympus.records.seals import unsealed
from olympus.spec.validate import validate_tree
from olympus.testing.trust import seals_of
from olympus.zeus import hosts
from olympus.zeus.controller import ROLE, Controller, Reign


class Tree:
    """Specs in memory."""

    problems = ()

    def __init__(self, **documents: str) -> None:
        self._content = {f"{name}.yaml": text.encode() for name, text in documents.items()}
        self.files = {path: str(hash(content)) for path, content in self._content.items()}

    def read(self, path: str) -> bytes:
        return self._content[path]


def service(name: str, command: str = "run", **spec: str) -> str:
    more = "".join(f"  {key}: {value}\n" for key, value in spec.items())
    return (
        f"apiVersion: olympus/v1\nkind: Service\nmetadata: {{name: {name}}}\n"
        f"spec:\n  run: {{process: {{command: [{command}]}}}}\n{more}"
    )


class World:
    """One Hermes, one controller, some hosts; `bad` commands crash."""

    def __init__(self, kv: EmbeddedKv, bus: Bus, registry: EmbeddedRegistry) -> None:
        self.kv = kv
        self.bus = bus
        self.registry = registry
        self.catalogs = CatalogStore(kv)
        self.clock = SystemClock()
        self.bad: set[str] = set()
        self.history: list[tuple[str, str]] = []

    async def offer(self, revision: str, *documents: str, offer_id: str | None = None) -> Outcome:
        report = validate_tree(Tree(**{f"d{number}": text for number, text in enumerate(documents)}))
        assert report.catalog is not None, report.diagnostics
        commit = Commit(revision, "Ada", "change", datetime(2026, 1, 1, tzinfo=UTC))
        root = await self.catalogs.save(report.catalog, report.files, commit)
        offer = Offer(id=offer_id or new_id(), root=root, at=self.clock.now())
        await self.kv.transact([Put(keys.OFFER, offer.to_bytes())])
        async with asyncio.timeout(10):
            async for found in self.kv.watch(keys.OUTCOME):
                for entry in found.entries:
                    outcome = Outcome.from_bytes(entry.value)
                    if outcome.offer == offer.id:
                        return outcome
        raise AssertionError

    async def desired(self, node: str) -> NodeDesired | None:
        found = await self.kv.get(keys.desired(node))
        return None if found is None else await unsealed(self.kv, found.value)

    async def services(self, *nodes: str) -> dict[str, list[str]]:
        said = {}
        for node in nodes:
            document = await self.desired(node)
            said[node] = [] if document is None else [one.service for one in document.instances]
        return said

    async def until(self, node: str, holds: Callable[[NodeDesired], object]) -> NodeDesired:
        async with asyncio.timeout(15):
            async for found in self.kv.watch(keys.desired(node)):
                for entry in found.entries:
                    document = await unsealed(self.kv, entry.value)
                    if holds(document):
                        return document
        raise AssertionError

    async def obey(self, node: str) -> None:
        """A steward that does at once what it is told."""
        running: dict[str, InstanceSpec] = {}
        async for found in self.kv.watch(keys.desired(node)):
            for entry in found.entries:
                document = await unsealed(self.kv, entry.value)
                for spec in document.instances:
                    old = running.get(spec.service)
                    if old is not None and old.generation == spec.generation:
                        continue
                    running[spec.service] = spec
                    command = spec.process.command[0] if spec.process else ""
                    self.history.append((node, command))
                    await self.kv.transact(
                        [Put(keys.instance(node, spec.service), self._instance(node, spec))]
                    )

    def _instance(self, node: str, spec: InstanceSpec) -> bytes:
        fails = spec.process is not None and spec.process.command[0] in self.bad
        now = self.clock.now()
        return Instance(
            service=spec.service,
            node=node,
            state="crashlooping" if fails else "running",
            message="exit 1" if fails else "",
            healthy=not fails,
            healthy_since=None if fails else now,
            since=now,
            generation=spec.generation,
            restart_token=spec.restart_token,
        ).to_bytes()

    async def acted(self, times: int) -> list[str]:
        """What was started, once so many starts were seen."""
        async with asyncio.timeout(15):
            while len(self.history) < times:
                await asyncio.sleep(0.01)
        return [command for _, command in self.history]

    async def events(self, *types: str) -> list:
        found, _ = await self.bus.history(types=types, newest_first=False)
        return [(one.type.removeprefix("olympus.zeus."), one.node, one.data.get("reason")) for one in found]


@asynccontextmanager
async def world(
    path: Path, *nodes: str, leads: bool = True, obeying: Sequence[str] = ()
) -> AsyncIterator[World]:
    clock = SystemClock()
    kv = EmbeddedKv.open(path / "hermes.db", clock)
    bus = Bus(kv, "n1", clock=clock)
    registry = EmbeddedRegistry()
    for node in nodes:
        await registry.register(Member(node, "127.0.0.1"))
    here = World(kv, bus, registry)
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(bus.run()), *(group.create_task(here.obey(node)) for node in obeying)]
            if leads:
                seals = await seals_of(kv, path)
                zeus = Controller(kv, bus, registry, here.catalogs, clock, seals=seals)
                tasks.append(group.create_task(zeus.run(Lease(kv, ROLE, "n1"))))
            yield here
            for task in tasks:
                task.cancel()
    finally:
        await kv.close()


async def test_a_lost_node_fails_over_where_that_is_declared(tmp_path: Path):
    async with world(tmp_path, "a", "b") as here:
        await here.offer("r1", service("stays"), service("moves", onFailure="failover"))
        before = await here.services("a", "b")
        where = next(node for node, names in before.items() if "moves" in names)
        other = "b" if where == "a" else "a"
        await here.registry.register(Member(where, "127.0.0.1", alive=False))
        await here.until(other, lambda one: any(spec.service == "moves" for spec in one.instances))
        after = await here.services("a", "b")
        assert "moves" not in after[where]
        assert ("stays" in after[where]) == ("stays" in before[where])
        assert ("node-lost", where, "its check fails") in await here.events("olympus.zeus.node-lost")


async def test_a_deregistered_node_is_forgotten_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(hosts, "_PATIENCE", hosts._PATIENCE / 50)
    async with world(tmp_path, "a", "b") as here:
        await here.offer("r1", service("web"))
        where = next(node for node, names in (await here.services("a", "b")).items() if names)
        other = "b" if where == "a" else "a"
        await here.registry.deregister(where)
        await here.until(other, lambda one: one.instances)
        await here.until(where, lambda one: not one.instances)
        assert await here.events("olympus.zeus.node-lost") == [("node-lost", where, "deregistered")]


async def test_a_node_that_registers_while_others_are_counted_is_counted_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    publish = Bus.publish

    async def late(self: Bus, events: Sequence[Event], ops: Sequence[Op] = (), *, durable: bool = True):
        if any(event.type == "olympus.zeus.node-joined" and event.node == "a" for event in events):
            registry = here.registry
            await registry.register(Member("b", "127.0.0.1"))
            await asyncio.sleep(0.05)
        return await publish(self, events, ops, durable=durable)

    monkeypatch.setattr(Bus, "publish", late)
    async with world(tmp_path) as here:
        await here.registry.register(Member("a", "127.0.0.1"))
        await here.offer("r1", service("each", nodes="{replicas: each}"))
        await here.until("b", lambda one: one.instances)


async def test_a_new_node_gets_what_runs_on_each(tmp_path: Path):
    async with world(tmp_path, "a") as here:
        await here.offer("r1", service("agent", nodes="{replicas: each}"))
        await here.registry.register(Member("b", "127.0.0.1"))
        document = await here.until("b", lambda one: one.instances)
        assert document.instances[0].service == "agent"
        assert [node for _, node, _ in await here.events("olympus.zeus.node-joined")] == ["a", "b"]


async def test_a_change_goes_over_the_replicas_one_by_one(tmp_path: Path):
    nodes = ("a", "b", "c")
    async with world(tmp_path, *nodes, obeying=nodes) as here:
        update = "{healthyFor: 200ms}"
        await here.offer("r1", service("web", "one", nodes="{replicas: 3}", update=update))
        await here.acted(3)
        await asyncio.sleep(0.5)
        await here.offer("r2", service("web", "two", nodes="{replicas: 3}", update=update))
        told = [len([node for node in nodes if await _command(here, node) == "two"])]
        assert told == [1]
        for node in nodes:
            await here.until(node, lambda one: _command_of(one) == "two")
        assert await here.acted(6) == ["one"] * 3 + ["two"] * 3


async def test_a_failing_change_is_undone_and_said(tmp_path: Path):
    nodes = ("a", "b")
    async with world(tmp_path, *nodes, obeying=nodes) as here:
        here.bad = {"two"}
        update = "{canary: 1, healthyFor: 100ms, rollback: true}"
        await here.offer("r1", service("web", "one", nodes="{replicas: 2}", update=update))
        await here.acted(2)
        await asyncio.sleep(0.3)
        await here.offer("r2", service("web", "two", nodes="{replicas: 2}", update=update))
        assert await here.acted(4) == ["one", "one", "two", "one"]
        (said,) = await here.events("olympus.zeus.service-failed")
        assert "crashlooping" in said[2]


async def _command(here: World, node: str) -> str:
    document = await here.desired(node)
    return "" if document is None else _command_of(document)


def _command_of(document: NodeDesired) -> str:
    process = document.instances[0].process if document.instances else None
    return "" if process is None else process.command[0]


async def test_a_new_leader_needs_no_git(tmp_path: Path):
    async with world(tmp_path, "a") as here:
        await here.offer("r1", service("agent", nodes="{replicas: each}"))
        first = await here.desired("a")
    async with world(tmp_path, "a", "b") as here:
        document = await here.until("b", lambda one: one.instances)
        assert document.revision == "r1"
        assert await here.desired("a") == first
        assert first is not None
        assert document.epoch > first.epoch


async def test_an_old_leader_writes_nothing(tmp_path: Path):
    async with world(tmp_path, "a", leads=False) as here:
        lease = Lease(here.kv, ROLE, "old")
        term, session = await lease.acquire()
        await lease.release(session)
        seals = await seals_of(here.kv, tmp_path)
        reign = Reign(here.kv, here.bus, here.catalogs, here.clock, term, seals=seals)
        await reign.load(await here.registry.members())
        with pytest.raises(TransactionConflict):
            await reign.work()
        assert await here.kv.get(keys.HOSTS) is None
        assert await here.kv.get(keys.desired("a")) is None


async def test_nothing_is_written_while_nothing_happens(tmp_path: Path):
    async with world(tmp_path, "a", obeying=("a",)) as here:
        await here.offer("r1", service("web"))
        await asyncio.sleep(0.5)
        before = (await here.kv.scan("")).index
        await asyncio.sleep(1.0)
        assert (await here.kv.scan("")).index == before


async def test_a_template_is_rendered_for_each_node(tmp_path: Path):
    async with world(tmp_path, "a", "b") as here:
        text = service("web", '"${{ node.name }}"', nodes="{replicas: each}")
        await here.offer("r1", text)
        for node in ("a", "b"):
            document = await here.until(node, lambda one: one.instances)
            assert _command_of(document) == node


async def test_the_same_offer_twice_is_answered_twice_and_written_once(tmp_path: Path):
    async with world(tmp_path, "a") as here:
        await here.offer("r1", service("web"))
        again = await here.offer("r1", service("web"))
        assert again.applied
        assert again.summary == "no changes"
        assert len(await here.events("olympus.zeus.applied")) == 1


async def test_a_standby_takes_over_and_goes_on(tmp_path: Path):
    async with world(tmp_path, "a", leads=False) as here, asyncio.TaskGroup() as group:
        seals = await seals_of(here.kv, tmp_path)
        zeus = Controller(here.kv, here.bus, here.registry, here.catalogs, here.clock, seals=seals)
        first, second = (group.create_task(zeus.run(Lease(here.kv, ROLE, holder))) for holder in ("n1", "n2"))
        await here.offer("r1", service("agent", nodes="{replicas: each}"))
        epoch = await here.kv.get(keys.epoch(ROLE))
        first.cancel()
        await here.registry.register(Member("b", "127.0.0.1"))
        document = await here.until("b", lambda one: one.instances)
        assert epoch is not None
        assert document.epoch == int(epoch.value) + 1
        second.cancel()


async def test_a_host_whose_clock_is_behind_is_heard(tmp_path: Path):
    async with world(tmp_path, "a") as here:
        await here.offer("r1", service("web"))
        late = IdFactory().new(1_000_000)
        outcome = await here.offer("r2", service("web"), service("db"), offer_id=late)
        assert outcome.applied
        assert sorted((await here.services("a"))["a"]) == ["db", "web"]


def looking(kind: str, name: str, spec: str, selector: str = "") -> str:
    return (
        f"apiVersion: olympus/v1\nkind: {kind}\nmetadata: {{name: {name}}}\n"
        f"spec:\n  nodes: {{selector: '{selector}'}}\n{spec}"
    )


NODE_B = "apiVersion: olympus/v1\nkind: Node\nmetadata: {name: b, labels: {role: web}}\nspec: {address: 10.0.0.2}\n"
AUTH = "  source: {files: [/var/log/auth.log]}\n  match: [{name: bad, pattern: 'Failed'}]\n"


async def test_nodes_are_told_of_the_watches_and_checks_that_name_them(tmp_path: Path):
    async with world(tmp_path, "a", "b") as here:
        watch = looking("LogWatch", "auth", AUTH)
        check = looking("Check", "disk", "  disk: {path: /var}\n  every: 30s\n  for: 3m\n", "role=web")
        told = looking("Check", "up", "  http: 'http://${{ node.address }}/up'\n", "role=web")
        await here.offer("r1", NODE_B, watch, check, told)
        a = await here.until("a", lambda one: one.watches)
        b = await here.until("b", lambda one: one.watches)
        assert [one.name for one in a.watches] == ["auth"]
        assert a.checks == ()
        assert a.watches[0].spec == {
            "source": {"files": ["/var/log/auth.log"]},
            "match": [{"name": "bad", "pattern": "Failed"}],
        }
        assert [(one.name, one.target, one.every, one.lasts) for one in b.checks] == [
            ("disk", "/var", 30.0, 180.0),
            ("up", "http://10.0.0.2/up", 60.0, 0.0),
        ]


async def test_output_of_a_service_is_looked_for_where_it_is(tmp_path: Path):
    async with world(tmp_path, "a") as here:
        unit = service("db").replace("process: {command: [run]}", "systemd: {unit: postgresql.service}")
        watches = [
            looking(
                "LogWatch",
                name,
                AUTH.replace("files: [/var/log/auth.log]", f"service: {name}, from: beginning"),
            )
            for name in ("db", "web")
        ]
        await here.offer("r1", unit, service("web"), *watches)
        told = await here.until("a", lambda one: one.watches)
        assert {one.name: one.spec["source"] for one in told.watches} == {
            "db": {"journal": {"units": ["postgresql.service"]}, "from": "beginning"},
            "web": {"service": "web", "from": "beginning"},
        }


async def test_a_changed_watch_leaves_services_as_they_are(tmp_path: Path):
    async with world(tmp_path, "a", obeying=("a",)) as here:
        await here.offer("r1", service("web"), looking("LogWatch", "auth", AUTH))
        before = await here.until("a", lambda one: one.watches and one.instances)
        changed = await here.offer(
            "r2", service("web"), looking("LogWatch", "auth", AUTH.replace("bad", "x"))
        )
        assert changed.summary == "~1 logwatch"
        after = await here.until("a", lambda one: one.watches != before.watches)
        assert after.instances == before.instances
        gone = await here.offer("r3", service("web"))
        assert gone.summary == "-1 logwatch"
        last = await here.until("a", lambda one: not one.watches)
        assert last.instances == before.instances


async def test_a_suspended_watch_is_not_told_until_it_is_resumed(tmp_path: Path):
    async with world(tmp_path, "a") as here:
        await here.offer("r1", looking("LogWatch", "auth", AUTH))
        await here.until("a", lambda one: one.watches)
        key = keys.intent("LogWatch", "auth")
        stands = ordered(None, "suspend", "1", here.clock.now(), "ada")
        await here.kv.transact([Put(key, stands.to_bytes())])
        await here.until("a", lambda one: not one.watches)
        await here.kv.transact([Put(key, ordered(stands, "resume", "2", here.clock.now(), "ada").to_bytes())])
        await here.until("a", lambda one: one.watches)


async def test_a_watch_for_no_node_is_a_warning(tmp_path: Path):
    async with world(tmp_path, "a") as here:
        outcome = await here.offer("r1", looking("LogWatch", "auth", AUTH, "role=db"))
        assert outcome.lines == ("logwatch auth: no registered node matches its selector",)
