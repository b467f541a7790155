"""Incidents, and what is known of rules: `athena/…`, written by Athena's leader alone.

`athena/incidents/ID` is an incident; `athena/live/ID` is there while it may still change by itself, so that a leader
that takes over reads only those. `athena/rules/NAME` says how a rule fares, `athena/keys/RULE/SHA256` what was
done for one of its keys, `athena/windows/RULE/SHA256` what of its events has come.
`silences/ID` is what people silenced by hand, written by Apollo.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Any, Final, Literal, TypeAlias

from pydantic import Field

from olympus.hermes.kv import Entry
from olympus.records.document import Document, Moment

IncidentState: TypeAlias = Literal[
    "asking", "dismissed", "open", "solving", "verifying", "resolved", "escalated", "silenced"
]
Outcome: TypeAlias = Literal["fired", "false", "missing", "silenced", "limited", "duplicate"]
"""What became of a rule at an event."""

HIDDEN: Final = frozenset({"asking", "dismissed"})
"""Of what is no incident (yet): Athena asked first, and what she learned made none of it."""

CLOSED: Final = frozenset({"dismissed", "resolved", "escalated", "silenced"})
"""States that nothing but a person or a new event follows."""

_COMPRESS_OVER: Final = 16 * 1024


class Ruling(Document):
    """A decision: what was looked at, what it was, and why it decided."""

    at: Moment
    clause: str
    value: Any = None
    because: str = ""


class Attempt(Document):
    """A remedy that was started. rung: its place in the rule's `solve`; -1: it is the `otherwise`.

    state:    of the run, as far as Athena knows; "" while it is not over
    verified: None until it is known whether the problem is gone
    """

    pipeline: str
    run: str
    rung: int
    params: dict[str, Any] = Field(default_factory=dict)
    started_at: Moment
    ended_at: Moment | None = None
    state: str = ""
    message: str = ""
    verified: bool | None = None


class Remark(Document):
    """What a person said."""

    at: Moment
    by: str
    text: str = ""


class Incident(Document):
    """What a rule makes of its events.

    event:      the one that triggered it, as CloudEvent; `events` are the ids of it and of those that joined,
                the last ones; `joined` counts all that joined
    spec:       of the rule as it was then: a push in between changes nothing
    ladder:     the rungs in the order in which they are tried; `step` is the next one's place in it
    asked:      questions that are not answered yet
    unanswered: name → why there is no answer
    fresh:      answers that an `until` got, since it has to ask anew
    since:      when the verification began; `deadline` when it ends
    wake_at:    when Athena looks at it again
    """

    id: str
    rule: str
    key: str = ""
    state: IncidentState
    opened_at: Moment
    changed_at: Moment
    closed_at: Moment | None = None
    node: str | None = None
    event: dict[str, Any]
    events: tuple[str, ...] = ()
    joined: int = 0
    answers: dict[str, Any] = Field(default_factory=dict)
    unanswered: dict[str, str] = Field(default_factory=dict)
    decisions: tuple[Ruling, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    comments: tuple[Remark, ...] = ()
    acked: Remark | None = None
    spec: dict[str, Any] = Field(default_factory=dict)
    revision: str = ""
    ladder: tuple[int, ...] = ()
    step: int = 0
    asked: tuple[str, ...] = ()
    fresh: dict[str, Any] = Field(default_factory=dict)
    since: Moment | None = None
    deadline: Moment | None = None
    wake_at: Moment | None = None

    @property
    def depth(self) -> int:
        """Of the event that triggered it."""
        return int(self.event.get("depth") or 0)

    @property
    def attempt(self) -> Attempt | None:
        """The remedy that was started last."""
        return self.attempts[-1] if self.attempts else None

    def to_bytes(self) -> bytes:
        """Compressed where it is large."""
        raw = super().to_bytes()
        return zlib.compress(raw, 1) if len(raw) > _COMPRESS_OVER else raw

    @staticmethod
    def _unpacked(raw: bytes) -> bytes:
        return raw if raw.startswith(b"{") else zlib.decompress(raw)


class RuleRecord(Document):
    """How a rule fares.

    outcomes: how often an event that fits came to what
    runs:     when it started runs, within the last minute
    broken:   until when the breaker is open
    nodes:    where it acted, and when last, within the last hour
    verified: pipeline → how often the problem was gone after it; `tried`: how often it was started
    """

    rule: str
    last_fired: Moment | None = None
    outcomes: dict[str, int] = Field(default_factory=dict)
    runs: tuple[Moment, ...] = ()
    broken: Moment | None = None
    nodes: dict[str, Moment] = Field(default_factory=dict)
    tried: dict[str, int] = Field(default_factory=dict)
    verified: dict[str, int] = Field(default_factory=dict)


def rules_of(entries: Iterable[Entry]) -> dict[str, RuleRecord]:
    """Name → how it fares."""
    records = (RuleRecord.from_bytes(entry.value) for entry in entries)
    return {record.rule: record for record in records}


class KeyRecord(Document):
    """What a rule did for one key: when it started runs, within the last hour or the cooldown."""

    rule: str
    key: str
    runs: tuple[Moment, ...] = ()


class WindowRecord(Document):
    """What of a rule's correlated events has come for one key; `window` is as `athena.windows` writes it."""

    rule: str
    key: str
    window: dict[str, Any]


class SilenceRecord(Document):
    """No remedies until then: of these rules (none named: of all), on nodes that the selector names."""

    id: str
    rules: tuple[str, ...] = ()
    selector: str = ""
    until: Moment
    reason: str
    by: str = ""
    at: Moment
