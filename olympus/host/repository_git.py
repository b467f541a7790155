"""A bare git repository, by GitPython: read from its object database alone, so that nothing in a commit
(symlinks, attributes, filters, submodules, names) can do anything to this machine; written without a checkout.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Self

import git
from git.exc import GitError

from olympus.kernel.errors import Conflict, Invalid, OlympusError, Refused

MAIN: Final = "refs/heads/main"
NOTHING: Final = "0" * 40
FILE: Final = 0o100644
PROTOCOLS: Final = "https:ssh:file"
EMAIL: Final = "olympus@localhost"

_GIT: Final = "git"
_BATCH: Final = 500
_QUARANTINE_OBJECTS: Final = "GIT_OBJECT_DIRECTORY"
_QUARANTINE_ALTERNATES: Final = "GIT_ALTERNATE_OBJECT_DIRECTORIES"

# Nothing of the operator's own git settings may change what is read or run here.
_ENVIRONMENT: Final[Mapping[str, str]] = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_COUNT": "0",
    "GIT_CONFIG_PARAMETERS": "",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "true",
    "SSH_ASKPASS": "true",
    "GIT_ALLOW_PROTOCOL": PROTOCOLS,
    "GIT_SSH_COMMAND": "ssh -o BatchMode=yes",
    "LC_ALL": "C",
}
_INHERITED: Final = ("PATH", "HOME", "SSH_AUTH_SOCK", "https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY")


@dataclass(frozen=True, slots=True)
class TreeEntry:
    """A leaf of a commit's tree. mode: git's (0o100644, 0o100755, 0o120000 symlink, 0o160000 submodule)."""

    path: str
    mode: int
    blob: str
    size: int

    @property
    def is_file(self) -> bool:
        return self.mode in (0o100644, 0o100755, 0o100664)


@dataclass(frozen=True, slots=True)
class Commit:
    """What the history says of a revision."""

    revision: str
    author: str
    subject: str
    at: datetime


@dataclass(frozen=True, slots=True)
class FileChange:
    """What a commit made of a path. old, new: blobs; None: it was, or is, not there."""

    path: str
    old: str | None
    new: str | None


class GitFailed(OlympusError):
    """git ended with `code`, and said why. output: what it printed all the same."""

    def __init__(self, code: int, message: str, output: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.output = output


class GitTree:
    """A commit's files while its repository is open. Not thread-safe."""

    def __init__(self, repo: git.Repo, commit: str) -> None:
        self.revision = commit
        self._repo = repo
        self.entries: tuple[TreeEntry, ...] = tuple(_entries(repo, commit))

    def read(self, entry: TreeEntry) -> bytes:
        """The blob as it was committed: no filter, no end-of-line conversion."""
        content: bytes = self._repo.odb.stream(bytes.fromhex(entry.blob)).read()
        return content


@dataclass(frozen=True, slots=True)
class Write:
    """A file as it is to be."""

    path: str
    content: bytes
    mode: int = FILE


@dataclass(frozen=True, slots=True)
class Remove:
    """A file, or a folder with all that is in it."""

    path: str


Change = Write | Remove


class BareRepository:
    """A bare repository with the branch main. Methods block (git runs); from any thread, one at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self._lock = threading.Lock()

    @classmethod
    def make_at(
        cls,
        path: Path,
        settings: Sequence[tuple[str, str]],
        begin: Callable[[Self], object] = lambda _: None,
    ) -> Self:
        """The repository at `path`, with `settings` (name, value); `begin` may write a new one's first commit."""
        if not (path / "HEAD").exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            # In place at once or not at all: a half-made repository would count as one at the next start.
            with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.stem}-") as fresh:
                new = cls(Path(fresh) / "repository.git")
                new.path.mkdir()
                new._git("init", "--quiet", "--bare", "--initial-branch=main", "--template=", str(new.path))
                (new.path / "hooks").mkdir()
                begin(new)
                new.path.rename(path)
        repository = cls(path)
        for name, value in (*settings, ("core.hooksPath", str(repository.path / "hooks"))):
            repository._git("config", name, value)
        return repository

    def head(self) -> str | None:
        """The commit of main; None before the first."""
        return self._commit_of(MAIN)

    def _commit_of(self, ref: str) -> str | None:
        try:
            found = self._git("rev-parse", "--verify", "--quiet", "--end-of-options", ref + "^{commit}")
        except GitFailed:
            return None
        # `--end-of-options` itself is printed by older versions of rev-parse.
        return found.split()[-1]

    def commit(self, revision: str, quarantine: Mapping[str, str] | None = None) -> Commit:
        """Who made the commit, when and why."""
        said = self._git(
            "show", "--no-patch", "--format=%H%x00%an <%ae>%x00%s%x00%ct", revision, quarantine=quarantine
        )
        full, author, subject, seconds = said.strip("\n").split("\0")
        return Commit(full, author, subject, datetime.fromtimestamp(int(seconds), tz=UTC))

    def log(self, revision: str, limit: int) -> list[tuple[Commit, list[FileChange]]]:
        """A commit and those before it, newest first, each with what it changed against its first parent."""
        said = self._git(
            *("log", "--first-parent", "-m", "--raw", "-z", "--no-renames", "--no-abbrev", "--root"),
            *(f"--max-count={limit}", "--format=%H%x1f%ct%x1f%an <%ae>%x1f%s", revision),
        )
        found: list[tuple[Commit, list[FileChange]]] = []
        words = iter(said.split("\0"))
        for word in words:
            if word.lstrip("\n").startswith(":"):
                _, _, old, new, _ = word.lstrip("\n").split(" ")
                change = FileChange(next(words), *(None if one == NOTHING else one for one in (old, new)))
                found[-1][1].append(change)
            elif word.strip():
                revision, seconds, author, subject = word.split("\x1f", 3)
                moment = datetime.fromtimestamp(int(seconds), tz=UTC)
                found.append((Commit(revision.strip(), author, subject.rstrip("\n"), moment), []))
        return found

    def blobs(self, names: Sequence[str]) -> dict[str, bytes]:
        """Contents, by blob; what is no blob here is left out."""
        found: dict[str, bytes] = {}
        for start in range(0, len(names), _BATCH):
            asked = "".join(f"{name}\n" for name in names[start : start + _BATCH]).encode()
            said = self._bytes("cat-file", "--batch", stdin=asked)
            at = 0
            while at < len(said):
                end = said.index(b"\n", at)
                name, kind, *size = said[at:end].decode().split()
                at = end + 1
                if not size:
                    continue
                if kind == "blob":
                    found[name] = said[at : at + int(size[0])]
                at += int(size[0]) + 1
        return found

    @contextmanager
    def tree(self, revision: str, quarantine: Mapping[str, str] | None = None) -> Iterator[GitTree]:
        """The files of a commit, also of one that is still in a push's quarantine."""
        with self._lock:
            repo = git.Repo(self.path, odbt=git.GitCmdObjectDB)
            try:
                repo.git.update_environment(**self._environment(quarantine))
                try:
                    yield GitTree(repo, revision)
                except (GitError, ValueError) as exc:
                    raise Invalid(f"commit {revision} can not be read: {exc}") from exc
            finally:
                repo.close()

    def contains(self, newer: str, older: str, quarantine: Mapping[str, str] | None = None) -> bool:
        """Whether `older` is in the history of `newer`."""
        try:
            self._git("merge-base", "--is-ancestor", older, newer, quarantine=quarantine)
        except GitFailed as exc:
            if exc.code == 1:
                return False
            raise
        return True

    def write(  # noqa: PLR0913 - what a commit is made of
        self,
        changes: Sequence[Change],
        *,
        parent: str | None,
        author: str,
        message: str,
        now: datetime,
        ref: str = MAIN,
    ) -> str:
        """A commit of `changes` on top of `parent` (None: the first), which `ref` is moved to; its revision.

        Raises Conflict, and moves nothing, where `ref` is there and not `parent` any more.
        """
        stamp = f"{_plain(author)} <{EMAIL}> {int(now.timestamp())} +0000"
        said = message.encode("utf-8", "replace")
        parts = [
            f"feature done\ncommit {ref}\nmark :1\nauthor {stamp}\ncommitter {stamp}\n".encode(),
            b"data %d\n%b\n" % (len(said), said),
            b"" if parent is None else f"from {parent}\n".encode(),
            *(_change(one) for one in changes),
            b"\nget-mark :1\ndone\n",
        ]
        try:
            # It moves a branch only forward, so that what was pushed in between is never lost.
            revision = self._git("fast-import", "--quiet", "--date-format=raw", stdin=b"".join(parts)).strip()
        except GitFailed as exc:
            if "does not contain" in str(exc) or "cannot lock ref" in str(exc):
                raise Conflict(f"main was moved while it was written to: {exc}") from exc
            raise
        return revision

    def move(self, ref: str, revision: str, before: str) -> None:
        """Raises GitFailed where it is not at `before` any more."""
        self._git("update-ref", ref, revision, before)

    def forget(self, ref: str) -> None:
        """Nothing is called so any more."""
        self._git("update-ref", "-d", ref)

    def _environment(self, quarantine: Mapping[str, str] | None) -> dict[str, str]:
        objects = self.path / "objects"
        environment = {
            **_ENVIRONMENT,
            "GIT_DIR": str(self.path),
            _QUARANTINE_OBJECTS: str(objects),
            _QUARANTINE_ALTERNATES: "",
        }
        if quarantine and _QUARANTINE_OBJECTS in quarantine:
            inside = (self.path / quarantine[_QUARANTINE_OBJECTS]).resolve()
            if inside.parent != objects.resolve():
                raise Refused(f"quarantine {str(inside)!r} is not one of {self.path}")
            environment[_QUARANTINE_OBJECTS] = str(inside)
            environment[_QUARANTINE_ALTERNATES] = str(objects)
        return environment

    def _git(
        self,
        *arguments: str,
        stdin: bytes = b"",
        quarantine: Mapping[str, str] | None = None,
        extra: Mapping[str, str] | None = None,
        timeout: float = 30.0,
    ) -> str:
        said = self._bytes(*arguments, stdin=stdin, quarantine=quarantine, extra=extra, timeout=timeout)
        return said.decode("utf-8", "surrogateescape")

    def _bytes(
        self,
        *arguments: str,
        stdin: bytes = b"",
        quarantine: Mapping[str, str] | None = None,
        extra: Mapping[str, str] | None = None,
        timeout: float = 30.0,
    ) -> bytes:
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        try:
            done = subprocess.run(
                [_GIT, *arguments],
                input=stdin,
                capture_output=True,
                env={**inherited, **self._environment(quarantine), **(extra or {})},
                cwd=self.path,
                timeout=timeout,
                check=False,
            )
        except FileNotFoundError as exc:
            raise GitFailed(127, "git is not on PATH, and Olympus needs it") from exc
        except subprocess.TimeoutExpired as exc:
            raise GitFailed(124, f"git {arguments[0]} did not end within {timeout:.0f} s") from exc
        if done.returncode != 0:
            said = done.stderr.decode("utf-8", "replace").strip()
            output = done.stdout.decode("utf-8", "surrogateescape")
            raise GitFailed(
                done.returncode, said or f"git {arguments[0]} ended with {done.returncode}", output
            )
        return done.stdout


def _entries(repo: git.Repo, commit: str) -> Iterator[TreeEntry]:
    listed = repo.git.ls_tree(
        "-r", "-z", "-l", "--full-tree", commit, stdout_as_string=False, strip_newline_in_stdout=False
    )
    for raw in listed.split(b"\0"):
        if not raw:
            continue
        head, _, path = raw.partition(b"\t")
        mode, _, blob, size = head.split()
        yield TreeEntry(
            path=path.decode("utf-8", "surrogateescape"),
            mode=int(mode, 8),
            blob=blob.decode(),
            size=0 if size == b"-" else int(size),
        )


def _plain(name: str) -> str:
    """An author's name as git can hold it."""
    kept = "".join(one for one in name if one.isprintable() and one not in "<>")
    return kept.strip() or "somebody"


def _change(change: Change) -> bytes:
    path = re.sub(
        rb'["\\\n]', lambda found: b"\\%03o" % found[0][0], change.path.encode("utf-8", "surrogateescape")
    )
    if isinstance(change, Remove):
        return b'D "%b"\n' % path
    return b'M %o inline "%b"\ndata %d\n%b\n' % (change.mode, path, len(change.content), change.content)
