"""What stands in a rule's way: silences, suspensions, budgets; and what waits for which events. In memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from olympus.athena import budgets
from olympus.athena.model import Gate, Silence, World
from olympus.athena.rules import Rule
from olympus.kernel.clock import rfc3339
from olympus.records.incident import Incident, KeyRecord, RuleRecord
from olympus.spec.selector import parse_selector


class Standing:
    """The engine's; it shares what that keeps."""

    def __init__(
        self,
        records: Mapping[str, RuleRecord],
        keys: Mapping[tuple[str, str], KeyRecord],
        live: Mapping[str, Incident],
    ) -> None:
        self.world = World()
        self._records = records
        self._keys = keys
        self._live = live
        self._absent: dict[str, dict[str, None]] = {}
        self._acting: dict[str, dict[str, str]] = {}

    def gate(self, rule: Rule, key: str, node: str | None, now: datetime, of: Incident | None = None) -> Gate:
        """of: the incident that goes on; its cooldown is its own, and does not stop it."""
        return Gate(
            silenced=self.silenced(rule.name, node, now),
            limited=self.limited(rule, key, node, now, going_on=of is not None),
            ladder=self._ladder(rule),
        )

    def record(self, rule: str) -> RuleRecord:
        return self._records.get(rule) or RuleRecord(rule=rule)

    def suspended(self, rule: str) -> str | None:
        """The kill switch: of this rule, or of all."""
        for name, what in ((rule, f"rule '{rule}'"), ("*", "every rule")):
            if name in self.world.suspended:
                return f"{what} is suspended by {self.world.suspended[name] or 'an operator'}"
        return None

    def silenced(self, rule: str, node: str | None, now: datetime) -> str | None:
        """Why nothing is done: a silence, or the kill switch."""
        if rule in self.world.held:
            return self.world.held[rule]
        for silence in self.world.silences:
            if silence.until > now and self._covers(silence, rule, node):
                return f"silence '{silence.name}' until {rfc3339(silence.until)}: {silence.reason}"
        return self.suspended(rule)

    def _covers(self, silence: Silence, rule: str, node: str | None) -> bool:
        if silence.rules and rule not in silence.rules:
            return False
        if not silence.selector:
            return True
        labels = self.world.nodes.get(node) if node is not None else None
        return labels is not None and parse_selector(silence.selector).matches(labels)

    def limited(
        self, rule: Rule, key: str, node: str | None, now: datetime, *, going_on: bool = False
    ) -> str | None:
        limits, record, of_key = rule.limits, self.record(rule.name), self._keys.get((rule.name, key))
        busy = {where for where in self._acting.get(rule.name, {}).values() if where}
        return (
            budgets.broken(record, now)
            or (None if going_on else budgets.cooling(limits, of_key, now))
            or budgets.spent(limits, of_key, now)
            or budgets.crowded(limits, busy | budgets.touched(record, now), node, len(self.world.nodes))
        )

    def _ladder(self, rule: Rule) -> tuple[int, ...]:
        rungs = range(len(rule.pipelines))
        if not rule.by_success:
            return tuple(rungs)
        verified = self.record(rule.name).verified
        # Stable: what worked as often stays as listed.
        return tuple(sorted(rungs, key=lambda index: -verified.get(rule.pipelines[index], 0)))

    # ── what waits for events ──

    def watch(self, incident: Incident) -> None:
        """It may wait for an event that should stay away; it may act on a node."""
        self.unwatch(incident)
        if incident.state in ("solving", "verifying"):
            self._acting.setdefault(incident.rule, {})[incident.id] = incident.node or ""
        if incident.state == "verifying" and incident.attempt is not None:
            absent = incident.spec["solve"][incident.attempt.rung]["verify"].get("absent")
            if absent is not None:
                self._absent.setdefault(absent["event"], {})[incident.id] = None

    def unwatch(self, incident: Incident) -> None:
        self._acting.get(incident.rule, {}).pop(incident.id, None)
        for rung in incident.spec.get("solve", ()):
            absent = rung["verify"].get("absent")
            waiting = self._absent.get(absent["event"]) if absent is not None else None
            if waiting is not None:
                waiting.pop(incident.id, None)
                if not waiting:
                    del self._absent[absent["event"]]

    def waiting_for(self, type_: str) -> Iterator[Incident]:
        """Those of which an event of this type may show that the problem is still there."""
        for wanted, waiting in list(self._absent.items()):
            if wanted == type_ or (wanted.endswith("*") and type_.startswith(wanted[:-1])):
                yield from (self._live[one] for one in list(waiting) if one in self._live)
