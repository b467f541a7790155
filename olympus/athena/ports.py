"""What Athena asks of the world around it. Boot says who answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from olympus.athena.model import Looked, RunEnded, StartRun
from olympus.athena.rules import Question
from olympus.records.incident import Incident


class Remedies(Protocol):
    """Hephaestus. Raises RetryLater where it can't be reached just now."""

    async def begin(self, start: StartRun, incident: Incident) -> RunEnded | None:
        """That there is the run with just this id, however often it is asked for: None while it is not over.

        One that can't be started is a run that failed.
        """
        ...


class Knowledge(Protocol):
    """Who is asked: Argos, Apollo, Zeus, Hephaestus, other systems."""

    async def answer(self, question: Question) -> Any:
        """JSON. Raises OlympusError, with the reason, where nobody can say."""
        ...


class Observations(Protocol):
    """How things stand, as those who own them tell."""

    async def state(self, what: Mapping[str, Any]) -> Looked:
        """`{service|check|node: NAME, state: …}`."""
        ...

    async def witness(self, absent: Mapping[str, Any], event: Mapping[str, Any]) -> Looked:
        """Whether who would tell of the event that stays away is alive; `event` opened the incident."""
        ...
