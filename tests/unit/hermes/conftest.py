"""Stores for what is written once over `Kv`: the embedded one, and a real Consul."""

from __future__ import annotations

import pytest

from olympus.hermes.consul_client import ConsulAddress
from olympus.hermes.kv_consul import open_consul
from olympus.hermes.kv_embedded import EmbeddedKv
from olympus.kernel.clock import SystemClock


@pytest.fixture(params=["embedded", pytest.param("consul", marks=pytest.mark.consul)])
async def kv(request, tmp_path):
    if request.param == "embedded":
        store = EmbeddedKv.open(tmp_path / "hermes.db", SystemClock())
    else:
        agent = request.getfixturevalue("fresh_consul_agent")
        store = await open_consul(ConsulAddress("127.0.0.1", agent.port))
    yield store
    await store.close()
