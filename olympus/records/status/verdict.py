"""What a status comes to: the conditions that every resource has."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from olympus.records.condition import Condition, Truth


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why it is as it is, since when."""

    since: datetime
    reason: str
    message: str = ""
    ready: Truth = "False"
    reconciling: Truth = "False"
    stalled: Truth = "False"

    def conditions(self, revision: str) -> list[dict[str, Any]]:
        """As in `status.conditions`."""
        ready = Condition(
            type="Ready",
            status=self.ready,
            reason=self.reason,
            message=self.message,
            since=self.since,
            observed_revision=revision,
        ).to_json()
        return [
            ready,
            ready | {"type": "Reconciling", "status": self.reconciling},
            ready | {"type": "Stalled", "status": self.stalled},
        ]
