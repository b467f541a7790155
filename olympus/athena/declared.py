"""What rules are held against, followed: the catalog, the hosts, what people silenced and suspended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from olympus.athena.model import Silence, World
from olympus.athena.rules import Rule, rules_of
from olympus.hermes import keys
from olympus.hermes.kv import Kv
from olympus.records.catalog import CatalogStore
from olympus.records.hosts import Hosts
from olympus.records.incident import SilenceRecord
from olympus.records.intents import ALL_RULES, Intent
from olympus.spec.catalog import Catalog

Take = Callable[[Mapping[str, Rule], World], None]


async def follow(kv: Kv, catalogs: CatalogStore, take: Take) -> None:
    """`take` the rules and the world, now and after each change. Until cancelled."""
    stirred = asyncio.Event()
    intents = keys.intent("rule", "")

    async def watch(prefix: str) -> None:
        async for _ in kv.watch(prefix):
            stirred.set()

    async with asyncio.TaskGroup() as group:
        for prefix in (keys.CATALOG, keys.HOSTS, keys.SILENCES, intents):
            group.create_task(watch(prefix))
        while True:
            await stirred.wait()
            stirred.clear()
            root = await catalogs.root()
            catalog = (await catalogs.load(root)).at(root.revision) if root is not None else Catalog(())
            hosts = await kv.get(keys.HOSTS)
            known = Hosts.from_bytes(hosts.value).hosts if hosts is not None else {}
            suspended = {
                entry.key.removeprefix(intents): intent.by
                for entry in (await kv.scan(intents)).entries
                if (intent := Intent.from_bytes(entry.value)).suspended
            }
            records = [
                SilenceRecord.from_bytes(entry.value) for entry in (await kv.scan(keys.SILENCES)).entries
            ]
            take(rules_of(catalog), world_of(catalog, known, records, suspended))


def world_of(
    catalog: Catalog,
    hosts: Mapping[str, object],
    records: list[SilenceRecord],
    suspended: Mapping[str, str],
) -> World:
    """nodes: those of git with their labels, and hosts that only registered themselves, without any."""
    nodes: dict[str, Mapping[str, str]] = {name: {} for name in hosts}
    nodes |= {one.name: one.labels for one in catalog.all("Node")}
    declared = [
        Silence(
            one.name,
            frozenset(one.spec.rules),
            one.spec.nodes.selector,
            _moment(one.spec.until),
            one.spec.reason,
        )
        for one in catalog.all("Silence")
    ]
    by_hand = [Silence(one.id, frozenset(one.rules), one.selector, one.until, one.reason) for one in records]
    return World(
        nodes,
        (*declared, *by_hand),
        {("*" if name == ALL_RULES else name): by for name, by in suspended.items()},
    )


def _moment(text: str) -> datetime:
    """Without an offset: UTC."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
