"""Numbers for Prometheus, in its text format; no secrets, no names of people."""

from __future__ import annotations

import os
import time
from collections import Counter
from pathlib import Path
from typing import Final

from olympus.apollo.ports import Surroundings
from olympus.hermes import keys

_BEGUN: Final = time.monotonic()


class Metrics:
    """Counts answers; reads the rest when it is asked."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._answers: Counter[tuple[str, int]] = Counter()

    def answered(self, method: str, status: int) -> None:
        self._answers[method, status] += 1

    async def text(self) -> str:
        live = await self._around.kv.keys(keys.LIVE_RUNS)
        heads = await self._around.kv.keys(keys.HEADS)
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        lines = [
            "# TYPE olympus_info gauge",
            f'olympus_info{{version="{self._around.version}",node="{self._around.node}"}} 1',
            "# TYPE olympus_uptime_seconds gauge",
            f"olympus_uptime_seconds {time.monotonic() - _BEGUN:.3f}",
            "# TYPE olympus_resident_bytes gauge",
            f"olympus_resident_bytes {pages * os.sysconf('SC_PAGESIZE')}",
            "# TYPE olympus_cpu_seconds_total counter",
            f"olympus_cpu_seconds_total {time.process_time():.3f}",
            "# TYPE olympus_live_runs gauge",
            f"olympus_live_runs {len(live)}",
            "# TYPE olympus_publishers gauge",
            f"olympus_publishers {len(heads)}",
            "# TYPE olympus_http_answers_total counter",
        ]
        for (method, status), count in sorted(self._answers.items()):
            lines.append(f'olympus_http_answers_total{{method="{method}",status="{status}"}} {count}')
        return "\n".join(lines) + "\n"
