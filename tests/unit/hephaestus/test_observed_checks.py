"""What `wait` and `verify` learn of a Check: how it stands on every node that it is for, silent ones too."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from olympus.hephaestus.observation import observe
from olympus.hermes import keys
from olympus.hermes.kv import Put
from olympus.hermes.kv_embedded import EmbeddedKv
from olympus.kernel.clock import SystemClock
from olympus.records.check import CheckRecord
from olympus.testing.hephaestus import SpecsGiven


@pytest.fixture
async def kv(tmp_path):
    store = EmbeddedKv.open(tmp_path / "hermes.db", SystemClock())
    yield store
    await store.close()


@pytest.fixture
def specs():
    given = SpecsGiven(nodes=("n1", "n2"))
    given.known_checks.add("disk")
    return given


async def told(kv, node, state):
    record = CheckRecord(check="disk", node=node, state=state, since=datetime(2026, 11, 24, tzinfo=UTC))
    await kv.transact([Put(keys.check(node, "disk"), record.to_bytes())])


async def states(kv, specs, check="disk"):
    wanted = ("passing", "failing", "unknown")
    seen = {one: await observe(kv, specs, {"check": check, "state": one}, None) for one in wanted}
    return {one for one, what in seen.items() if what.value}


async def test_it_passes_when_it_passes_everywhere(kv, specs):
    await told(kv, "n1", "passing")
    assert await states(kv, specs) == {"unknown"}
    await told(kv, "n2", "passing")
    assert await states(kv, specs) == {"passing"}


async def test_it_fails_when_it_fails_anywhere(kv, specs):
    await told(kv, "n1", "passing")
    await told(kv, "n2", "failing")
    assert await states(kv, specs) == {"failing"}


async def test_what_a_silent_node_told_last_is_not_known_any_more(kv, specs):
    await told(kv, "n1", "passing")
    await told(kv, "n2", "passing")
    specs.lose("n2")
    assert await states(kv, specs) == {"unknown"}


async def test_nobody_makes_a_check_that_is_not_declared(kv, specs):
    await told(kv, "n1", "passing")
    specs.known_checks.clear()
    assert await states(kv, specs) == set()
