"""Hermes beside a raw HTTP loop on the same Consul: latency of an event, and a sustained rate.

The subscriber is a god of the publisher's own program, then another program (this file with a port).
"""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
import statistics
import sys
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
from tests.bench.aims import Aim

CLOCK = SystemClock()
LATENCIES = 500
# Calls of `publish` under way at once in the sustained rate, each of 1,000 events.
UNDER_WAY = 4
RATE_EVENTS = 100_000
ROUNDS = 3


def event(size: int = 60) -> Event:
    """About 200 bytes as a CloudEvent, of which what is said cannot be packed well."""
    return Event(new_id(), "bench.counted", "bench", CLOCK.now(), {"pad": secrets.token_hex(size // 2)})


@asynccontextmanager
async def running(kv, publisher="bench"):
    bus = Bus(kv, publisher, clock=CLOCK)
    task = asyncio.ensure_future(bus.run())
    try:
        yield bus
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def receive(subscription) -> tuple[list[float], float]:
    """Seconds from publish to delivered, one after the other; then when the last of many was delivered."""
    found = []
    while len(found) < LATENCIES:
        # The subscriber's own work begins here.
        events = (await anext(subscription)).events
        now = time.perf_counter()
        found += [now - one.data["at"] for one in events]
    got = 0
    while got < RATE_EVENTS:
        got += len((await anext(subscription)).events)
    return found, time.perf_counter()


async def send(bus) -> float:
    """One event now and then, then as many as go; when the first of the many was published."""
    for _ in range(LATENCIES):
        await asyncio.sleep(0.003)
        one = event()
        one.data["at"] = time.perf_counter()
        await bus.publish([one], durable=False)
    await asyncio.sleep(0.5)
    made = iter([event() for _ in range(RATE_EVENTS)])
    parts = iter([[next(made) for _ in range(1000)] for _ in range(RATE_EVENTS // 1000)])

    async def some() -> None:
        for part in parts:
            await bus.publish(part, durable=False)

    begun = time.perf_counter()
    await asyncio.gather(*(some() for _ in range(UNDER_WAY)))
    return begun


async def within(kv) -> tuple[list[float], float]:
    """Latencies and events a second, publisher and subscriber in this program."""
    async with running(kv) as bus, aclosing(bus.subscribe(await bus.now())) as subscription:
        receiving = asyncio.ensure_future(receive(subscription))
        begun = await send(bus)
        found, ended = await receiving
    return found, RATE_EVENTS / (ended - begun)


async def across(kv, port: int) -> tuple[list[float], float]:
    """The same, the subscriber in another program: the monotonic clock is the machine's."""
    command = [sys.executable, "-m", "tests.bench.bench_hermes", str(port)]
    reader = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    await reader.stdout.readline()
    async with running(kv) as bus:
        begun = await send(bus)
        found, ended = json.loads(await reader.stdout.readline())
    await reader.wait()
    return found, RATE_EVENTS / (ended - begun)


async def read(port: int) -> None:
    """The other program."""
    kv = await open_consul(ConsulAddress("127.0.0.1", port))
    async with running(kv, "reader") as bus, aclosing(bus.subscribe(await bus.now())) as subscription:
        receiving = asyncio.ensure_future(receive(subscription))
        await asyncio.sleep(0.2)
        print("ready", flush=True)
        print(json.dumps(await receiving), flush=True)
    await kv.close()


async def raw_latency(url: str) -> list[float]:
    """Seconds from a PUT to the wake of a blocked reader, by plain HTTP."""
    session = open_session()
    found = []
    for i in range(LATENCIES):
        async with session.get(f"{url}/v1/kv/raw") as answer:
            index = answer.headers.get("X-Consul-Index", "1")
        reading = asyncio.ensure_future(_woken(session, f"{url}/v1/kv/raw?index={index}&wait=10s"))
        await asyncio.sleep(0.003)
        begun = time.perf_counter()
        async with session.put(f"{url}/v1/kv/raw", data=str(i).encode()) as answer:
            await answer.read()
        found.append(await reading - begun)
    await session.close()
    return found


async def _woken(session, url: str) -> float:
    async with session.get(url) as answer:
        await answer.read()
        return time.perf_counter()


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


def _line(what: str, latency: float, per_second: float) -> None:
    print(f"{what:<22} p50 {latency * 1e3:6.2f} ms  {per_second:9,.0f} events/s", flush=True)


async def _measure() -> list[Aim]:
    with tempfile.TemporaryDirectory() as folder:
        kv = EmbeddedKv.open(Path(folder) / "hermes.db", CLOCK)
        found, per_second = await within(kv)
        latency = statistics.median(found)
        _line("embedded", latency, per_second)
        await kv.close()
    aims = [Aim("embedded: publish → delivered, p50", latency * 1e3, "ms", 0.5)]
    binary = find_consul()
    if binary is None:
        print("Consul is not here: make consul")
        return aims
    with ConsulAgent(binary) as agent:
        return aims + await _beside_raw(agent)


async def _beside_raw(agent: ConsulAgent) -> list[Aim]:
    """Each round measures all of them, so that what else the machine does falls on all; medians count."""
    url = f"http://{agent.address}"
    kv = await open_consul(ConsulAddress("127.0.0.1", agent.port))
    rounds: dict[str, list[tuple[float, float]]] = {"raw HTTP": [], "own subscriber": [], "other program": []}
    for _ in range(ROUNDS):
        raw = await raw_latency(url), await raw_rate(url)
        for (what, results), (found, per_second) in zip(
            rounds.items(), (raw, await within(kv), await across(kv, agent.port)), strict=True
        ):
            results.append((statistics.median(found), per_second))
            _line(what, *results[-1])
    await kv.close()
    medians = {
        what: (statistics.median(one for one, _ in results), statistics.median(one for _, one in results))
        for what, results in rounds.items()
    }
    raw_p50, raw_per_second = medians.pop("raw HTTP")
    aims = []
    for what, (p50, per_second) in medians.items():
        aims += [
            Aim(f"Consul, {what}: p50 beside put → wake", p50 * 1e3, "ms", 1.5, raw_p50 * 1e3),
            Aim(f"Consul, {what}: rate", per_second, "/s", 0.4, raw_per_second, at_least=True),
        ]
    return aims


def main() -> list[Aim]:
    return asyncio.run(_measure())


if __name__ == "__main__":
    asyncio.run(read(int(sys.argv[1])))
