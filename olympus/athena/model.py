"""What Athena's decisions are made of: facts in the past tense, effects in the imperative."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeAlias

from olympus.athena.rules import Question
from olympus.kernel.decision import Decision
from olympus.kernel.events import Event
from olympus.records.incident import Incident, Outcome
from olympus.spec.expression import Clause

# ── what holds a rule back ──


@dataclass(frozen=True, slots=True)
class Gate:
    """What a decision has to know of the world; in words, None where nothing is in the way.

    silenced: a silence, or that the rule was suspended; limited: a budget that is used up
    ladder:   the rungs in the order in which they are to be tried
    """

    silenced: str | None = None
    limited: str | None = None
    ladder: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Silence:
    """No remedies until then. rules empty: all. selector: of nodes, empty: all."""

    name: str
    rules: frozenset[str]
    selector: str
    until: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class World:
    """What rules are held against. nodes: name → labels as git declares them. suspended: rule, or `*` → by whom.

    held: rule → why it was silenced then, in a replay
    """

    nodes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    silences: tuple[Silence, ...] = ()
    suspended: Mapping[str, str] = field(default_factory=dict)
    held: Mapping[str, str] = field(default_factory=dict)


# ── facts about one incident ──


@dataclass(frozen=True, slots=True)
class Triggered:
    """The rule's events are there: `event` is the last of `events`. clauses: of its `where`, all true."""

    incident: str
    key: str
    event: Event
    events: tuple[str, ...]
    clauses: tuple[Clause, ...] = ()


@dataclass(frozen=True, slots=True)
class Joined:
    """The rule's events came again, with the same key."""

    events: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Answered:
    """To a question."""

    name: str
    value: Any


@dataclass(frozen=True, slots=True)
class Unanswered:
    """Nobody answered in time, or nobody can."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class RunEnded:
    """state: succeeded, failed, cancelled, unknown."""

    run: str
    state: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An event that may be the one that should stay away."""

    event: Event


@dataclass(frozen=True, slots=True)
class Looked:
    """At a state that has to be so; or whether who would tell of the event that stays away is alive."""

    value: bool
    because: str


@dataclass(frozen=True, slots=True)
class Due:
    """`wake_at` has come."""


@dataclass(frozen=True, slots=True)
class Resumed:
    """Another leader takes over: what is under way is begun anew where it may have been lost."""


@dataclass(frozen=True, slots=True)
class Acked:
    by: str


@dataclass(frozen=True, slots=True)
class Commented:
    by: str
    text: str


Fact: TypeAlias = (
    Triggered
    | Joined
    | Answered
    | Unanswered
    | RunEnded
    | Candidate
    | Looked
    | Due
    | Resumed
    | Acked
    | Commented
)

# ── effects of one incident ──


@dataclass(frozen=True, slots=True)
class Ask:
    """One Answered or Unanswered follows."""

    question: Question


@dataclass(frozen=True, slots=True)
class StartRun:
    """The run with just this id, once; RunEnded follows. approve: it waits in a first step named `approve`.

    event: what it is for: the cause of the run
    """

    run: str
    pipeline: str
    params: Mapping[str, Any]
    approve: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Watch:
    """That a run that may have been started is so, and how it ended: RunEnded follows."""

    start: StartRun


@dataclass(frozen=True, slots=True)
class Look:
    """Looked follows. state: what has to be so; None: whether who would tell of `event` is alive."""

    state: Mapping[str, Any] | None = None


Told: TypeAlias = Literal["incident-opened", "decided", "resolved", "escalated"]


@dataclass(frozen=True, slots=True)
class Tell:
    """An event `olympus.athena.TYPE` about the incident."""

    type: Told
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Worked:
    """A remedy was verified, or was not."""

    pipeline: str
    verified: bool


@dataclass(frozen=True, slots=True)
class Spent:
    """A remedy was started: budgets count it. otherwise: it was the last resort, which only the breaker counts."""

    otherwise: bool = False


Effect: TypeAlias = Ask | StartRun | Watch | Look | Tell | Worked | Spent

Made: TypeAlias = Decision[Incident | None, Effect]


Timer: TypeAlias = tuple[str, str, str]
"""(incident, ID, ""), (window, RULE, KEY), (key, RULE, KEY)."""


# ── what an event came to ──


@dataclass(frozen=True, slots=True)
class Came:
    """What became of one rule at one event. incident: that it opened or joined."""

    rule: str
    outcome: Outcome
    clauses: tuple[Clause, ...] = ()
    key: str = ""
    incident: str | None = None
