"""A cancellation that came together with another error is not to be overheard."""

from __future__ import annotations

import asyncio


def heed_cancellation() -> None:
    """To be called where errors of a TaskGroup were handled and the work goes on. Raises CancelledError.

    A group whose task fails just when the group itself is cancelled tells of the failure alone (before Python 3.13).
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
