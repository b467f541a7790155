"""Argos's watches with an embedded Hermes, alone in a process: `python -m tests.bench.argos_alone STATE SPEC`.

SPEC: a LogWatch's, in a file of JSON. A line of JSON comes for each of these: {"watching": true}; each event that is
on the bus, {"at": seconds since 1970, "line": its line}, with `--each`; and, with `--until N`, at the Nth event
{"events", "cpu": seconds since the watch was taken, "wall", "peak": megabytes of memory}, which ends it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

from olympus.argos.recent import Recent
from olympus.argos.watches import Watches
from olympus.hermes import keys
from olympus.hermes.bus import Bus
from olympus.hermes.kv_embedded import EmbeddedKv
from olympus.kernel.clock import SystemClock
from olympus.records.desired import WatchDesired


def say(**told: Any) -> None:
    print(json.dumps(told), flush=True)


def peak() -> float:
    """Megabytes that were resident at once."""
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) * 1024 / 1e6


async def main(args: argparse.Namespace) -> None:
    clock = SystemClock()
    kv = EmbeddedKv.open(args.state / "hermes.db", clock)
    bus = Bus(kv, "n1", clock=clock)
    watches = Watches(kv, bus, clock, "n1", state=args.state, recent=Recent())
    tasks = [asyncio.ensure_future(bus.run()), asyncio.ensure_future(watches.run())]
    events = bus.subscribe({})
    cpu, wall = time.process_time(), time.perf_counter()
    watches.take([WatchDesired(name="log", spec=json.loads(args.spec.read_text()))])
    tasks.append(asyncio.ensure_future(tell_watching(kv)))
    count = 0
    async for batch in events:
        matched = [event for event in batch.events if event.type == "olympus.argos.match"]
        count += len(matched)
        if args.each:
            at = time.time()
            for event in matched:
                say(at=at, line=event.data["line"])
        if args.until is not None and count >= args.until:
            break
    used, passed = time.process_time() - cpu, time.perf_counter() - wall
    say(events=count, cpu=used, wall=passed, peak=peak())
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await kv.close()


async def tell_watching(kv: EmbeddedKv) -> None:
    async for snapshot in kv.watch(keys.watch("n1", "log")):
        if snapshot.entries:
            say(watching=True)
            return


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("state", type=Path)
    parser.add_argument("spec", type=Path)
    parser.add_argument("--each", action="store_true")
    parser.add_argument("--until", type=int)
    sys.exit(asyncio.run(main(parser.parse_args())))
