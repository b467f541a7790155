"""Cron expressions: five fields, or six with seconds first; in a time zone. The only home of cronsim.

Around clock changes it is as in Debian's cron: a slot in the hour that is left out fires right after it, one in
the hour that comes twice fires once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from cronsim import CronSim, CronSimError

from olympus.kernel.diagnostics import did_you_mean

_ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}


_FIELDS = {
    "second": "0-59",
    "minute": "0-59",
    "hour": "0-23",
    "day-of-month": "1-31 that the months have, L or LW",
    "month": "1-12 or JAN-DEC",
    "day-of-week": "0-7 or SUN-SAT, 5L, 1#2",
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
        hint = did_you_mean(name, _zones(name[:1])) or ": write one of the IANA names, as in Europe/Budapest"
        raise ValueError(f"{name!r} is no time zone{hint}") from error


@lru_cache(maxsize=64)
def _zones(first: str) -> tuple[str, ...]:
    return tuple(name for name in available_timezones() if name[:1] == first)


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
    except (CronSimError, ValueError) as error:
        raise ValueError(f"cron {expression!r}: {_wrong(plain, str(error))}") from error
    return Cron(plain, timezone)


def _wrong(plain: str, said: str) -> str:
    """`Bad minute` → which one, and what may stand there."""
    name = said.removeprefix("Bad ")
    if name not in _FIELDS:
        return said
    at = list(_FIELDS).index(name) - (len(plain.split()) == 5)
    return f"{name} {plain.split()[at]!r} can't be: {_FIELDS[name]}"
