"""`make bench`: every measurement, one after the other, then all aims; `python -m tests.bench hermes` for one."""

from __future__ import annotations

import importlib
import os
import platform
import sys
from pathlib import Path

from tests.bench.aims import Aim, table


def main(wanted: list[str]) -> int:
    names = sorted(file.stem.removeprefix("bench_") for file in Path(__file__).parent.glob("bench_*.py"))
    unknown = set(wanted) - set(names)
    if unknown:
        print(f"no such measurement: {sorted(unknown)}; there are {names}", file=sys.stderr)
        return 2
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}")
    aims: list[Aim] = []
    for name in wanted or names:
        print(f"\n== {name}", flush=True)
        aims += importlib.import_module(f"tests.bench.bench_{name}").main() or ()
    print(f"\n{table(aims)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
