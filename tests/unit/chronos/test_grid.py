"""Cron around clock changes: on every day of every zone a daily slot fires once, whatever the clocks do."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from olympus.chronos.core import upcoming
from olympus.chronos.model import Timetable
from olympus.spec.cron import parse_cron

# Zones with a change by an hour, by half an hour, at midnight, southern ones, and one without.
ZONES = {
    "Europe/Budapest": [date(2026, 3, 29), date(2026, 10, 25)],
    "America/New_York": [date(2026, 3, 8), date(2026, 11, 1)],
    "Australia/Lord_Howe": [date(2026, 4, 5), date(2026, 10, 4)],
    "America/Santiago": [date(2026, 4, 4), date(2026, 9, 5)],
    "Africa/Cairo": [date(2026, 4, 24), date(2026, 10, 29)],
    "Asia/Tokyo": [date(2026, 3, 29), date(2026, 10, 25)],
}


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("hour", [0, 1, 2, 3, 4, 23])
@pytest.mark.parametrize("minute", [0, 30])
def test_a_daily_slot_fires_once_on_each_day_around_a_change(zone, hour, minute):
    here = ZoneInfo(zone)
    table = Timetable("t", parse_cron(f"{minute} {hour} * * *", zone), "p", {}, "d")
    for change in ZONES[zone]:
        start = datetime.combine(change - timedelta(days=2), datetime.min.time(), here)
        slots = upcoming(table, start.astimezone(UTC) - timedelta(seconds=1), 5)
        days = [slot.astimezone(here).date() for slot in slots]
        # A slot in an hour that is left out comes right after it, which may be the next day's first minute.
        assert len(set(slots)) == 5
        wanted = [change + timedelta(days=n) for n in range(-2, 3)]
        assert days == wanted or [d for d in days if d not in wanted] == [change + timedelta(days=1)]


def test_seconds_are_understood_and_every_minute_passes_through_a_change():
    table = Timetable("t", parse_cron("30 * * * * *", "Europe/Budapest"), "p", {}, "d")
    start = datetime(2026, 10, 25, 0, 0, tzinfo=UTC)
    slots = upcoming(table, start, 180)
    assert [int((b - a).total_seconds()) for a, b in pairwise(slots)] == [60] * 179
    assert slots[0].second == 30
