"""What statuses are made of, read from Hermes; few prefix scans, whatever the number of services."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from olympus.hermes import keys
from olympus.hermes.kv import Entry, Kv
from olympus.kernel.errors import Invalid
from olympus.records.catalog import CatalogRoot
from olympus.records.check import CheckRecord, checks_of
from olympus.records.desired import InstanceSpec, Refusal
from olympus.records.hosts import HostRecord, Hosts
from olympus.records.incident import RuleRecord, rules_of
from olympus.records.instance import Instance, instances_of
from olympus.records.intents import Intent
from olympus.records.offer import Outcome, SourceState
from olympus.records.rollout import Rollout
from olympus.records.seals import unsealed
from olympus.records.watch import WatchRecord, watches_of

log = logging.getLogger("olympus.zeus")


@dataclass(frozen=True, slots=True)
class Cluster:
    """All that statuses are made of.

    told, seen: node → service → what the node was told, what it answered
    checking:   node → the checks that it was told to make
    checks:     node → check → how it stands there
    watching:   node → the watches that it was told to keep
    watches:    node → watch → how it fares there
    rules:      how each rule fares
    facts:      node → name → {value, source, at}
    refusals:   node → why it does not take what it is told
    """

    revision: str
    applied_at: datetime
    now: datetime
    hosts: Mapping[str, HostRecord] = field(default_factory=dict)
    told: Mapping[str, Mapping[str, InstanceSpec]] = field(default_factory=dict)
    seen: Mapping[str, Mapping[str, Instance]] = field(default_factory=dict)
    rollouts: Mapping[str, Rollout] = field(default_factory=dict)
    intents: Mapping[tuple[str, str], Intent] = field(default_factory=dict)
    checking: Mapping[str, frozenset[str]] = field(default_factory=dict)
    checks: Mapping[str, Mapping[str, CheckRecord]] = field(default_factory=dict)
    watching: Mapping[str, frozenset[str]] = field(default_factory=dict)
    watches: Mapping[str, Mapping[str, WatchRecord]] = field(default_factory=dict)
    rules: Mapping[str, RuleRecord] = field(default_factory=dict)
    facts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    refusals: Mapping[str, Refusal] = field(default_factory=dict)
    outcome: Outcome | None = None
    source: SourceState | None = None


async def read_cluster(kv: Kv, now: datetime) -> Cluster:
    """The cluster as it is in Hermes now. Before the first commit its revision is empty."""
    root = await kv.get(keys.CATALOG)
    applied = None if root is None else CatalogRoot.from_bytes(root.value)
    hosts = await kv.get(keys.HOSTS)
    told: dict[str, dict[str, InstanceSpec]] = {}
    checking: dict[str, frozenset[str]] = {}
    watching: dict[str, frozenset[str]] = {}
    facts: dict[str, dict[str, Any]] = {}
    refusals: dict[str, Refusal] = {}
    nodes = (await kv.scan(keys.NODES)).entries
    for entry in nodes:
        node, _, what = entry.key.removeprefix(keys.NODES).partition("/")
        if what == "desired":
            document = await unsealed(kv, entry.value)
            told[node] = {spec.service: spec for spec in document.instances}
            checking[node] = frozenset(check.name for check in document.checks)
            watching[node] = frozenset(watch.name for watch in document.watches)
        elif what == "refusal":
            refusals.update(_refusal(node, entry))
        elif what == "registration":
            facts[node] = _facts(entry)
    outcome, source = await kv.get(keys.OUTCOME), await kv.get(keys.SOURCE)
    return Cluster(
        revision="" if applied is None else applied.revision,
        applied_at=now if applied is None else applied.applied_at or applied.committed_at,
        now=now,
        hosts={} if hosts is None else Hosts.from_bytes(hosts.value).hosts,
        told=told,
        seen=instances_of((await kv.scan(keys.INSTANCES)).entries),
        rollouts={
            entry.key.removeprefix(keys.ROLLOUTS): Rollout.from_bytes(entry.value)
            for entry in (await kv.scan(keys.ROLLOUTS)).entries
        },
        intents=intents_of((await kv.scan(keys.INTENTS)).entries),
        checks=checks_of(nodes),
        checking=checking,
        watches=watches_of(nodes),
        watching=watching,
        rules=rules_of((await kv.scan(keys.RULES)).entries),
        facts=facts,
        refusals=refusals,
        outcome=None if outcome is None else Outcome.from_bytes(outcome.value),
        source=None if source is None else SourceState.from_bytes(source.value),
    )


def _facts(entry: Entry) -> dict[str, Any]:
    try:
        return dict(orjson.loads(entry.value)["facts"])
    except (ValueError, KeyError, TypeError) as exc:
        log.warning("facts_not_read", extra={"key": entry.key, "reason": str(exc)})
        return {}


def _refusal(node: str, entry: Entry) -> dict[str, Refusal]:
    try:
        return {node: Refusal.from_bytes(entry.value)}
    except Invalid as exc:
        log.warning("refusal_not_read", extra={"key": entry.key, "reason": str(exc)})
        return {}


def intents_of(entries: tuple[Entry, ...]) -> dict[tuple[str, str], Intent]:
    """(kind in lower case, name) → what operators ordered."""
    found: dict[tuple[str, str], Intent] = {}
    for entry in entries:
        kind, _, name = entry.key.removeprefix(keys.INTENTS).partition("/")
        try:
            found[kind, name] = Intent.from_bytes(entry.value)
        except Invalid as exc:
            log.warning("intent_not_read", extra={"key": entry.key, "reason": str(exc)})
    return found
