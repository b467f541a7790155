"""Services of other nodes, as their stewards tell: what `dependsOn` waits for."""

from __future__ import annotations

from collections.abc import Collection

from olympus.hermes import keys
from olympus.hermes.kv import Kv
from olympus.kernel.errors import OlympusError
from olympus.records.instance import instances_of


async def healthy_elsewhere(kv: Kv, services: Collection[str]) -> set[str]:
    """Those of `services` that run somewhere, and of which no check fails. None while Hermes is away."""
    if not services:
        return set()
    try:
        entries = (await kv.scan(keys.INSTANCES)).entries
    except OlympusError:
        return set()
    wanted = [entry for entry in entries if entry.key.rpartition("/")[2] in services]
    return {
        service
        for instances in instances_of(wanted).values()
        for service, instance in instances.items()
        if instance.state == "running" and instance.healthy is not False
    }
