"""What others ask of Hephaestus, on any node: start, cancel, retry, approve."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from olympus.hephaestus.model import Approved
from olympus.hephaestus.starts import Asked, Started, Starts
from olympus.kernel.events import Event
from olympus.records.run import Cause


class Runs:
    """Raises NotFound (no such run, pipeline), Invalid (parameters), Conflict (its state), Refused (the role)."""

    def __init__(self, starts: Starts) -> None:
        self._starts = starts

    async def start(
        self,
        pipeline: str,
        params: Mapping[str, Any],
        cause: Cause,
        *,
        idempotency_key: str | None = None,
        event: Event | None = None,
    ) -> Started:
        """Readable, and safe from a power cut, as soon as this returns."""
        asked = Asked(pipeline, params, cause, event=event)
        return await self._starts.start(asked, idempotency_key=idempotency_key)

    async def cancel(self, run: str, by: str) -> None:
        """Returns when the order to end is stored; the run ends soon after."""
        await self._starts.cancel(run, by)

    async def retry(self, run: str, by: str) -> None:
        """Go on from what failed, in the same record."""
        await self._starts.retry(run, by)

    async def approve(self, run: str, step: str, *, role: str, by: str, approved: bool) -> None:
        """Answer an `approve` step; `role` is that of who answers."""
        await self._starts.approve(run, Approved(step, by, role, approved))
