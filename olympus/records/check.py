"""How a Check stands on a node: `nodes/NODE/checks/CHECK`, written by that node alone, when the state changes.

What a node told last is no longer known once it is lost: `standing` says what counts now.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, Literal, TypeAlias

from pydantic import Field

from olympus.hermes import keys
from olympus.hermes.kv import Entry
from olympus.kernel.errors import Invalid
from olympus.records.document import Document, Moment

log = logging.getLogger("olympus.argos")

CheckState: TypeAlias = Literal["passing", "failing", "unknown"]
Verdict: TypeAlias = Literal["passing", "failing"]


class CheckRecord(Document):
    """value: what was found when the state became what it is; message: why it is so, in words.

    judged: the last state that was one of the two: what a check goes back to when it can be told again
    """

    check: str
    node: str
    state: CheckState
    since: Moment
    value: dict[str, Any] = Field(default_factory=dict)
    message: str = ""
    judged: Verdict | None = None


class NodeStanding(Document):
    """A check on one node, as programs see it. since is None where nothing was ever told."""

    node: str
    state: CheckState
    since: Moment | None = None
    value: dict[str, Any] = Field(default_factory=dict)
    message: str = ""


def checks_of(entries: Iterable[Entry]) -> dict[str, dict[str, CheckRecord]]:
    """Node → check → record, of all that lies under `nodes/`. What is no record, or another's, is left out."""
    found: dict[str, dict[str, CheckRecord]] = {}
    for entry in entries:
        node, _, rest = entry.key.removeprefix(keys.NODES).partition("/")
        kind, _, name = rest.partition("/")
        if kind != "checks":
            continue
        try:
            record = CheckRecord.from_bytes(entry.value)
        except Invalid as exc:
            log.warning("check_not_read", extra={"key": entry.key, "reason": str(exc)})
            continue
        if (record.node, record.check) == (node, name):
            found.setdefault(node, {})[name] = record
        else:
            log.warning("check_not_its_own", extra={"key": entry.key, "node": record.node})
    return found


def standing(
    name: str,
    nodes: Collection[str],
    records: Mapping[str, Mapping[str, CheckRecord]],
    lost: Mapping[str, datetime | None],
) -> list[NodeStanding]:
    """How the check stands on each of the `nodes` that it is for. lost: those that are silent, and since when.

    A node that is silent, or has told nothing yet, is unknown: so who waits for a passing check, or for an
    event that stays away, learns that nobody is looking.
    """
    return [
        _on(node, records.get(node, {}).get(name), node in lost, lost.get(node)) for node in sorted(nodes)
    ]


def _on(node: str, record: CheckRecord | None, silent: bool, since: datetime | None) -> NodeStanding:
    if silent:
        return NodeStanding(node=node, state="unknown", since=since, message="the node is lost")
    if record is None:
        return NodeStanding(node=node, state="unknown", message="the node has not told of it yet")
    return NodeStanding(
        node=node, state=record.state, since=record.since, value=record.value, message=record.message
    )
