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

CLOCK = SystemClock()
LATENCIES = 500
# Calls of `publish` under way at once in the sustained rate, each of 1,000 events.
UNDER_WAY = 4
RATE_EVENTS = 100_000


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


def _line(what: str, seconds: list[float], per_second: float, *ratios: str) -> None:
    p50, p99 = statistics.median(seconds), sorted(seconds)[int(len(seconds) * 0.99)]
    print(
        f"{what:<22} p50 {p50 * 1e3:6.2f} ms  p99 {p99 * 1e3:6.2f} ms  {per_second:9,.0f} events/s  {'  '.join(ratios)}"
    )


async def _measure() -> None:
    with tempfile.TemporaryDirectory() as folder:
        kv = EmbeddedKv.open(Path(folder) / "hermes.db", CLOCK)
        found, per_second = await within(kv)
        _line("embedded", found, per_second, "(aim p50 < 0.5 ms)")
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
        for what, measured in (
            ("bus, own subscriber", await within(kv)),
            ("bus, other program", await across(kv, agent.port)),
        ):
            found, per_second = measured
            slower = statistics.median(found) / statistics.median(raw)
            _line(
                what,
                found,
                per_second,
                f"{slower:.2f} × raw (aim ≤ 1.5)",
                f"{per_second / raw_per_second:.0%} of raw (aim ≥ 40 %)",
            )
        await kv.close()


def main() -> None:
    asyncio.run(_measure())


if __name__ == "__main__":
    asyncio.run(read(int(sys.argv[1])))
