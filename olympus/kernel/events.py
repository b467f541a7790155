"""Events as CloudEvents 1.0 (github.com/cloudevents/spec), with the chain of causes in extensions.

`node`, `cause` (id of the event that caused this one) and `depth` (0 for what people and clocks begin) are
CloudEvents extensions: they make chains visible and let loops be stopped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from olympus.kernel.clock import parse_rfc3339, rfc3339

MAX_DEPTH: Final = 16
"""An event deeper than this is recorded, and starts nothing."""

_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,254}")


@dataclass(frozen=True, slots=True)
class Event:
    """One fact, in the past tense. `data` is JSON: never changed after the event was made."""

    id: str
    type: str
    source: str
    time: datetime
    data: Mapping[str, Any] = field(default_factory=dict)
    subject: str | None = None
    node: str | None = None
    cause: str | None = None
    depth: int = 0

    def to_json(self) -> dict[str, Any]:
        """The structured mode of CloudEvents as a dictionary; absent attributes are left out."""
        out: dict[str, Any] = {
            "specversion": "1.0",
            "id": self.id,
            "type": self.type,
            "source": self.source,
            "time": rfc3339(self.time),
            "depth": self.depth,
            "data": self.data,
        }
        # Written out: this is done for each event of the bus.
        if self.subject is not None:
            out["subject"] = self.subject
        if self.node is not None:
            out["node"] = self.node
        if self.cause is not None:
            out["cause"] = self.cause
        return out

    @staticmethod
    def from_json(raw: Mapping[str, Any]) -> Event:
        """The event that `to_json` wrote, or that another program sent.

        Raises ValueError, saying which attribute is wrong, where it is no CloudEvent 1.0.
        """
        if raw.get("specversion", "1.0") != "1.0":
            raise ValueError(f"specversion is {raw.get('specversion')!r}, only '1.0' is understood")
        for name in ("id", "type", "source", "time"):
            if not isinstance(raw.get(name), str) or not raw[name]:
                raise ValueError(f"attribute '{name}' must be a text that is not empty")
        if not _TYPE.fullmatch(raw["type"]):
            raise ValueError(f"type {raw['type']!r} may hold letters, digits, '.', '_' and '-' only")
        for name in ("subject", "node", "cause"):
            if not isinstance(raw.get(name), str | None):
                raise ValueError(f"attribute '{name}' must be a text")
        data = raw.get("data") or {}
        if not isinstance(data, Mapping):
            raise ValueError("data must be a JSON object")
        depth = raw.get("depth", 0)
        if not isinstance(depth, int) or isinstance(depth, bool) or depth < 0:
            raise ValueError("attribute 'depth' must be a whole number, 0 or more")
        return Event(
            id=raw["id"],
            type=raw["type"],
            source=raw["source"],
            time=parse_rfc3339(raw["time"]),
            data=data,
            subject=raw.get("subject"),
            node=raw.get("node"),
            cause=raw.get("cause"),
            depth=depth,
        )
