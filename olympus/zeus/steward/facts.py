"""What a node says of itself: `nodes/NODE/registration`, looked at now and then, written when something changed."""

from __future__ import annotations

import asyncio
import logging
import os
import platform
from typing import Any, Final

import orjson

from olympus import __version__
from olympus.hermes import keys
from olympus.hermes.kv import Kv, Put
from olympus.host.hardware import addresses, disks
from olympus.host.process import boot_id
from olympus.kernel.clock import Clock, rfc3339
from olympus.kernel.errors import HermesUnreachable

log = logging.getLogger("olympus.zeus")

_EVERY: Final = 600.0


async def follow_facts(kv: Kv, node: str, address: str, clock: Clock) -> None:
    """Until cancelled."""
    while True:
        await asyncio.sleep(_EVERY)
        try:
            await register_facts(kv, node, address, clock)
        except HermesUnreachable as error:
            log.info("facts_wait", extra={"why": str(error)})


async def register_facts(kv: Kv, node: str, address: str, clock: Clock) -> None:
    """Placement never looks at these: labels come from git alone."""
    now = rfc3339(clock.now())
    observed: dict[str, Any] = {
        "os": _os_name(),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "boot_id": boot_id(),
        "python": platform.python_version(),
        "olympus": __version__,
        "disks": await asyncio.to_thread(disks),
        "addresses": addresses(),
    }
    entry = await kv.get(keys.registration(node))
    before = orjson.loads(entry.value) if entry else {"facts": {}}
    facts = {}
    for name, value in observed.items():
        known = before["facts"].get(name)
        same = known is not None and known["value"] == value
        facts[name] = known if same else {"value": value, "source": "agent", "at": now}
    record = {"address": address, "facts": facts}
    if record != before:
        await kv.transact([Put(keys.registration(node), orjson.dumps(record))])


def _os_name() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    except OSError:
        return platform.system()
