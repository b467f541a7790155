"""What follows a decision once it is stored: runs, questions, looks. Doing one twice does no harm."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from olympus.athena.engine import Doing
from olympus.athena.model import Answered, Ask, Fact, Look, Looked, RunEnded, StartRun, Unanswered, Watch
from olympus.athena.ports import Knowledge, Observations, Remedies
from olympus.athena.rules import Question
from olympus.kernel.errors import OlympusError, RetryLater
from olympus.records.incident import Incident
from olympus.spec.duration import format_duration

log = logging.getLogger("olympus.athena")

_AT_ONCE: Final = 64
_RETRY: Final = 1.0


@dataclass(frozen=True, slots=True)
class Hands:
    """Who does what Athena decides."""

    remedies: Remedies
    knowledge: Knowledge
    observations: Observations


class Performer:
    """Of one term: each effect is a task of `group`, and what comes of it is told."""

    def __init__(self, hands: Hands, group: asyncio.TaskGroup, tell: Callable[[str, Fact], None]) -> None:
        self._hands = hands
        self._group = group
        self._tell = tell
        self._turn = asyncio.Semaphore(_AT_ONCE)

    def do(self, doing: Doing) -> None:
        """Returns at once."""
        incident = doing.incident
        match doing.effect:
            case StartRun() as start:
                self._group.create_task(self._begin(start, incident))
            case Watch(start):
                self._group.create_task(self._begin(start, incident))
            case Ask(question):
                self._group.create_task(self._ask(question, incident))
            case Look(state):
                self._group.create_task(self._look(state, incident))

    async def _begin(self, start: StartRun, incident: Incident) -> None:
        async with self._turn:
            while True:
                try:
                    ended = await self._hands.remedies.begin(start, incident)
                except RetryLater as error:
                    log.info("remedy_waits", extra={"run": start.run, "why": str(error)})
                    await asyncio.sleep(_RETRY)
                except OlympusError as error:
                    ended = RunEnded(start.run, "failed", str(error))
                    break
                else:
                    break
        if ended is not None:
            self._tell(incident.id, ended)

    async def _ask(self, question: Question, incident: Incident) -> None:
        seconds = question.timeout.total_seconds()
        fact: Fact
        try:
            async with asyncio.timeout(seconds), self._turn:
                fact = Answered(question.name, await self._hands.knowledge.answer(question))
        except TimeoutError:
            said = f"{question.of} did not answer within {format_duration(question.timeout)}"
            fact = Unanswered(question.name, said)
        except (OlympusError, ValueError, KeyError, TypeError) as error:
            fact = Unanswered(question.name, f"{question.of}: {error}")
        self._tell(incident.id, fact)

    async def _look(self, state: object, incident: Incident) -> None:
        observations = self._hands.observations
        try:
            async with self._turn:
                if isinstance(state, dict):
                    looked = await observations.state(state)
                else:
                    looked = await observations.witness(_absent(incident), incident.event)
        except OlympusError as error:
            looked = Looked(value=False, because=str(error))
        self._tell(incident.id, looked)


def _absent(incident: Incident) -> dict[str, object]:
    """The event that should stay away after the last remedy."""
    rung = incident.attempt.rung if incident.attempt is not None else 0
    found: dict[str, object] = incident.spec["solve"][rung]["verify"]["absent"]
    return found
