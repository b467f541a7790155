"""What commands print: tables for people, JSON or YAML for programs."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Subparsers = Any
"""What argparse's add_subparsers returns; its type has no public name."""

_WATCH_SECONDS = 2.0


def add_output(parser: argparse.ArgumentParser) -> None:
    """`-o json|yaml`."""
    parser.add_argument(
        "-o", "--output", choices=["table", "json", "yaml"], default="table", help="for programs: json"
    )


def add_server(parser: argparse.ArgumentParser) -> None:
    """Which Olympus is meant."""
    parser.add_argument("--server", metavar="URL", help="default: $OLYMPUS_SERVER, else the one of --state")
    parser.add_argument("--state", metavar="DIR", help="where `olympus up` left client.json")


def emit(args: argparse.Namespace, value: Any, people: Callable[[], None]) -> int:
    """Print `value` as programs want it, or call `people`."""
    if args.output == "json":
        print(json.dumps(value, indent=2, ensure_ascii=False))
    elif args.output == "yaml":
        import yaml  # noqa: PLC0415 - only where it is asked for

        print(yaml.safe_dump(value, sort_keys=False, allow_unicode=True), end="")
    else:
        people()
    return 0


def table(headers: Sequence[str], rows: Sequence[Sequence[Any]], empty: str) -> None:
    """Columns as wide as they need to be; `empty` on stderr where there are no rows."""
    if not rows:
        print(empty, file=sys.stderr)
        return
    texts = [[visible(cell) for cell in row] for row in [headers, *rows]]
    widths = [max(len(row[i]) for row in texts) for i in range(len(headers))]
    for row in texts:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def visible(value: Any) -> str:
    """What could steer a terminal is shown as an escape."""
    text = "-" if value is None else str(value)
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def ready(item: Mapping[str, Any]) -> tuple[str, str]:
    """The status of the condition Ready, and its reason with its message."""
    conditions = item.get("status", {}).get("conditions", ())
    found = next((one for one in conditions if one["type"] == "Ready"), None)
    if found is None:
        return "Unknown", ""
    why = found["reason"] + (
        f": {found['message']}" if found["message"] and found["status"] != "True" else ""
    )
    return found["status"], why


def watched(args: argparse.Namespace, show: Callable[[], int]) -> int:
    """Once, or with `--watch` until Ctrl-C."""
    while True:
        code = show()
        if not getattr(args, "watch", False):
            return code
        sys.stdout.flush()
        time.sleep(_WATCH_SECONDS)
        print()
