"""`Kv` in one SQLite file, for one machine: a single process holds it, and wakes its watchers itself.

Statements run on the event loop's own thread: a commit takes some 12 µs (write-ahead log, not synced), less
than handing it to a thread. What must survive a power cut waits for `flush`, which syncs the log in a thread,
once for all who wait.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from olympus.hermes.kv import (
    MAX_PREFIX,
    Cas,
    CheckAbsent,
    CheckSession,
    CheckVersion,
    Delete,
    DeleteCas,
    DeletePrefix,
    Entry,
    Lock,
    Op,
    Put,
    Snapshot,
    TooLarge,
    TransactionConflict,
    Unlock,
    check_size,
)
from olympus.kernel.clock import Clock
from olympus.kernel.errors import NotFound, Refused
from olympus.kernel.ids import new_id

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS entries (
  key TEXT PRIMARY KEY, value BLOB NOT NULL, version INTEGER NOT NULL, session TEXT
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_session ON entries (session) WHERE session IS NOT NULL;
CREATE TABLE IF NOT EXISTS store (one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL);
INSERT OR IGNORE INTO store VALUES (1, 0);
"""
_SET: Final = """
INSERT INTO entries VALUES (?, ?, ?, ?) ON CONFLICT (key) DO UPDATE
SET value = excluded.value, version = excluded.version, session = excluded.session
WHERE value != excluded.value OR session IS NOT excluded.session
"""
# Who holds the key goes on holding it.
_PUT: Final = """
INSERT INTO entries VALUES (?, ?, ?, NULL) ON CONFLICT (key) DO UPDATE
SET value = excluded.value, version = excluded.version WHERE value != excluded.value
"""
_SWAP: Final = "UPDATE entries SET value = ?, version = ? WHERE key = ? AND version = ? AND value != ?"
# Above every character that a key may hold.
_LAST: Final = "\U0010ffff"


class _Failed(Exception):
    """One operation's guard does not hold."""


class _Session:
    """Lives in memory alone: a restart ends all sessions, so that the same host leads again at once."""

    def __init__(self, ttl: float, lock_delay: float, deadline: float) -> None:
        self.ttl = ttl
        self.lock_delay = lock_delay
        self.deadline = deadline


class _Watcher:
    """Who waits for a prefix."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.stirred = asyncio.Event()


class EmbeddedKv:
    """Open with `EmbeddedKv.open`; of one event loop alone."""

    def __init__(self, db: sqlite3.Connection, lock: int, file: Path, clock: Clock) -> None:
        self._db = db
        self._lock = lock
        self._wal = file.with_name(file.name + "-wal")
        self._clock = clock
        self._version = int(db.execute("SELECT version FROM store").fetchone()[0])
        self._sessions: dict[str, _Session] = {}
        # Until when a key's lock may not be taken, after its session was lost.
        self._delayed: dict[str, float] = {}
        self._watchers: set[_Watcher] = set()
        self._expiry: asyncio.TimerHandle | None = None
        self._syncing: asyncio.Future[None] | None = None
        self._next_sync: asyncio.Future[None] | None = None

    @staticmethod
    def open(file: Path, clock: Clock) -> EmbeddedKv:
        """Raises Refused while another process has the store open."""
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(file.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(lock, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(lock)
            raise Refused(
                f"{file.parent} is in use by another Olympus (process {holder}): "
                "stop it, or give another --state"
            ) from error
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        _sync(file.parent)
        db = sqlite3.connect(file, isolation_level=None)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=NORMAL")
        db.executescript(_SCHEMA)
        db.execute("UPDATE entries SET session = NULL WHERE session IS NOT NULL")
        return EmbeddedKv(db, lock, file, clock)

    async def get(self, key: str) -> Entry | None:
        self._expire()
        row = self._db.execute(
            "SELECT key, value, version, session FROM entries WHERE key = ?", (key,)
        ).fetchone()
        return Entry(*row) if row else None

    async def scan(self, prefix: str) -> Snapshot:
        self._expire()
        return self._snapshot(prefix)

    async def keys(self, prefix: str) -> list[str]:
        rows = self._db.execute(
            "SELECT key FROM entries WHERE key >= ? AND key < ? ORDER BY key", (prefix, prefix + _LAST)
        )
        return [row[0] for row in rows]

    async def transact(self, ops: Sequence[Op]) -> dict[str, int]:
        check_size(ops)
        self._expire()
        failed: list[int] = []
        touched: list[str] = []
        version = self._version + 1
        with self._transaction() as roll_back:
            for index, op in enumerate(ops):
                try:
                    touched += self._apply(op, version)
                except _Failed:
                    failed.append(index)
            if failed:
                roll_back()
            elif touched:
                self._db.execute("UPDATE store SET version = ?", (version,))
        if failed:
            raise TransactionConflict(failed, ops)
        if touched:
            self._version = version
            self._wake(touched)
        written = {op.key for op in ops if isinstance(op, Put | Cas | Lock | Unlock)}
        return {key: version if key in touched else self._version_of(key) for key in written}

    async def flush(self) -> None:
        # A sync under way may have begun before our commit: wait for the next one.
        if self._syncing is None:
            self._syncing = asyncio.ensure_future(self._sync())
            await asyncio.shield(self._syncing)
            return
        if self._next_sync is None:
            self._next_sync = asyncio.ensure_future(self._sync_after(self._syncing))
        await asyncio.shield(self._next_sync)

    async def watch(self, prefix: str) -> AsyncGenerator[Snapshot, None]:
        watcher = _Watcher(prefix)
        self._watchers.add(watcher)
        try:
            known: Snapshot | None = None
            while True:
                watcher.stirred.clear()
                self._expire()
                now = self._snapshot(prefix)
                if sum(len(entry.value) for entry in now.entries) > MAX_PREFIX:
                    raise TooLarge(f"{prefix!r} holds more than {MAX_PREFIX} bytes: watch a narrower prefix")
                if known is None or now.entries != known.entries:
                    known = now
                    yield now
                else:
                    await watcher.stirred.wait()
        finally:
            self._watchers.discard(watcher)

    async def create_session(self, ttl: float, *, lock_delay: float = 0.0) -> str:
        session = new_id()
        self._sessions[session] = _Session(ttl, lock_delay, self._clock.monotonic() + ttl)
        self._schedule_expiry()
        return session

    async def renew_session(self, session: str) -> None:
        self._expire()
        found = self._sessions.get(session)
        if found is None:
            raise NotFound(f"session {session} has ended")
        found.deadline = self._clock.monotonic() + found.ttl

    async def destroy_session(self, session: str) -> None:
        self._end(session)

    async def close(self) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
        await self.flush()
        self._db.close()
        os.close(self._lock)

    def _snapshot(self, prefix: str) -> Snapshot:
        rows = self._db.execute(
            "SELECT key, value, version, session FROM entries WHERE key >= ? AND key < ? ORDER BY key",
            (prefix, prefix + _LAST),
        )
        return Snapshot(tuple(Entry(*row) for row in rows), self._version)

    @contextmanager
    def _transaction(self) -> Iterator[Callable[[], None]]:
        self._db.execute("BEGIN IMMEDIATE")
        done = False

        def roll_back() -> None:
            nonlocal done
            self._db.execute("ROLLBACK")
            done = True

        try:
            yield roll_back
        except BaseException:
            roll_back()
            raise
        if not done:
            self._db.execute("COMMIT")

    def _apply(self, op: Op, version: int) -> list[str]:
        """The keys that it changes. Raises _Failed where its guard does not hold."""
        if isinstance(op, DeletePrefix):
            span = (op.prefix, op.prefix + _LAST)
            gone = self._db.execute("DELETE FROM entries WHERE key >= ? AND key < ? RETURNING key", span)
            return [row[0] for row in gone.fetchall()]
        if isinstance(op, Put | Cas) and (changed := self._at_once(op, version)) is not None:
            return changed
        row = self._db.execute("SELECT version, session FROM entries WHERE key = ?", (op.key,)).fetchone()
        there, session = row or (0, None)
        match op:
            case Cas():
                _hold(there == op.version)
                return self._set(op.key, op.value, version, session)
            case Delete():
                self._db.execute("DELETE FROM entries WHERE key = ?", (op.key,))
                return [op.key] if row else []
            case DeleteCas():
                _hold(there == op.version)
                self._db.execute("DELETE FROM entries WHERE key = ?", (op.key,))
            case CheckAbsent():
                _hold(row is None)
                return []
            case CheckVersion():
                _hold(there == op.version)
                return []
            case CheckSession():
                _hold(session is not None and session == op.session)
                return []
            case Lock():
                _hold(op.session in self._sessions and session in (None, op.session))
                _hold(self._delayed.get(op.key, 0.0) <= self._clock.monotonic())
                return self._set(op.key, op.value, version, op.session)
            case Unlock():
                _hold(session == op.session)
                return self._set(op.key, op.value, version, None)
        return [op.key]

    def _at_once(self, op: Put | Cas, version: int) -> list[str] | None:
        """In one statement, as it goes nearly always. None: of a Cas, what is there has to be looked at."""
        if isinstance(op, Put):
            return [op.key] if self._db.execute(_PUT, (op.key, op.value, version)).rowcount else []
        swapped = self._db.execute(_SWAP, (op.value, version, op.key, op.version, op.value))
        return [op.key] if swapped.rowcount else None

    def _set(self, key: str, value: bytes, version: int, session: str | None) -> list[str]:
        """Nothing where it was so already: as with Consul, that is no change, and wakes nobody."""
        done = self._db.execute(_SET, (key, value, version, session))
        return [key] if done.rowcount else []

    def _version_of(self, key: str) -> int:
        row = self._db.execute("SELECT version FROM entries WHERE key = ?", (key,)).fetchone()
        return int(row[0]) if row else 0

    def _wake(self, touched: Sequence[str]) -> None:
        for watcher in self._watchers:
            if any(key.startswith(watcher.prefix) for key in touched):
                watcher.stirred.set()

    def _expire(self) -> None:
        if self._sessions:
            now = self._clock.monotonic()
            for name in [name for name, session in self._sessions.items() if session.deadline <= now]:
                self._end(name)

    def _end(self, name: str) -> None:
        session = self._sessions.pop(name, None)
        if session is None:
            return
        version = self._version + 1
        with self._transaction():
            freed = self._db.execute(
                "UPDATE entries SET session = NULL, version = ? WHERE session = ? RETURNING key",
                (version, name),
            ).fetchall()
            self._db.execute("UPDATE store SET version = ?", (version,))
        self._version = version
        touched = [row[0] for row in freed]
        if session.lock_delay:
            self._delayed |= dict.fromkeys(touched, self._clock.monotonic() + session.lock_delay)
        self._wake(touched)

    def _schedule_expiry(self) -> None:
        # Those who watch a lock must hear of its loss although nobody calls.
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None
        if self._sessions:
            soonest = min(session.deadline for session in self._sessions.values())
            delay = max(0.01, soonest - self._clock.monotonic())
            self._expiry = asyncio.get_running_loop().call_later(delay, self._on_expiry)

    def _on_expiry(self) -> None:
        self._expire()
        self._schedule_expiry()

    async def _sync(self) -> None:
        try:
            # Never the database itself: closing it would drop the locks that SQLite has on it in this process.
            # What a checkpoint has moved there out of the log, SQLite has synced.
            await asyncio.to_thread(_sync, self._wal)
        finally:
            self._syncing = None

    async def _sync_after(self, first: asyncio.Future[None]) -> None:
        await asyncio.wait([first])
        # From here on, who commits must wait for the sync after this one.
        self._syncing, self._next_sync = self._next_sync, None
        await self._sync()


def _hold(guard: bool) -> None:
    if not guard:
        raise _Failed


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
