"""`Specs` of the applied catalog in Hermes and the registry; one per process, shared by all who start runs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from olympus.hephaestus.ports import DeclaredNode, DeclaredPipeline, DeclaredSchedule, DeclaredSecret
from olympus.hermes import keys
from olympus.hermes.kv import Entry, Kv
from olympus.hermes.registry import Member, Registry
from olympus.records.catalog import CatalogRoot, CatalogStore
from olympus.records.desired import BlobRef
from olympus.records.intents import Intent
from olympus.spec.catalog import Catalog
from olympus.spec.duration import parse_duration
from olympus.spec.selector import parse_selector


class CatalogSpecs:
    """`run` follows; before `ready`, nothing is declared."""

    def __init__(self, kv: Kv, catalogs: CatalogStore, registry: Registry) -> None:
        self._kv = kv
        self._catalogs = catalogs
        self._registry = registry
        self._version = 0
        self._changed = asyncio.Condition()
        self._catalog = Catalog(())
        self._files: Mapping[str, BlobRef] = {}
        self._members: tuple[Member, ...] = ()
        self._suspended: frozenset[str] = frozenset()
        self._known_pipelines: dict[str, DeclaredPipeline] = {}
        self._known_nodes: tuple[DeclaredNode, ...] = ()
        self._root_version = 0
        self._seen_catalog = asyncio.Event()
        self._seen_members = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow_catalog())
            group.create_task(self._follow_members())
            group.create_task(self._follow_intents())

    async def _follow_catalog(self) -> None:
        async for snapshot in self._kv.watch(keys.CATALOG):
            found = next((entry for entry in snapshot.entries if entry.key == keys.CATALOG), None)
            await self._read(found)
            self._seen_catalog.set()

    async def _read(self, entry: Entry | None) -> None:
        # The watch may come with what `current` has read already, or with what is older.
        if entry is not None and entry.version != self._root_version:
            root = CatalogRoot.from_bytes(entry.value)
            catalog, files = await self._catalogs.load(root), await self._catalogs.files(root)
            self._root_version = entry.version
            self._catalog, self._files = catalog, files
            await self._publish()

    async def _follow_members(self) -> None:
        async for members in self._registry.watch():
            self._members = members
            await self._publish()
            if members:
                self._seen_members.set()

    async def _follow_intents(self) -> None:
        prefix = keys.INTENTS + "schedule/"
        async for snapshot in self._kv.watch(prefix):
            self._suspended = frozenset(
                entry.key.removeprefix(prefix)
                for entry in snapshot.entries
                if Intent.from_bytes(entry.value).suspended
            )
            await self._publish()

    async def _publish(self) -> None:
        self._known_pipelines = {
            one.name: self._declared(one.name, one.spec.to_json()) for one in self._catalog.all("Pipeline")
        }
        self._known_nodes = self._nodes()
        async with self._changed:
            self._version += 1
            self._changed.notify_all()

    def _declared(self, name: str, spec: Mapping[str, Any]) -> DeclaredPipeline:
        wanted = (spec.get("workspace") or {}).get("files") or ()
        files = {path: self._files[path] for path in wanted if path in self._files}
        return DeclaredPipeline(name, self._catalog.revision, spec, files)

    def _nodes(self) -> tuple[DeclaredNode, ...]:
        members = {one.name: one for one in self._members}
        out = {
            one.name: DeclaredNode(
                one.name,
                labels=one.labels,
                address=one.spec.address or (members[one.name].address if one.name in members else None),
                allow_users=tuple(one.spec.allow.users),
                mode=one.spec.mode,
                alive=one.name in members and members[one.name].alive,
                maintenance=one.spec.maintenance,
            )
            for one in self._catalog.all("Node")
        }
        # Labels come from git alone: what a node says of itself places nothing.
        for name, member in members.items():
            out.setdefault(name, DeclaredNode(name, address=member.address, alive=member.alive))
        return tuple(out[name] for name in sorted(out))

    async def ready(self) -> None:
        await self._seen_catalog.wait()
        await self._seen_members.wait()

    async def current(self) -> None:
        await self._read(await self._kv.get(keys.CATALOG))

    # --- Specs -------------------------------------------------------------------------------------------

    def version(self) -> int:
        return self._version

    async def changed(self, version: int) -> int:
        async with self._changed:
            await self._changed.wait_for(lambda: self._version != version)
            return self._version

    def pipeline(self, name: str) -> DeclaredPipeline | None:
        return self._known_pipelines.get(name)

    def pipelines(self) -> Sequence[DeclaredPipeline]:
        return tuple(self._known_pipelines.values())

    def secret(self, name: str) -> DeclaredSecret | None:
        found = self._catalog.get("Secret", name)
        if found is None:
            return None
        spec = found.spec.to_json()
        return DeclaredSecret(
            name,
            source=spec["from"],
            pipelines=tuple(spec.get("pipelines") or ()),
            selector=(spec.get("nodes") or {}).get("selector") or None,
        )

    def schedules(self) -> Sequence[DeclaredSchedule]:
        return tuple(
            DeclaredSchedule(
                one.name,
                one.spec.pipeline,
                within=parse_duration(one.spec.expect.succeeded_within) if one.spec.expect else None,
                paused=one.spec.paused or one.name in self._suspended,
            )
            for one in self._catalog.all("Schedule")
        )

    def nodes(self) -> Sequence[DeclaredNode]:
        return self._known_nodes

    def checked(self, check: str) -> Sequence[DeclaredNode]:
        found = self._catalog.get("Check", check)
        if found is None:
            return ()
        accepts = parse_selector(found.spec.nodes.selector).matches
        return tuple(node for node in self._known_nodes if accepts(node.labels))

    def remedies(self) -> Mapping[str, str]:
        return {
            one.name: one.spec.on_failure.pipeline
            for one in self._catalog.all("Service")
            if not isinstance(one.spec.on_failure, str)
        }
