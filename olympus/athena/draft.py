"""An incident while it is decided on: what changes, and what is to be done."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from olympus.athena.model import Effect, Gate, Made, Spent, Tell, Told
from olympus.athena.rules import Rule
from olympus.kernel.decision import Decision
from olympus.records.incident import Incident, Ruling

MAX_EVENTS: Final = 50
"""Ids of events that are kept: the first, and the last ones."""

MAX_RULINGS: Final = 200
_MAX_BECAUSE: Final = 500


class Draft:
    """Of one decision."""

    def __init__(self, incident: Incident, rule: Rule, gate: Gate, now: datetime) -> None:
        self.incident = incident
        self.rule = rule
        self.gate = gate
        self.now = now
        self._effects: list[Effect] = []
        self._wanted: tuple[str, ...] = ()

    def put(self, **changes: Any) -> None:
        """These fields of the incident."""
        self.incident = self.incident.model_copy(update={**changes, "changed_at": self.now})

    def do(self, effect: Effect) -> None:
        self._effects.append(effect)

    def tell(self, type_: Told, **data: Any) -> None:
        """An event about it."""
        one = self.incident
        about = {"incident": one.id, "rule": one.rule, "key": one.key, "state": one.state}
        self.do(Tell(type_, {**about, **data}))

    def rule_on(self, clause: str, value: Any, because: str) -> None:
        """A decision, for the record."""
        said = because if len(because) <= _MAX_BECAUSE else because[: _MAX_BECAUSE - 1] + "…"
        known = self.incident.decisions
        if len(known) >= MAX_RULINGS:
            known = (*known[: MAX_RULINGS // 2], *known[MAX_RULINGS // 2 + 1 :])
        self.put(decisions=(*known, Ruling(at=self.now, clause=clause, value=value, because=said)))

    def attempt(self, run: str, **changes: Any) -> None:
        """These fields of an attempt."""
        self.put(
            attempts=tuple(
                one.model_copy(update=changes) if one.run == run else one for one in self.incident.attempts
            )
        )

    def spend(self, *, otherwise: bool) -> None:
        """Budgets count a run that is started."""
        self.do(Spent(otherwise))

    def join(self, events: Iterable[str]) -> None:
        known = self.incident.events
        fresh = tuple(one for one in events if one not in known)
        if fresh:
            kept = (*known, *fresh)
            if len(kept) > MAX_EVENTS:
                kept = (kept[0], *kept[1 - MAX_EVENTS :])
            self.put(events=kept, joined=self.incident.joined + len(fresh))

    def want(self, names: Iterable[str]) -> None:
        """These have to be asked anew."""
        self._wanted = tuple(names)

    def take_wanted(self) -> tuple[str, ...]:
        wanted, self._wanted = self._wanted, ()
        return wanted

    def roots(self) -> dict[str, Any]:
        """What conditions and templates of rules see."""
        return {"event": self.incident.event, "answers": self.incident.answers}

    def made(self) -> Made:
        return Decision(self.incident, tuple(self._effects))
