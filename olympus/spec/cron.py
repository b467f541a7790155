"""Cron expressions: five fields, or six with seconds first; in a time zone. The only home of cronsim.

Around clock changes it is as in Debian's cron: a slot in the hour that is left out fires right after it, one in
the hour that comes twice fires once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

_ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}


@dataclass(frozen=True, slots=True)
class Cron:
    """Parsed and checked."""

    expression: str
    timezone: str

    def next_after(self, moment: datetime) -> datetime | None:
        """The first slot after `moment`, in UTC; None where there is none within fifty years (30 February)."""
        try:
            found: datetime = next(CronSim(self.expression, moment.astimezone(zone(self.timezone))))
        except StopIteration:
            return None
        return found.astimezone(UTC)


@lru_cache(maxsize=1024)
def zone(name: str) -> ZoneInfo:
    """Raises ValueError where there is no such zone."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(
            f"{name!r} is no time zone: write one of the IANA names, as in Europe/Budapest"
        ) from error


@lru_cache(maxsize=4096)
def parse_cron(expression: str, timezone: str = "UTC") -> Cron:
    """Raises ValueError, with what is wrong."""
    plain = _ALIASES.get(expression.strip(), expression)
    fields = len(plain.split())
    if fields not in (5, 6):
        raise ValueError(
            f"cron {expression!r} has {fields} fields: write minute hour day month weekday, "
            "with seconds before them if they are wanted"
        )
    zone(timezone)
    try:
        CronSim(plain, datetime(2026, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        raise ValueError(f"cron {expression!r}: {error}") from error
    return Cron(plain, timezone)
