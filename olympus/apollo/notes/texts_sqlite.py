"""Full text of many kinds of things in SQLite's FTS5, found also by words that are mistyped.

FTS5 knows no typing errors: a word that nothing begins with is looked for among all words by the trigrams that they
share, and of these the ones that are one or two edits away (Damerau and Levenshtein) count in its place.
"""

from __future__ import annotations

import re
import sqlite3
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

SCHEMA: Final = """
CREATE TABLE things (id INTEGER PRIMARY KEY, kind TEXT, name TEXT, title TEXT, mark TEXT, UNIQUE (kind, name));
CREATE VIRTUAL TABLE texts USING fts5(title, tags, name, body, tokenize="unicode61 remove_diacritics 2", prefix='2 3');
CREATE VIRTUAL TABLE terms USING fts5vocab(texts, row);
CREATE TABLE words (id INTEGER PRIMARY KEY, word TEXT UNIQUE);
CREATE VIRTUAL TABLE grams USING fts5(word, tokenize=trigram, content=words, content_rowid=id);
"""
_WORD: Final = re.compile(r"\w+")
_MAX_WORDS: Final = 12
_MAX_WORD: Final = 40
_CANDIDATES: Final = 200
_NEAR: Final = 8


@dataclass(frozen=True, slots=True)
class Found:
    """A thing that was looked for. snippet: of its text, around the words."""

    kind: str
    name: str
    title: str
    snippet: str


class Texts:
    """On somebody's connection, in whose transactions it writes."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        # Whether words may have come that are not among `words` yet.
        self._stale = True

    def marks(self, kind: str) -> dict[str, str]:
        """What was last put under each name of a kind, as a mark of it."""
        return dict(self._db.execute("SELECT name, mark FROM things WHERE kind = ?", (kind,)))

    def put(self, found: Found, *, tags: str = "", mark: str = "") -> None:
        """`found.snippet` is the whole text."""
        self.drop(found.kind, found.name)
        made = self._db.execute(
            "INSERT INTO things (kind, name, title, mark) VALUES (?, ?, ?, ?)",
            (found.kind, found.name, found.title, mark),
        )
        row = (made.lastrowid, found.title, tags, found.name, found.snippet)
        self._db.execute("INSERT INTO texts (rowid, title, tags, name, body) VALUES (?, ?, ?, ?, ?)", row)
        self._stale = True

    def drop(self, kind: str, name: str) -> None:
        row = self._db.execute("SELECT id FROM things WHERE kind = ? AND name = ?", (kind, name)).fetchone()
        if row is not None:
            self._db.execute("DELETE FROM texts WHERE rowid = ?", row)
            self._db.execute("DELETE FROM things WHERE id = ?", row)

    def search(self, asked: str) -> Iterator[Found]:
        """The best first; what has all words, the last letters of which may be missing. Where nothing has: mistyped."""
        words = list(words_of(asked))[:_MAX_WORDS]
        parts = [self._part(word) for word in words]
        if not parts:
            return
        if "" in parts or not self._any_has(parts):
            parts = [self._part(word, widely=True) for word in words]
        if "" not in parts:
            yield from self._having(parts)

    def _any_has(self, parts: Sequence[str]) -> bool:
        row = self._db.execute("SELECT 1 FROM texts WHERE texts MATCH ? LIMIT 1", (" AND ".join(parts),))
        return row.fetchone() is not None

    def _having(self, parts: Sequence[str]) -> Iterator[Found]:
        rows = self._db.execute(
            "SELECT kind, things.name, things.title, snippet(texts, 3, '', '', ' … ', 16) FROM texts "
            "JOIN things ON things.id = texts.rowid WHERE texts MATCH ? "
            "ORDER BY bm25(texts, 10.0, 5.0, 8.0, 1.0), things.id",
            (" AND ".join(parts),),
        )
        for kind, name, title, snippet in rows:
            yield Found(kind, name, title, " ".join(snippet.split()))

    def _part(self, word: str, *, widely: bool = False) -> str:
        """The expression of FTS5 for one word; nothing where no word is near. widely: also what is near to it."""
        # The greatest character that can follow.
        begun = self._db.execute(
            "SELECT 1 FROM terms WHERE term >= ? AND term < ? LIMIT 1", (word, word + "\U0010ffff")
        ).fetchone()
        if begun is not None and not widely:
            return f'"{word}"*'
        known = [f'"{word}"*'] if begun is not None else []
        near = [*known, *(f'"{one}"' for one in self._near(word))]
        return f"({' OR '.join(near)})" if near else ""

    def _learn(self) -> None:
        """All words that there are, to be found by their trigrams: when somebody mistypes one, not at each save."""
        if not self._stale:
            return
        with self._db:
            (last,) = self._db.execute("SELECT coalesce(max(id), 0) FROM words").fetchone()
            self._db.execute(
                "INSERT OR IGNORE INTO words (word) SELECT term FROM terms WHERE length(term) BETWEEN 3 AND ?",
                (_MAX_WORD,),
            )
            self._db.execute(
                "INSERT INTO grams (rowid, word) SELECT id, word FROM words WHERE id > ?", (last,)
            )
        self._stale = False

    def _near(self, word: str) -> list[str]:
        if not 3 <= len(word) <= _MAX_WORD:
            return []
        self._learn()
        grams = {word[at : at + 3] for at in range(len(word) - 2)} | _swapped(word)
        rows = self._db.execute(
            "SELECT word FROM grams WHERE grams MATCH ? ORDER BY rank LIMIT ?",
            (_any(sorted(grams)), _CANDIDATES),
        )
        allowed = 1 if len(word) <= 5 else 2
        found = sorted(
            (distance, one) for (one,) in rows if (distance := edits(word, one, allowed)) <= allowed
        )
        return [one for _, one in found[:_NEAR]]


def _any(words: Iterable[str]) -> str:
    return " OR ".join(f'"{word}"' for word in words)


def words_of(text: str) -> Iterator[str]:
    """As FTS5's unicode61 has them: lower case, without diacritics."""
    plain = unicodedata.normalize("NFKD", text.lower())
    for word in _WORD.findall("".join(one for one in plain if not unicodedata.combining(one))):
        yield from (part for part in word.split("_") if part)


def _swapped(word: str) -> set[str]:
    """Trigrams of the words in which two neighbours stand the other way round: short ones share no other."""
    swapped = (word[:at] + word[at + 1] + word[at] + word[at + 2 :] for at in range(len(word) - 1))
    return {one[at : at + 3] for one in swapped for at in range(len(one) - 2)}


def edits(a: str, b: str, most: int) -> int:
    """Letters to insert, remove, change or swap with a neighbour; over `most` it is any number over it."""
    if abs(len(a) - len(b)) > most:
        return most + 1
    before: list[int] = []
    last = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        now = [i]
        for j, y in enumerate(b, 1):
            least = min(last[j] + 1, now[j - 1] + 1, last[j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                least = min(least, before[j - 2] + 1)
            now.append(least)
        if min(now) > most:
            return most + 1
        before, last = last, now
    return last[-1]
