"""What `data` of each of Olympus's own event types holds. Rules and pipelines are checked against it."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class EventData(BaseModel):
    """The base; a type may carry more than is said here."""

    model_config = ConfigDict(
        alias_generator=to_camel, validate_by_name=True, extra="allow", defer_build=True
    )


class Applied(EventData):
    """actions: as in a plan, without diffs; more_actions: how many are left out here."""

    revision: str
    author: str = ""
    summary: str = ""
    actions: list[dict[str, Any]] = Field(default_factory=list)
    more_actions: int = 0


class Refused(EventData):
    revision: str
    author: str = ""
    errors: list[str] = Field(default_factory=list)


class ServiceChanged(EventData):
    service: str
    state: str
    reason: str = ""
    restarts: int = 0
    node: str | None = None


class NodeChanged(EventData):
    node: str
    reason: str = ""


class Matched(EventData):
    """count: how many lines it stands for; 0 where one should have come and did not.

    fields: of syslog, what the message says of itself: peer (the address it came from) host app pid id at facility
    severity data, those of them that are there
    """

    watch: str
    name: str
    severity: str
    source: str
    offset: int | None = None
    line: str
    groups: dict[str, Any] = Field(default_factory=dict)
    count: int = 1
    fields: dict[str, Any] = Field(default_factory=dict)


class HeldBack(EventData):
    """count: how many lines matched since, of which nothing was told: the watch's rate was used up."""

    watch: str
    count: int
    since: str


class LinesLost(EventData):
    watch: str
    source: str
    bytes: int
    reason: str


class CheckChanged(EventData):
    check: str
    value: Any = None
    since: str | None = None
    reason: str = ""


class Fired(EventData):
    schedule: str
    slot: str
    reason: str = ""
    pipeline: str | None = None
    params: dict[str, Any] = Field(default_factory=dict)
    overlap: str | None = None
    revision: str = ""


class Skipped(EventData):
    schedule: str
    slot: str
    until: str | None = None
    count: int = 1
    reason: str


class RunCause(EventData):
    event: str | None = None
    kind: str
    name: str = ""


class RunRequested(EventData):
    run: str
    pipeline: str


class CancelRequested(RunRequested):
    reason: str = ""
    by: str = ""


class RetryRequested(RunRequested):
    by: str = ""


class ApprovalGiven(RunRequested):
    """yes: False where it was denied."""

    step: str
    by: str
    role: str
    yes: bool = True
    comment: str = ""


class OrderChanged(EventData):
    """An order is one attempt of one step on one node."""

    order: str
    run: str
    pipeline: str = ""
    step: str
    node: str
    attempt: int
    started_at: str | None = None


class OrderOutcome(EventData):
    """exit: the exit code, negative for a signal; for http the status."""

    state: str
    exit: int | None = None
    output: Any = None
    error: str = ""
    started_at: str | None = None
    finished_at: str | None = None
    artifacts: list[dict[str, Any]] = Field(default_factory=list)


class OrderFinished(OrderChanged):
    outcome: OrderOutcome


class RunChanged(EventData):
    run: str
    pipeline: str
    state: str
    reason: str = ""
    cause: RunCause | None = None


class StepFinished(EventData):
    run: str
    pipeline: str
    step: str
    state: str
    exit: int | None = None
    node: str | None = None
    attempt: int = 1
    reason: str = ""


class Overdue(EventData):
    schedule: str
    pipeline: str
    within: str | None = None
    since: str | None = None


class NoteChanged(EventData):
    path: str
    revision: str
    actor: str
    change: str | None = None
    was: str | None = None
    diff: str = ""


class AssetChanged(EventData):
    """verb: create, update or delete; fields: those that changed, the first of them: `spec.owner`."""

    name: str
    verb: str = "update"
    revision: str
    actor: str
    diff: str = ""
    fields: list[str] = Field(default_factory=list)


class AssetExpires(EventData):
    """field: `expires`, or the one that its type names; days_left: until then, below 0 where it is over."""

    name: str
    type: str
    owner: str | None = None
    field: str = "expires"
    expires: str
    days_left: int


class WebhookReceived(EventData):
    name: str
    pipeline: str = ""
    actor: str = ""


class IncidentChanged(EventData):
    incident: str
    rule: str
    key: str = ""
    remedy: str | None = None


class Missed(EventData):
    """What should have come and did not; it carries also the data of the last one that came."""

    rule: str
    key: str = ""
    since: str


class IncidentAcknowledged(EventData):
    incident: str
    rule: str
    by: str


class IncidentCommented(IncidentAcknowledged):
    text: str


NOTE_CHANGED: Final = "olympus.apollo.note-changed"
ASSET_CHANGED: Final = "olympus.apollo.asset-changed"
ASSET_EXPIRING: Final = "olympus.apollo.asset-expiring"
ASSET_EXPIRED: Final = "olympus.apollo.asset-expired"
INCIDENT_ACKNOWLEDGED: Final = "olympus.apollo.incident-acknowledged"
INCIDENT_COMMENTED: Final = "olympus.apollo.incident-commented"

EVENT_DATA: Final[dict[str, type[EventData]]] = {
    "olympus.zeus.applied": Applied,
    "olympus.zeus.refused": Refused,
    "olympus.zeus.service-failed": ServiceChanged,
    "olympus.zeus.service-recovered": ServiceChanged,
    "olympus.zeus.service-crashlooping": ServiceChanged,
    "olympus.zeus.healed": ServiceChanged,
    "olympus.zeus.node-joined": NodeChanged,
    "olympus.zeus.node-lost": NodeChanged,
    "olympus.zeus.desired-refused": NodeChanged,
    "olympus.argos.match": Matched,
    "olympus.argos.held-back": HeldBack,
    "olympus.argos.lines-lost": LinesLost,
    "olympus.argos.check-failed": CheckChanged,
    "olympus.argos.check-recovered": CheckChanged,
    "olympus.argos.check-unknown": CheckChanged,
    "olympus.chronos.fired": Fired,
    "olympus.chronos.skipped": Skipped,
    "olympus.hephaestus.run-requested": RunRequested,
    "olympus.hephaestus.cancel-requested": CancelRequested,
    "olympus.hephaestus.retry-requested": RetryRequested,
    "olympus.hephaestus.approval-given": ApprovalGiven,
    "olympus.hephaestus.order-started": OrderChanged,
    "olympus.hephaestus.order-finished": OrderFinished,
    "olympus.hephaestus.run-started": RunChanged,
    "olympus.hephaestus.step-finished": StepFinished,
    "olympus.hephaestus.run-finished": RunChanged,
    "olympus.hephaestus.overdue": Overdue,
    NOTE_CHANGED: NoteChanged,
    ASSET_CHANGED: AssetChanged,
    ASSET_EXPIRING: AssetExpires,
    ASSET_EXPIRED: AssetExpires,
    "olympus.apollo.webhook-received": WebhookReceived,
    "olympus.athena.incident-opened": IncidentChanged,
    "olympus.athena.decided": IncidentChanged,
    "olympus.athena.resolved": IncidentChanged,
    "olympus.athena.escalated": IncidentChanged,
    "olympus.athena.missed": Missed,
    INCIDENT_ACKNOWLEDGED: IncidentAcknowledged,
    INCIDENT_COMMENTED: IncidentCommented,
}
