"""What `wait` and `service` steps look at: services, checks and nodes, as those who own them tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from olympus.hephaestus.ports import Specs
from olympus.hermes import keys
from olympus.hermes.kv import Kv
from olympus.records.check import checks_of, standing
from olympus.records.instance import Instance
from olympus.records.intents import honoured


@dataclass(frozen=True, slots=True)
class Seen:
    """value: whether it is so; because: what it is instead."""

    value: bool
    because: str
    over: bool = False


async def observe(kv: Kv, specs: Specs, what: Mapping[str, Any], intent: str | None) -> Seen:
    """`{service|check|node: NAME, state: …}`, or `{service: NAME, do: …}` of an intent."""
    if intent is not None:
        instances = await instances_of(kv, specs, what["service"])
        done = honoured(what["do"], intent, instances)
        return Seen(done, "" if done else f"not done yet: {_states(instances)}")
    wanted = what.get("state")
    if "service" in what:
        return _service(what["service"], wanted, await instances_of(kv, specs, what["service"]))
    if "node" in what:
        alive = next((node.alive for node in specs.nodes() if node.name == what["node"]), False)
        state = "alive" if alive else "lost"
        return Seen(state == wanted, f"node {what['node']} is {state}")
    if "check" in what:
        return await _check(kv, specs, what["check"], wanted)
    return Seen(value=False, because="until names neither a service, a check nor a node", over=True)


async def instances_of(kv: Kv, specs: Specs, service: str) -> list[Instance]:
    """A service's instances on all nodes."""
    entries = [await kv.get(keys.instance(node.name, service)) for node in specs.nodes()]
    return [Instance.from_bytes(entry.value) for entry in entries if entry is not None]


def _service(name: str, wanted: str | None, instances: list[Instance]) -> Seen:
    if not instances:
        return Seen(value=False, because=f"service {name} has no instance")
    if wanted == "healthy":
        so = all(one.state == "running" and one.healthy is not False for one in instances)
    elif wanted == "crashlooping":
        so = any(one.state == wanted for one in instances)
    else:
        so = all(one.state == wanted for one in instances)
    return Seen(so, f"service {name}: {_states(instances)}")


def _states(instances: list[Instance]) -> str:
    def said(one: Instance) -> str:
        ill = ", not healthy" if one.state == "running" and one.healthy is False else ""
        return f"{one.state}{ill} on {one.node}"

    return ", ".join(said(one) for one in instances) or "no instance"


async def _check(kv: Kv, specs: Specs, name: str, wanted: str | None) -> Seen:
    """passing on all nodes that it is for; failing or unknown on any of them."""
    nodes = {node.name: node for node in specs.checked(name)}
    found = [await kv.get(keys.check(node, name)) for node in nodes]
    records = checks_of(entry for entry in found if entry is not None)
    stands = standing(name, nodes, records, {node: None for node, one in nodes.items() if not one.alive})
    states = [one.state for one in stands]
    so = bool(states) and (
        all(state == wanted for state in states) if wanted == "passing" else wanted in states
    )
    said = ", ".join(f"{one.state} on {one.node}" for one in stands)
    return Seen(so, f"check {name}: {said or 'it is for no node'}")
