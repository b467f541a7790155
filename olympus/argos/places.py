"""What is known over a restart of this host's watches: how far each part was read, and each watch's state.

A file of SQLite's, on this host alone. What is committed survives kill -9; `safe` waits until it also survives a
power cut. Both halves are kept together, so that a line counts once, whenever we are killed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from olympus.argos.ports import Place

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS watches (watch TEXT PRIMARY KEY, source BLOB, state BLOB) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS places (
  watch TEXT, stream TEXT, part TEXT, offset INTEGER, more BLOB, PRIMARY KEY (watch, stream, part)
) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Known:
    """Of one watch. source: the spec of its source, as it was when the places were kept."""

    source: Mapping[str, Any]
    state: Mapping[str, Any]
    places: tuple[Place, ...]


class Places:
    """One file for all watches of a node."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._db = sqlite3.connect(file, isolation_level=None)
        file.chmod(0o600)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(_SCHEMA)

    def watches(self) -> list[str]:
        return [name for (name,) in self._db.execute("SELECT watch FROM watches")]

    def known(self, watch: str) -> Known | None:
        """None where it never began."""
        row = self._db.execute("SELECT source, state FROM watches WHERE watch = ?", (watch,)).fetchone()
        if row is None:
            return None
        found = self._db.execute("SELECT stream, part, offset, more FROM places WHERE watch = ?", (watch,))
        places = [Place(stream, part, at, orjson.loads(more)) for stream, part, at, more in found]
        return Known(orjson.loads(row[0]), orjson.loads(row[1]), tuple(places))

    def keep(  # noqa: PLR0913 - all of one moment
        self,
        watch: str,
        *,
        source: Mapping[str, Any] | None = None,
        state: Mapping[str, Any] | None = None,
        places: Sequence[Place] = (),
        closed: Sequence[tuple[str, str]] = (),
        safe: bool = False,
    ) -> None:
        """What is given replaces what was; all of it or nothing."""
        if safe:
            self._db.execute("PRAGMA synchronous=FULL")
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._write(watch, source, state, places, closed)
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")
        if safe:
            self._db.execute("PRAGMA synchronous=NORMAL")

    def _write(
        self,
        watch: str,
        source: Mapping[str, Any] | None,
        state: Mapping[str, Any] | None,
        places: Sequence[Place],
        closed: Sequence[tuple[str, str]],
    ) -> None:
        self._db.execute("INSERT OR IGNORE INTO watches VALUES (?, '{}', '{}')", (watch,))
        if source is not None:
            self._db.execute("UPDATE watches SET source = ? WHERE watch = ?", (orjson.dumps(source), watch))
        if state is not None:
            self._db.execute("UPDATE watches SET state = ? WHERE watch = ?", (orjson.dumps(state), watch))
        self._db.executemany(
            "INSERT OR REPLACE INTO places VALUES (?, ?, ?, ?, ?)",
            [(watch, one.stream, one.part, one.offset, orjson.dumps(one.more)) for one in places],
        )
        self._db.executemany(
            "DELETE FROM places WHERE watch = ? AND stream = ? AND part = ?",
            [(watch, *one) for one in closed],
        )

    def forget(self, watch: str) -> None:
        """It is withdrawn: should it come again, it begins anew."""
        self._db.execute("BEGIN IMMEDIATE")
        self._db.execute("DELETE FROM places WHERE watch = ?", (watch,))
        self._db.execute("DELETE FROM watches WHERE watch = ?", (watch,))
        self._db.execute("COMMIT")

    def close(self) -> None:
        self._db.close()
