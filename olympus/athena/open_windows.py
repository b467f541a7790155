"""The windows of all rules, by key: what completes one becomes an event that triggers its rule. In memory."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeAlias

from olympus.athena import windows
from olympus.athena.model import Timer
from olympus.athena.rules import Rule
from olympus.athena.windows import Window
from olympus.kernel.clock import rfc3339
from olympus.kernel.events import Event
from olympus.kernel.ids import derived_id
from olympus.kernel.timers import Timers

MISSED: Final = "olympus.athena.missed"
"""The event of a rule whose `absent` found that nothing came."""

Trigger: TypeAlias = tuple[Event, tuple[str, ...]]
"""The event, and the ids of all that made it complete."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class OpenWindows:
    """The engine's; it sets timers `(window, RULE, KEY)`."""

    def __init__(self, timers: Timers[Timer]) -> None:
        self._timers = timers
        self._windows: dict[str, dict[str, Window]] = {}
        self._changed: dict[tuple[str, str], None] = {}

    def decide(
        self, rule: Rule, key: str, fact: windows.WindowFact, now: datetime
    ) -> tuple[windows.Made, list[Trigger]]:
        """What follows for one window. Raises ValueError where the rule does not correlate."""
        correlator = rule.correlator
        if correlator is None:
            raise ValueError(f"rule '{rule.name}' does not correlate")
        known = self._windows.setdefault(rule.name, {})
        made = windows.decide(known.get(key), fact, correlator.shape, now)
        if made.state is not known.get(key):
            self._changed[rule.name, key] = None
        if made.state is None:
            known.pop(key, None)
        else:
            known[key] = made.state
        for old in windows.oldest(known):
            self._drop(rule.name, known, old)
        triggers: list[Trigger] = []
        for effect in made.effects:
            if isinstance(effect, windows.WakeAt):
                self._timers.set(("window", rule.name, key), effect.when)
            elif isinstance(effect, windows.Complete):
                event = _trigger(rule, key, effect)
                triggers.append((event, tuple(mark.id for mark in effect.marks) or (event.id,)))
        return made, triggers

    def forget(self, rule: str) -> None:
        """All of a rule's: it correlates otherwise now."""
        known = self._windows.pop(rule, {})
        for key in list(known):
            self._drop(rule, known, key)

    def _drop(self, rule: str, known: dict[str, Window], key: str) -> None:
        known.pop(key)
        self._changed[rule, key] = None
        self._timers.cancel(("window", rule, key))

    def load(self, rule: Rule, key: str, raw: Mapping[str, Any]) -> bool:
        """Whether what is stored still counts."""
        if rule.correlator is None:
            return False
        window = windows.window_from_json(raw, rule.correlator.shape)
        if window is None:
            self._changed[rule.name, key] = None
            return False
        self._windows.setdefault(rule.name, {})[key] = window
        return True

    def take_changes(self, rules: Mapping[str, Rule]) -> dict[tuple[str, str], Mapping[str, Any] | None]:
        """What is to be stored, by (rule, key); None: it goes."""
        changed, self._changed = self._changed, {}
        found: dict[tuple[str, str], Mapping[str, Any] | None] = {}
        for name, key in changed:
            window = self._windows.get(name, {}).get(key)
            correlator = rules[name].correlator if name in rules else None
            found[name, key] = None
            if window is not None and correlator is not None:
                found[name, key] = windows.window_to_json(window, correlator.shape)
        return found


def _trigger(rule: Rule, key: str, done: windows.Complete) -> Event:
    """The event that made it complete; of what stayed away all along, one that says so."""
    last = done.marks[-1].body if done.marks else None
    if last is not None and not (rule.correlator is not None and rule.correlator.shape.form == "absent"):
        return Event.from_json(last)
    at = _EPOCH + timedelta(microseconds=done.at)
    before = Event.from_json(last) if last is not None else None
    data: dict[str, Any] = {"rule": rule.name, "key": key, "since": rfc3339(at)}
    return Event(
        id=derived_id(done.at // 1000, f"{rule.name}/{key}/missed"),
        type=MISSED,
        source="olympus/athena",
        time=at,
        data={**(before.data if before else {}), **data} if before else data,
        node=before.node if before else None,
        cause=before.id if before else None,
        depth=before.depth + 1 if before else 0,
    )
