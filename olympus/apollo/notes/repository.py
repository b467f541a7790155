"""The notes repository: what it is asked beyond what every bare repository does. Nobody may take history from it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from olympus.apollo.notes.model import Changed, ChangeKind
from olympus.host.repository_git import BareRepository, GitFailed
from olympus.kernel.errors import Invalid

_SETTINGS: Final = (
    ("receive.fsckObjects", "true"),
    ("receive.denyNonFastForwards", "true"),
    ("receive.denyDeletes", "true"),
    ("receive.maxInputSize", str(512 * 1024 * 1024)),
    ("receive.autogc", "false"),
    ("http.receivepack", "true"),
    ("uploadpack.allowFilter", "true"),
    ("core.logAllRefUpdates", "true"),
    # What was accepted survives a loss of power.
    ("core.fsync", "objects,derived-metadata,reference"),
)
_HEADER: Final = "--format=%x01%H%x00%an%x00%ct%x00%B%x00"
_RAW: Final = ("--raw", "-z", "-c", "-M", "--root", "--no-abbrev")
_NO_BLOB: Final = "0" * 40
# The tree without files, which git knows by heart.
_EMPTY: Final = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
_SUBMODULE: Final = 0o160000
_CONFLICTS: Final = 127
_LITERAL: Final = {"GIT_LITERAL_PATHSPECS": "1"}


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a commit. mode: git's."""

    mode: int
    blob: str
    size: int


class NotesRepository(BareRepository):
    """`STATE/notes.git`. Methods block; from one thread at a time."""

    @classmethod
    def open_or_create(cls, path: Path) -> NotesRepository:
        return cls.make_at(path, _SETTINGS)

    def knows(self, revision: str) -> bool:
        return self._commit_of(revision) is not None

    def moved(self) -> object:
        """Something that is another when main is: costs no git."""
        return tuple(_stamp(self.path / name) for name in ("refs/heads/main", "packed-refs"))

    def follows(self, newer: str, older: str) -> bool:
        """Whether `older` is known, and in the history of `newer`."""
        return self.knows(older) and self.contains(newer, older)

    def has_trailer(self, revision: str, name: str, value: str) -> bool:
        """Whether a commit of its history says so in its last lines."""
        shown = f"--format=%(trailers:key={name},valueonly)"
        said = self._git("log", shown, "--fixed-strings", f"--grep={name}: {value}", revision)
        return value in said.splitlines()

    def differences(self, old: str | None, new: str) -> dict[str, Entry | None]:
        """The files of `new` that are not as in `old` (None: all), by path; None: it is not there any more."""
        found = {file: change[1] for file, change in self._tree_diff(old, new).items()}
        blobs = [one.blob for one in found.values() if one is not None]
        asked = "".join(f"{blob}\n" for blob in blobs).encode()
        said = (
            self._git("cat-file", "--batch-check=%(objectname) %(objectsize)", stdin=asked) if blobs else ""
        )
        sizes = dict(line.split(" ", 1) for line in said.splitlines())
        return {
            file: None if one is None else replace(one, size=int(sizes[one.blob]))
            for file, one in found.items()
        }

    def _tree_diff(self, old: str | None, new: str) -> dict[str, tuple[str, Entry | None]]:
        """What each file was before (a blob, or "") and is now; submodules are no files."""
        said = self._git("diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev", old or _EMPTY, new)
        words = iter(said.split("\0"))
        found: dict[str, tuple[str, Entry | None]] = {}
        for word in words:
            if word.startswith(":"):
                _, mode, before, after, _ = word[1:].split(" ")
                there = after != _NO_BLOB and int(mode, 8) != _SUBMODULE
                found[next(words)] = (
                    "" if before == _NO_BLOB else before,
                    Entry(int(mode, 8), after, 0) if there else None,
                )
        return found

    def entry(self, revision: str, file: str) -> Entry | None:
        """One of them."""
        said = self._git("ls-tree", "-z", "-l", "--full-tree", revision, "--", file, extra=_LITERAL)
        for line in said.split("\0"):
            head, _, path = line.partition("\t")
            if path == file:
                mode, _, blob, size = head.split()
                return Entry(int(mode, 8), blob, 0 if size == "-" else int(size))
        return None

    def merged(self, base: str, theirs: str, yours: str) -> str | None:
        """Three-way, by lines (git-merge-file); None where both changed the same ones."""
        with tempfile.TemporaryDirectory(dir=self.path, prefix="merge-") as folder:
            names = [str(Path(folder) / name) for name in ("theirs", "base", "yours")]
            for name, text in zip(names, (theirs, base, yours), strict=True):
                Path(name).write_bytes(text.encode("utf-8", "surrogateescape"))
            try:
                return self._git("merge-file", "-p", "-q", *names)
            except GitFailed as exc:
                if exc.code <= _CONFLICTS:
                    return None
                raise

    def diff(self, before: str, after: str) -> str:
        """From one text to the other as a unified diff, without its head."""
        with tempfile.TemporaryDirectory(dir=self.path, prefix="diff-") as folder:
            for name, text in (("before", before), ("after", after)):
                (Path(folder) / name).write_bytes(text.encode("utf-8", "surrogateescape"))
            names = [str(Path(folder) / name) for name in ("before", "after")]
            try:
                said = self._git("diff", "--no-index", "--no-color", "--no-ext-diff", "--", *names)
            except GitFailed as exc:
                if exc.code != 1:
                    raise
                said = exc.output
        return said[said.find("@@") :] if "@@" in said else ""

    def changes(self, old: str | None, new: str) -> list[Changed]:
        """What came to main's history from `old` to `new`, oldest first: each change where it was made, once."""
        asked = new if old is None else f"{old}..{new}"
        log = self._git("log", "--reverse", "--topo-order", *_RAW, _HEADER, asked, timeout=300.0)
        found = list(_read(log))
        last: dict[str, str] = {}
        for one in found:
            last[one.file] = one.after
            if one.was is not None:
                last[one.was] = ""
        head = next(_read(self._git("log", "-1", _HEADER, new), all_commits=True))
        for file, (before, entry) in self._tree_diff(old, new).items():
            after = "" if entry is None else entry.blob
            if last.get(file) != after:
                # A merge took one side whole: nobody's change, but main's.
                found.append(
                    replace(head, file=file, before=before, after=after, kind=_kind(before, after, None))
                )
        return found

    def tidy(self) -> None:
        """Pack what lies about, where it has become much."""
        self._git("gc", "--auto", "--quiet", timeout=600.0)


def _stamp(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_ino


def text_of(content: bytes) -> str:
    """A note's text. Raises Invalid where it is none."""
    try:
        text = content.decode()
    except UnicodeDecodeError as exc:
        raise Invalid(f"byte {content[exc.start]:#04x} at {exc.start} is not UTF-8") from exc
    if "\0" in text:
        raise Invalid("a note has no NUL in it")
    return text


def _read(said: str, *, all_commits: bool = False) -> Iterator[Changed]:
    """What `_HEADER` and `_RAW` print: a commit's four fields, then its files.

    all_commits: each also by itself, as a change of no file
    """
    words = iter(said.split("\0"))
    revision, author, at, message = "", "", datetime.fromtimestamp(0, UTC), ""
    for word in words:
        if word.startswith("\x01"):
            revision, author = word[1:], next(words)
            at = datetime.fromtimestamp(int(next(words)), UTC)
            message = next(words).strip()
            if all_commits:
                yield Changed(revision, author, at, message, "edited", "")
        elif word.lstrip("\n").startswith(":"):
            fields = word.strip().lstrip(":").split(" ")
            letter = fields[-1][0]
            was = next(words) if letter in "RC" else None
            file = next(words)
            blobs = [one for one in fields if len(one) == len(_NO_BLOB) and one.isalnum()]
            before, after = ("" if one == _NO_BLOB else one for one in (blobs[0], blobs[-1]))
            if letter == "C":
                was, before = None, ""
            yield Changed(revision, author, at, message, _kind(before, after, was), file, before, after, was)


def _kind(before: str, after: str, was: str | None) -> ChangeKind:
    if was is not None:
        return "renamed"
    if not after:
        return "deleted"
    return "edited" if before else "created"
