"""How a LogWatch fares on a node: `nodes/NODE/watches/WATCH`, written by that node alone.

It is written when the watch begins, fails or goes on, when files can't be read or can again, and some seconds after
lines matched: never for lines that did not.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Literal, TypeAlias

from olympus.hermes import keys
from olympus.hermes.kv import Entry
from olympus.kernel.errors import Invalid
from olympus.records.document import Document, Moment

log = logging.getLogger("olympus.argos")

WatchState: TypeAlias = Literal["watching", "failed"]


class WatchRecord(Document):
    """Numbers are as of `at`, and count from when the node's Olympus was started (`started`).

    state:      failed: nothing is read, `message` says why
    complaints: files that can't be read
    streams:    how many files, or other sources, lines came from
    lines, cut: how many were read; how many of them were cut because they are too long
    lag:        bytes that were there and not read yet
    matches:    lines that matched; refused: those that did not count because their groups are not of their types
    lost:       bytes that are known to be lost
    """

    watch: str
    node: str
    state: WatchState
    since: Moment
    at: Moment
    started: Moment
    message: str = ""
    complaints: tuple[str, ...] = ()
    streams: int = 0
    lines: int = 0
    cut: int = 0
    lag: int = 0
    matches: int = 0
    refused: int = 0
    lost: int = 0
    last_match: Moment | None = None


def watches_of(entries: Iterable[Entry]) -> dict[str, dict[str, WatchRecord]]:
    """Node → watch → record, of all that lies under `nodes/`. What is no record, or another's, is left out."""
    found: dict[str, dict[str, WatchRecord]] = {}
    for entry in entries:
        node, _, rest = entry.key.removeprefix(keys.NODES).partition("/")
        kind, _, name = rest.partition("/")
        if kind != "watches":
            continue
        try:
            record = WatchRecord.from_bytes(entry.value)
        except Invalid as exc:
            log.warning("watch_not_read", extra={"key": entry.key, "reason": str(exc)})
            continue
        if (record.node, record.watch) == (node, name):
            found.setdefault(node, {})[name] = record
        else:
            log.warning("watch_not_its_own", extra={"key": entry.key, "node": record.node})
    return found
