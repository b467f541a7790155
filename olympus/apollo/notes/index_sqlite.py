"""What main holds, ready to be asked: SQLite with FTS5, in a file that can be removed and is made anew from git."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from olympus.apollo.notes.front_matter import plain_head
from olympus.apollo.notes.markdown import links_of
from olympus.apollo.notes.model import Changed, Gone, Note
from olympus.apollo.notes.paths import SUFFIX, folder_of, is_note
from olympus.apollo.notes.repository import Entry, NotesRepository, text_of
from olympus.apollo.notes.specs_searched import things_of
from olympus.apollo.notes.texts_sqlite import SCHEMA, Found, Texts
from olympus.host.repository_git import FILE
from olympus.kernel.errors import Invalid
from olympus.spec.catalog import Catalog
from olympus.spec.kinds import KINDS

MAX_NOTE: Final = 1024 * 1024
"""Bytes of a note."""

_VERSION: Final = "2"
NOTE: Final = "note"
_BATCH: Final = 500
_NEWEST: Final = 2**62
_SCHEMA: Final = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT);
CREATE TABLE files (file TEXT PRIMARY KEY, mode INTEGER, blob TEXT, size INTEGER) WITHOUT ROWID;
CREATE TABLE notes (id INTEGER PRIMARY KEY, path TEXT UNIQUE, title TEXT, tags TEXT, review TEXT, markdown TEXT,
  name TEXT, revision TEXT DEFAULT '', author TEXT DEFAULT '', at INTEGER DEFAULT 0);
CREATE INDEX names ON notes (name);
CREATE TABLE gone (path TEXT PRIMARY KEY, title TEXT, revision TEXT, last TEXT, author TEXT, at INTEGER);
CREATE TABLE moved (path TEXT PRIMARY KEY, target TEXT);
CREATE TABLE changes (number INTEGER PRIMARY KEY, path TEXT, revision TEXT, author TEXT, at INTEGER, message TEXT,
  kind TEXT, before TEXT, after TEXT, was TEXT);
CREATE INDEX changed ON changes (path, number);
CREATE TABLE links (source TEXT, target TEXT, PRIMARY KEY (source, target)) WITHOUT ROWID;
"""


class Index:
    """For one thread. `follow` before anything is asked: what it says is as of that commit."""

    def __init__(self, file: Path, repository: NotesRepository) -> None:
        self._repository = repository
        self._db = _opened(file)
        self.texts = Texts(self._db)

    def close(self) -> None:
        self._db.close()

    # --- what it follows ---------------------------------------------------------------------------------

    def follow(self, head: str | None) -> None:
        """Take what came to main since the last time; all of it, where that can't be told."""
        before = self._meta("head")
        if head is None or head == before:
            return
        if before is not None and not self._repository.follows(head, before):
            before = None
        with self._db:
            if before is None:
                self._clear()
            files = self._repository.differences(before, head)
            self._take_files(files)
            self._take_texts(files)
            self._take_changes(self._repository.changes(before, head))
            self._db.execute("INSERT OR REPLACE INTO meta VALUES ('head', ?)", (head,))

    def _meta(self, name: str) -> str | None:
        row = self._db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def take_specs(self, catalog: Catalog) -> None:
        """What is declared, to be searched: only what is other than before is written."""
        wanted = things_of(catalog)
        with self._db:
            for kind in KINDS:
                before = self.texts.marks(kind)
                for name in before.keys() - {name for of, name in wanted if of == kind}:
                    self.texts.drop(kind, name)
                for (of, name), (thing, mark) in wanted.items():
                    if of == kind and before.get(name) != mark:
                        self.texts.put(thing, mark=mark)

    def _clear(self) -> None:
        for name in self.texts.marks(NOTE):
            self.texts.drop(NOTE, name)
        for table in ("files", "notes", "gone", "moved", "changes", "links"):
            self._db.execute(f"DELETE FROM {table}")  # noqa: S608 - names of ours

    def _take_files(self, files: dict[str, Entry | None]) -> None:
        for file, entry in files.items():
            name = file.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
            self._db.execute("DELETE FROM files WHERE file = ?", (name,))
            if entry is not None:
                row = (name, entry.mode, entry.blob, entry.size)
                self._db.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)", row)

    def _take_texts(self, files: dict[str, Entry | None]) -> None:
        for file in files:
            if is_note(file):
                self._forget(file.removesuffix(SUFFIX))
        wanted = [
            (file, one.blob)
            for file, one in files.items()
            if one is not None and one.mode == FILE and one.size <= MAX_NOTE and is_note(file)
        ]
        for start in range(0, len(wanted), _BATCH):
            part = wanted[start : start + _BATCH]
            contents = self._repository.blobs([blob for _, blob in part])
            for file, blob in part:
                try:
                    self._remember(file.removesuffix(SUFFIX), text_of(contents[blob]))
                except Invalid:
                    # Somebody pushed it, and a clone has it; it is no text that could be shown.
                    continue

    def _forget(self, path: str) -> None:
        row = self._db.execute("SELECT id FROM notes WHERE path = ?", (path,)).fetchone()
        if row is not None:
            self.texts.drop(NOTE, path)
            self._db.execute("DELETE FROM notes WHERE id = ?", row)
            self._db.execute("DELETE FROM links WHERE source = ?", (path,))

    def _remember(self, path: str, markdown: str) -> None:
        head = plain_head(path, markdown)
        name = path.rpartition("/")[2].casefold()
        self._db.execute(
            "INSERT INTO notes (path, title, tags, review, markdown, name) VALUES (?, ?, ?, ?, ?, ?)",
            (path, head.title, json.dumps(head.tags), head.review, markdown, name),
        )
        self.texts.put(Found(NOTE, path, head.title, head.body), tags=" ".join(head.tags))
        links = [(path, target) for target in links_of(head.body)]
        self._db.executemany("INSERT OR IGNORE INTO links VALUES (?, ?)", links)

    def _take_changes(self, changes: Iterable[Changed]) -> None:
        """Whose each note is, what was deleted, and where what was renamed is now."""
        for one in changes:
            if not is_note(one.file):
                continue
            path, at = one.file.removesuffix(SUFFIX), int(one.at.timestamp())
            self._db.execute(
                "INSERT INTO changes (path, revision, author, at, message, kind, before, after, was) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (path, one.revision, one.author, at, one.message, one.kind, one.before, one.after, one.was),
            )
            if one.kind == "deleted":
                title = path.rpartition("/")[2]
                row = (path, title, one.revision, f"{one.revision}^", one.author, at)
                self._db.execute("INSERT OR REPLACE INTO gone VALUES (?, ?, ?, ?, ?, ?)", row)
                continue
            self._db.execute(
                "UPDATE notes SET revision = ?, author = ?, at = ? WHERE path = ? AND (revision = '' OR EXISTS "
                "(SELECT 1 FROM files WHERE file = ? AND blob = ?))",
                (one.revision, one.author, at, path, one.file, one.after),
            )
            self._db.execute("DELETE FROM moved WHERE path = ?", (path,))
            self._db.execute("DELETE FROM gone WHERE path = ?", (path,))
            if one.kind == "renamed" and one.was is not None and is_note(one.was):
                was = one.was.removesuffix(SUFFIX)
                self._db.execute("INSERT OR REPLACE INTO moved VALUES (?, ?)", (was, path))
                self._db.execute("UPDATE moved SET target = ? WHERE target = ?", (path, was))

    # --- what it is asked --------------------------------------------------------------------------------

    def note(self, path: str) -> Note | None:
        row = self._db.execute(f"{_NOTES} WHERE path = ?", (path,)).fetchone()
        return None if row is None else _note(row)

    def notes(self) -> list[Note]:
        """All, by path, without their text."""
        rows = self._db.execute(f"{_WITHOUT_TEXT} ORDER BY path")
        return [_note(row) for row in rows]

    def history(self, path: str) -> Iterator[Changed]:
        """Newest first, also under the paths that it had before."""
        asked: str | None = path
        below = _NEWEST
        while asked is not None:
            rows = self._db.execute(
                "SELECT number, path, revision, author, at, message, kind, before, after, was FROM changes "
                "WHERE path = ? AND number < ? ORDER BY number DESC",
                (asked, below),
            )
            asked = None
            for number, at_path, revision, author, at, message, kind, before, after, was in rows:
                moment = datetime.fromtimestamp(at, UTC)
                yield Changed(revision, author, moment, message, kind, at_path + SUFFIX, before, after, was)
                below = number
                if was is not None:
                    asked = was.removesuffix(SUFFIX)
                    break

    def gone(self, path: str | None = None) -> list[Gone]:
        """What was deleted and is not there again."""
        rows = self._db.execute(
            "SELECT path, title, revision, last, author, at FROM gone WHERE path = coalesce(?, path) "
            "AND path NOT IN (SELECT path FROM notes) ORDER BY path",
            (path,),
        )
        return [
            Gone(path, title, revision, last, author, datetime.fromtimestamp(at, UTC))
            for path, title, revision, last, author, at in rows
        ]

    def moved(self, path: str) -> str | None:
        """Where the note is now that had this path."""
        row = self._db.execute(
            "SELECT target FROM moved JOIN notes ON notes.path = target WHERE moved.path = ?", (path,)
        ).fetchone()
        return None if row is None else str(row[0])

    def mode(self, file: str) -> int | None:
        row = self._db.execute("SELECT mode FROM files WHERE file = ?", (file,)).fetchone()
        return None if row is None else int(row[0])

    def is_folder(self, file: str) -> bool:
        row = self._db.execute(
            "SELECT 1 FROM files WHERE file > ? AND file < ?", (f"{file}/", f"{file}0")
        ).fetchone()
        return row is not None

    def resolve(self, target: str, folder: str) -> str | None:
        """The note that `[[target]]` means: its path, or beside the one that says it, or the only one so called."""
        path = target.removesuffix(SUFFIX).strip("/")
        for one in (path, folder + path):
            if self._is_note(one):
                return one
            if (moved := self.moved(one)) is not None:
                return moved
        if "/" in path:
            return None
        rows = self._db.execute(
            "SELECT path FROM notes WHERE name = ? LIMIT 2", (path.casefold(),)
        ).fetchall()
        return str(rows[0][0]) if len(rows) == 1 else None

    def _is_note(self, path: str) -> bool:
        return self._db.execute("SELECT 1 FROM notes WHERE path = ?", (path,)).fetchone() is not None

    def links(self, path: str) -> list[tuple[str, str | None]]:
        """What a note links to: as it says it, and the path; None: it is broken."""
        rows = self._db.execute("SELECT target FROM links WHERE source = ?", (path,)).fetchall()
        return [(target, self.resolve(target, folder_of(path))) for (target,) in rows]

    def backlinks(self, path: str) -> list[str]:
        """The notes that link to it."""
        name = path.rpartition("/")[2]
        rows = self._db.execute(
            "SELECT DISTINCT source, target FROM links WHERE target LIKE ? ESCAPE '\\' OR target IN "
            "(SELECT path FROM moved WHERE moved.target = ?) ORDER BY source",
            (f"%{_literal(name)}%", path),
        ).fetchall()
        found = (source for source, target in rows if self.resolve(target, folder_of(source)) == path)
        return list(dict.fromkeys(found))

    def broken(self) -> dict[str, list[str]]:
        """The links that lead nowhere, by note."""
        found: dict[str, list[str]] = {}
        for source, target in self._db.execute("SELECT source, target FROM links ORDER BY source").fetchall():
            if self.resolve(target, folder_of(source)) is None:
                found.setdefault(source, []).append(target)
        return found


_NOTES: Final = "SELECT path, title, tags, review, markdown, revision, author, at FROM notes"

_WITHOUT_TEXT: Final = _NOTES.replace("markdown", "''")


def _note(row: Sequence[object]) -> Note:
    path, title, tags, review, markdown, revision, author, at = row
    return Note(
        path=str(path),
        title=str(title),
        tags=tuple(json.loads(str(tags))),
        review=None if review is None else str(review),
        markdown=str(markdown),
        revision=str(revision),
        author=str(author),
        updated_at=datetime.fromtimestamp(int(str(at)), UTC),
    )


def _literal(text: str) -> str:
    return "".join(f"\\{one}" if one in "\\%_" else one for one in text)


def _opened(file: Path) -> sqlite3.Connection:
    """What another version wrote, or what is broken, is made anew."""
    for _ in range(2):
        db = sqlite3.connect(file, check_same_thread=False)
        try:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")
            if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone():
                db.executescript(_SCHEMA + SCHEMA)
                db.execute("INSERT INTO meta VALUES ('version', ?)", (_VERSION,))
                db.commit()
            found = db.execute("SELECT value FROM meta WHERE name = 'version'").fetchone()
            if found == (_VERSION,):
                return db
        except sqlite3.DatabaseError:
            pass
        db.close()
        for part in _parts(file):
            part.unlink(missing_ok=True)
    raise Invalid(f"{file} can not be written")


def _parts(file: Path) -> Iterator[Path]:
    yield file
    yield from (file.with_name(file.name + suffix) for suffix in ("-wal", "-shm"))
