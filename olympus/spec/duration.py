"""Durations as operators write them: `500ms`, `10s`, `5m`, `2h`, `1d`, and sums like `1h30m`."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

PATTERN: Final = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h|d))+$"

_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_WHOLE = re.compile(PATTERN)
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_MAX: Final = timedelta(days=3650)


def parse_duration(text: str) -> timedelta:
    """Raises ValueError, saying what a duration looks like."""
    if not isinstance(text, str) or not _WHOLE.fullmatch(text) or len(text) > 64:
        raise ValueError(f"{text!r} is no duration: write a number with ms, s, m, h or d, as in 10s or 1h30m")
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))
    if seconds > _MAX.total_seconds():
        raise ValueError(f"{text!r} is longer than ten years")
    return timedelta(seconds=seconds)


def format_duration(duration: timedelta) -> str:
    """The shortest sum of units that `parse_duration` reads as the same: `1h30m`."""
    left = round(duration.total_seconds() * 1000)
    parts = []
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"
