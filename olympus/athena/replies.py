"""What the world replies to a rule that is rehearsed: from the events that a test gives, and nothing else. Pure.

What nobody told anything about is as the rule wishes: a run succeeds at once, a check passes, a node is alive.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

from olympus.athena.model import Looked
from olympus.kernel.events import Event

RUN_FINISHED: Final = "olympus.hephaestus.run-finished"

_TOLD: Final[Mapping[str, tuple[str, frozenset[str]]]] = {
    "olympus.argos.check-failed": ("check", frozenset({"failing"})),
    "olympus.argos.check-unknown": ("check", frozenset({"unknown"})),
    "olympus.argos.check-recovered": ("check", frozenset({"passing"})),
    "olympus.zeus.service-failed": ("service", frozenset({"failed"})),
    "olympus.zeus.service-crashlooping": ("service", frozenset({"crashlooping"})),
    "olympus.zeus.service-recovered": ("service", frozenset({"running", "healthy"})),
    "olympus.zeus.healed": ("service", frozenset({"running", "healthy"})),
    "olympus.zeus.node-lost": ("node", frozenset({"lost"})),
    "olympus.zeus.node-joined": ("node", frozenset({"alive"})),
}
"""Event → of what it tells, and which states that then has."""

_EVERYWHERE: Final = frozenset({"passing", "healthy", "running"})
"""States that a thing has where it has them on all nodes; the others where it has them on one."""


class Replies:
    """given: the events that will come: they say which runs end otherwise than at once."""

    def __init__(self, given: Iterable[Event]) -> None:
        self._states: dict[tuple[str, str], dict[str, frozenset[str]]] = {}
        self._to_come = Counter(str(one.data.get("pipeline")) for one in given if one.type == RUN_FINISHED)
        self._waiting: dict[str, list[str]] = {}

    def take(self, event: Event) -> None:
        """It happened."""
        of, states = _TOLD.get(event.type, ("", frozenset()))
        name = event.data.get(of) or (event.node if of == "node" else None)
        if of and name:
            self._states.setdefault((of, str(name)), {})[event.node or ""] = states

    # ── runs ──

    def ends_at_once(self, run: str, pipeline: str) -> bool:
        """Unless a `run-finished` of this pipeline is still to come: that ends it."""
        waiting = self._waiting.setdefault(pipeline, [])
        if len(waiting) >= self._to_come[pipeline]:
            return True
        waiting.append(run)
        return False

    def ended(self, event: Event) -> str | None:
        """The run that a `run-finished` ends: the first of its pipeline that waits."""
        pipeline = str(event.data.get("pipeline"))
        self._to_come[pipeline] -= 1
        waiting = self._waiting.get(pipeline)
        return waiting.pop(0) if waiting else None

    # ── how things stand ──

    def state(self, what: Mapping[str, Any]) -> Looked:
        """`{service|check|node: NAME, state: …}`."""
        of = next((one for one in ("service", "check", "node") if one in what), "node")
        wanted, told = str(what.get("state")), self._states.get((of, str(what.get(of))))
        if not told:
            return Looked(value=True, because=f"nothing was told of {of} {what.get(of)}")
        has = [wanted in states for states in told.values()]
        said = ", ".join(
            f"{min(states)}{f' on {node}' if node else ''}" for node, states in sorted(told.items())
        )
        return Looked(
            value=all(has) if wanted in _EVERYWHERE else any(has), because=f"{of} {what.get(of)}: {said}"
        )

    def witness(self, event: Mapping[str, Any]) -> Looked:
        """Whether who would tell of an event that stays away is alive; `event` opened the incident."""
        node, check = event.get("node"), (event.get("data") or {}).get("check")
        if node is not None and "lost" in self._known("node", str(node)):
            return Looked(value=False, because=f"node {node} is lost: nobody would tell of it")
        if check is not None and "unknown" in self._known("check", str(check)):
            return Looked(value=False, because=f"check {check} is unknown: nobody would tell of it")
        return Looked(value=True, because="who would tell of it is alive")

    def _known(self, of: str, name: str) -> frozenset[str]:
        return frozenset().union(*self._states.get((of, name), {}).values())
