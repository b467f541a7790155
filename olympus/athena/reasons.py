"""Why an event is, or is not, one of a rule's: without looking at what came before. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from olympus.athena.correlate import Entry, NoPart
from olympus.athena.rules import Rule, roots_of
from olympus.kernel.events import Event
from olympus.records.incident import Outcome
from olympus.spec.expression import Clause

_SAID = 3


def entries_of(rule: Rule) -> tuple[Entry, ...]:
    """The events that the rule looks for."""
    if rule.on is not None:
        return (rule.on,)
    return rule.correlator.entries if rule.correlator is not None else ()


def left_out(rule: Rule, event: Event) -> tuple[Clause, ...] | None:
    """Why the event is none of the rule's: the clauses that were looked at. None where it is one."""
    if rule.correlator is not None:
        found = rule.correlator.admit(event)
        return found.clauses if isinstance(found, NoPart) else None
    if rule.on is None or not rule.on.fits(event.type):
        wanted = " or ".join(sorted({entry.type for entry in entries_of(rule)}))
        return (Clause(f"event {wanted}", "false", f"it is {event.type}"),)
    if rule.on.where is None:
        return None
    verdict = rule.on.where.evaluate(roots_of(event))
    return None if verdict.value else verdict.clauses


def outcome_of(clauses: Iterable[Clause]) -> Outcome:
    """Of a condition that does not hold."""
    return "missing" if any(clause.value == "missing" for clause in clauses) else "false"


def deciding(clauses: Sequence[Clause]) -> str:
    """In words: the clauses that kept it from being true, or else the last one."""
    against = [one for one in clauses if one.value != "true"] or list(clauses[-1:])
    said = [f"{one.text}: {one.because}" if one.because else one.text for one in against[:_SAID]]
    return "; ".join(said)
