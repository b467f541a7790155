"""What a status comes to: the conditions that every resource has."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias

from olympus.kernel.clock import rfc3339

Truth: TypeAlias = Literal["True", "False", "Unknown"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why it is as it is, since when."""

    since: datetime
    reason: str
    message: str = ""
    ready: Truth = "False"
    reconciling: Truth = "False"
    stalled: Truth = "False"

    def conditions(self, revision: str | None) -> list[dict[str, Any]]:
        """As in `status.conditions`. reason: one CamelCase word for programs; message: a sentence for people."""
        ready = {
            "type": "Ready",
            "status": self.ready,
            "reason": self.reason,
            "message": self.message,
            "since": rfc3339(self.since),
            "observedRevision": revision,
        }
        return [
            ready,
            ready | {"type": "Reconciling", "status": self.reconciling},
            ready | {"type": "Stalled", "status": self.stalled},
        ]
