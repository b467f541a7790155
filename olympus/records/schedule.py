"""What is stored of a schedule: `schedules/NAME`, written by Chronos alone, in the transaction of its events."""

from __future__ import annotations

from olympus.records.document import Document, Moment


class ScheduleRecord(Document):
    """`handled` is the last slot that was fired or skipped; `digest` is of what says when it fires."""

    digest: str
    handled: Moment
