"""What a node says of itself: written when something changed, each fact with its own time."""

from __future__ import annotations

import orjson

from olympus.hermes import keys
from olympus.hermes.kv import Put
from olympus.hermes.kv_embedded import EmbeddedKv
from olympus.testing.clock import VirtualClock
from olympus.zeus.steward.facts import register_facts


async def test_facts_are_written_on_change_alone(tmp_path):
    clock = VirtualClock()
    kv = EmbeddedKv.open(tmp_path / "h.db", clock)
    await register_facts(kv, "n1", "127.0.0.1", clock)
    first = await kv.get(keys.registration("n1"))
    facts = orjson.loads(first.value)["facts"]
    assert {"os", "kernel", "cpus", "memory_bytes", "disks", "addresses", "olympus"} <= set(facts)
    clock.advance(60)
    await register_facts(kv, "n1", "127.0.0.1", clock)
    assert (await kv.get(keys.registration("n1"))).version == first.version
    facts["kernel"]["value"] = "another"
    record = {"address": "127.0.0.1", "facts": facts}
    await kv.transact([Put(keys.registration("n1"), orjson.dumps(record))])
    await register_facts(kv, "n1", "127.0.0.1", clock)
    now = orjson.loads((await kv.get(keys.registration("n1"))).value)["facts"]
    assert now["kernel"]["at"] > facts["os"]["at"]
    assert {name: fact for name, fact in now.items() if name != "kernel"} == {
        name: fact for name, fact in facts.items() if name != "kernel"
    }
    await kv.close()
