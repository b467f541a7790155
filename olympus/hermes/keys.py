"""Every key in Hermes, and who writes it. On Consul a node's token may write its own `nodes/`, `bus/` only.

| key | holds | written by |
|---|---|---|
| `catalog` | root of the compiled catalog: revision, chunks | Zeus's controller |
| `chunks/SHA256` | what is large, in pieces | who writes the root that names them |
| `nodes/NODE/registration` | address, facts | that node |
| `nodes/NODE/desired` | what the node should be | Zeus's controller |
| `nodes/NODE/instances/SERVICE` | a service's instance as its steward sees it | that node |
| `nodes/NODE/orders/ORDER` | a step to be executed | Hephaestus's coordinator; the node marks it started |
| `runs/ID` | a run | who starts it, then Hephaestus's coordinator |
| `starts/SHA256` | the run that an Idempotency-Key started | who starts it |
| `schedules/NAME` | last slot, next slot | Chronos |
| `intents/KIND/NAME` | what operators ordered outside git: restart, suspend, drain | Apollo |
| `bus/PUBLISHER/head`, `bus/PUBLISHER/segments/N` | events | that publisher |
| `cursors/CONSUMER` | what a consumer has handled | that consumer |
| `leases/ROLE`, `epochs/ROLE` | who leads, and the how-manieth leader it is | candidates |
| `tokens/ID`, `audit/…` | who may do what, who did what | Apollo |
"""

from __future__ import annotations

import hashlib
from typing import Final

ROOT: Final = "olympus/"
CATALOG: Final = ROOT + "catalog"
NODES: Final = ROOT + "nodes/"
RUNS: Final = ROOT + "runs/"
SCHEDULES: Final = ROOT + "schedules/"
INTENTS: Final = ROOT + "intents/"
BUS: Final = ROOT + "bus/"
CHUNKS: Final = ROOT + "chunks/"
TOKENS: Final = ROOT + "tokens/"
AUDIT: Final = ROOT + "audit/"


def chunk(digest: str) -> str:
    return CHUNKS + digest


def node(name: str) -> str:
    """The prefix of all that belongs to one node."""
    return f"{NODES}{name}/"


def registration(name: str) -> str:
    return f"{NODES}{name}/registration"


def desired(name: str) -> str:
    return f"{NODES}{name}/desired"


def instances(name: str) -> str:
    """The prefix of a node's instances."""
    return f"{NODES}{name}/instances/"


def instance(name: str, service: str) -> str:
    return f"{NODES}{name}/instances/{service}"


def orders(name: str) -> str:
    """The prefix of what a node is to execute."""
    return f"{NODES}{name}/orders/"


def order(name: str, order_id: str) -> str:
    return f"{NODES}{name}/orders/{order_id}"


def run(run_id: str) -> str:
    return RUNS + run_id


def start(idempotency_key: str) -> str:
    return ROOT + "starts/" + hashlib.sha256(idempotency_key.encode()).hexdigest()


def schedule(name: str) -> str:
    return SCHEDULES + name


def intent(kind: str, name: str) -> str:
    return f"{INTENTS}{kind.lower()}/{name}"


def head(publisher: str) -> str:
    return f"{BUS}{publisher}/head"


def segment(publisher: str, number: int) -> str:
    """Zero-padded, so that keys sort as numbers do."""
    return f"{BUS}{publisher}/segments/{number:016d}"


def cursor(consumer: str) -> str:
    return f"{ROOT}cursors/{consumer}"


def lease(role: str) -> str:
    return f"{ROOT}leases/{role}"


def epoch(role: str) -> str:
    return f"{ROOT}epochs/{role}"
