"""Whether a remedy helped: an event stays away, something is so, or a condition holds of fresh answers. Pure.

Each function says True (the problem is gone), False (it is not), None (it is not known yet).
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from olympus.athena.draft import Draft
from olympus.athena.model import Look, Worked
from olympus.athena.rules import Verification, roots_of
from olympus.kernel.clock import rfc3339
from olympus.kernel.errors import Invalid
from olympus.kernel.events import Event
from olympus.records.incident import Incident

POLL: Final = timedelta(seconds=2)
"""So often it is looked whether something is so."""

_ALIVE_WITHIN: Final = timedelta(seconds=15)


def begin(draft: Draft) -> bool | None:
    """The remedy was applied."""
    verify = _verification(draft)
    if verify is None:
        return _ended(draft, "verify", held=False, because="it can't be verified any more")
    draft.put(state="verifying", since=draft.now, deadline=draft.now + verify.within, fresh={})
    if verify.absent is not None:
        draft.put(wake_at=draft.incident.deadline)
        return None
    return _look(draft, verify)


def fails(draft: Draft, event: Event) -> bool:
    """Whether the event should have stayed away."""
    verify = _verification(draft)
    since = draft.incident.since
    if draft.incident.state != "verifying" or verify is None or verify.absent is None or since is None:
        return False
    # What was seen before the remedy was applied says nothing about it.
    if event.time <= since or not verify.absent.fits(event.type):
        return False
    where = verify.absent.where
    if where is not None and not where.holds({**roots_of(event), "event": draft.incident.event}):
        return False
    after = f"event {event.id} came at {rfc3339(event.time)}"
    _ended(draft, verify.text, held=False, because=after)
    return True


def due(draft: Draft, *, again: bool) -> bool | None:
    """It is time to look. again: whoever was asked whether he is alive did not answer."""
    verify = _verification(draft)
    if verify is None:
        return _ended(draft, "verify", held=False, because="it can't be verified any more")
    if verify.absent is None:
        return _look(draft, verify)
    if again:
        said = "it did not come, but nobody says whether who would tell of it is alive"
        return _ended(draft, verify.text, held=False, because=said)
    _ask_witness(draft)
    return None


def resumed(draft: Draft) -> None:
    """Another leader: whoever was asked answers to nobody."""
    verify = _verification(draft) if draft.incident.state == "verifying" else None
    if verify is not None and verify.absent is not None and asked_witness(draft.incident):
        _ask_witness(draft)


def asked_witness(incident: Incident) -> bool:
    """Of an event that stays away: only then it is waited for longer than to the deadline."""
    wake_at, deadline = incident.wake_at, incident.deadline
    return wake_at is not None and deadline is not None and wake_at > deadline


def _ask_witness(draft: Draft) -> None:
    # Silence of who is dead is no good sign.
    draft.put(wake_at=draft.now + _ALIVE_WITHIN)
    draft.do(Look())


def looked(draft: Draft, *, value: bool, because: str) -> bool | None:
    """What was found."""
    verify = _verification(draft)
    if draft.incident.state != "verifying" or verify is None or verify.condition is not None:
        return None
    if verify.absent is not None:
        if draft.incident.deadline is None or draft.now < draft.incident.deadline:
            return None
        said = f"it stayed away; {because}" if value else because
        return _ended(draft, verify.text, held=value, because=said)
    if value or _over(draft):
        return _ended(draft, verify.text, held=value, because=because)
    return None


def answered(draft: Draft) -> bool | None:
    """All fresh answers are there that will be."""
    verify = _verification(draft)
    if draft.incident.state != "verifying" or verify is None or verify.condition is None:
        return None
    verdict = verify.condition.evaluate({"event": draft.incident.event, "answers": draft.incident.fresh})
    if not verdict.value and not _over(draft):
        draft.put(wake_at=min(draft.now + POLL, draft.incident.deadline or draft.now))
        return None
    deciding = next((one for one in verdict.clauses if (one.value == "true") is verdict.value), None)
    because = f"{deciding.text}: {deciding.because}" if deciding is not None else ""
    return _ended(draft, verify.text, held=verdict.value, because=because)


def _look(draft: Draft, verify: Verification) -> bool | None:
    if verify.condition is None:
        soon = draft.now + POLL
        deadline = draft.incident.deadline or soon
        draft.put(wake_at=min(soon, deadline) if draft.now < deadline else soon)
        draft.do(Look(verify.state))
        return None
    names = {path[1] for path in verify.condition.paths() if path[0] == "answers" and len(path) > 1}
    wanted = tuple(name for name in draft.rule.asks if name in names)
    if not wanted:
        return answered(draft)
    draft.want(wanted)
    return None


def _over(draft: Draft) -> bool:
    return draft.incident.deadline is not None and draft.now >= draft.incident.deadline


def _ended(draft: Draft, text: str, *, held: bool, because: str) -> bool:
    attempt = draft.incident.attempt
    draft.rule_on(text, held, because)
    if attempt is not None:
        draft.attempt(attempt.run, verified=held)
        draft.do(Worked(attempt.pipeline, verified=held))
    return held


def _verification(draft: Draft) -> Verification | None:
    attempt = draft.incident.attempt
    if attempt is None or attempt.rung < 0:
        return None
    try:
        return draft.rule.rung(attempt.rung, draft.roots()).verify
    except (Invalid, ValueError):
        return None
