"""Hermes beside a raw HTTP loop on the same Consul: latency of an event, and a sustained rate."""

from __future__ import annotations

import asyncio
import base64
import statistics
import tempfile
import time
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path

import orjson

from olympus.hermes.bus import Bus
from olympus.hermes.consul_client import ConsulAddress
from olympus.hermes.kv_consul import open_consul
from olympus.hermes.kv_embedded import EmbeddedKv
from olympus.host.http_aiohttp import open_session
from olympus.kernel.clock import SystemClock
from olympus.kernel.events import Event
from olympus.kernel.ids import new_id
from olympus.testing.consul_agent import ConsulAgent, find_consul

CLOCK = SystemClock()
LATENCIES = 300
RATE_EVENTS = 100_000


def event(size: int = 60) -> Event:
    """About 200 bytes as a CloudEvent."""
    return Event(new_id(), "bench.counted", "bench", CLOCK.now(), {"pad": "x" * size})


@asynccontextmanager
async def running(kv):
    bus = Bus(kv, "bench", clock=CLOCK)
    task = asyncio.ensure_future(bus.run())
    try:
        yield bus
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def latency(bus) -> list[float]:
    """Seconds from publish to delivered."""
    found = []
    async with aclosing(bus.subscribe(await bus.now())) as subscription:
        waiting = asyncio.ensure_future(anext(subscription))
        await asyncio.sleep(0.1)
        for _ in range(LATENCIES):
            begun = time.perf_counter()
            publishing = asyncio.ensure_future(bus.publish([event()], durable=False))
            await waiting
            found.append(time.perf_counter() - begun)
            waiting = asyncio.ensure_future(anext(subscription))
            await publishing
        waiting.cancel()
        with suppress(asyncio.CancelledError, StopAsyncIteration):
            await waiting
    return found


async def rate(bus) -> float:
    """Events a second, from one publisher to one subscriber."""
    got = 0
    made = [event() for _ in range(RATE_EVENTS)]
    async with aclosing(bus.subscribe(await bus.now())) as subscription:

        async def take() -> None:
            nonlocal got
            while got < RATE_EVENTS:
                got += len((await anext(subscription)).events)

        taking = asyncio.ensure_future(take())
        begun = time.perf_counter()
        for i in range(0, RATE_EVENTS, 1000):
            await bus.publish(made[i : i + 1000], durable=False)
        await taking
    return RATE_EVENTS / (time.perf_counter() - begun)


async def raw_latency(url: str) -> list[float]:
    """Seconds from a PUT to the wake of a blocked reader, by plain HTTP."""
    session = open_session()
    found = []
    for i in range(LATENCIES):
        async with session.get(f"{url}/v1/kv/raw") as answer:
            index = answer.headers.get("X-Consul-Index", "1")
        reading = asyncio.ensure_future(_read(session, f"{url}/v1/kv/raw?index={index}&wait=10s"))
        await asyncio.sleep(0.002)
        begun = time.perf_counter()
        async with session.put(f"{url}/v1/kv/raw", data=str(i).encode()) as answer:
            await answer.read()
        await reading
        found.append(time.perf_counter() - begun)
    await session.close()
    return found


async def _read(session, url: str) -> bytes:
    async with session.get(url) as answer:
        return await answer.read()


async def raw_rate(url: str) -> float:
    """Events a second in transactions of one value of 1,000 events."""
    session = open_session()
    value = base64.b64encode(orjson.dumps([event().to_json() for _ in range(1000)])).decode()
    begun = time.perf_counter()
    count = RATE_EVENTS // 1000
    for i in range(count):
        body = orjson.dumps([{"KV": {"Verb": "set", "Key": f"rate/{i}", "Value": value}}])
        async with session.put(f"{url}/v1/txn", data=body) as answer:
            await answer.read()
    await session.close()
    return count * 1000 / (time.perf_counter() - begun)


def _line(what: str, seconds: list[float], per_second: float, *ratios: str) -> None:
    p50, p99 = statistics.median(seconds), sorted(seconds)[int(len(seconds) * 0.99)]
    print(
        f"{what:<22} p50 {p50 * 1e3:6.2f} ms  p99 {p99 * 1e3:6.2f} ms  {per_second:9,.0f} events/s  {'  '.join(ratios)}"
    )


async def _measure() -> None:
    with tempfile.TemporaryDirectory() as folder:
        kv = EmbeddedKv.open(Path(folder) / "hermes.db", CLOCK)
        async with running(kv) as bus:
            _line("embedded", await latency(bus), await rate(bus))
        await kv.close()
    binary = find_consul()
    if binary is None:
        print("Consul is not here: make consul")
        return
    with ConsulAgent(binary) as agent:
        url = f"http://{agent.address}"
        raw, raw_per_second = await raw_latency(url), await raw_rate(url)
        _line("raw HTTP, dev server", raw, raw_per_second)
        kv = await open_consul(ConsulAddress("127.0.0.1", agent.port))
        async with running(kv) as bus:
            found, per_second = await latency(bus), await rate(bus)
        await kv.close()
        slower = statistics.median(found) / statistics.median(raw)
        _line(
            "bus on that Consul",
            found,
            per_second,
            f"{slower:.2f} × raw (aim ≤ 1.5)",
            f"{per_second / raw_per_second:.0%} of raw (aim ≥ 40 %)",
        )


def main() -> None:
    asyncio.run(_measure())
