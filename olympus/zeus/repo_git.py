"""The specs repository, by GitPython: bare, read from its object database alone, so that nothing in a commit
(symlinks, attributes, filters, submodules, names) can do anything to this machine.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import git
from git.exc import GitError
from git.index.base import IStream  # type: ignore[attr-defined]

from olympus.kernel.errors import Invalid, NotFound, OlympusError, Refused, RetryLater
from olympus.zeus.push import MAIN, NOTHING

_GIT: Final = "git"
_PROTOCOLS: Final = "https:ssh:file"
_FETCHED: Final = "refs/olympus/remote"
_REPLACED: Final = "refs/olympus/replaced"
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
    "GIT_ALLOW_PROTOCOL": _PROTOCOLS,
    "GIT_SSH_COMMAND": "ssh -o BatchMode=yes",
    "LC_ALL": "C",
}
_INHERITED: Final = ("PATH", "HOME", "SSH_AUTH_SOCK", "https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY")

_SETTINGS: Final[tuple[tuple[str, str, str], ...]] = (
    ("receive", "advertisePushOptions", "true"),
    ("receive", "fsckObjects", "true"),
    ("receive", "denyDeleteCurrent", "ignore"),  # the hook refuses it, and says why
    ("receive", "maxInputSize", str(512 * 1024 * 1024)),
    ("receive", "autogc", "false"),
    ("transfer", "hideRefs", "refs/olympus"),
    ("http", "receivepack", "true"),
    ("uploadpack", "allowFilter", "true"),
    ("core", "logAllRefUpdates", "true"),
)

_FETCH_SETTINGS: Final = (
    *("-c", f"core.hooksPath={os.devnull}"),
    *("-c", "fetch.fsckObjects=true"),
    *("-c", "credential.helper="),
)
_FETCH_OPTIONS: Final = (
    *("--quiet", "--force", "--no-tags", "--no-recurse-submodules"),
    *("--no-write-fetch-head", "--no-auto-gc"),
)

_REF = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/+@-]*((~[0-9]{0,4})|(\^[0-9]?))*")
_BRANCH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/+-]*")
_SCP = re.compile(r"(?:[A-Za-z0-9._-]+@)?[A-Za-z0-9][A-Za-z0-9.-]*:(?!:|//)[A-Za-z0-9._/~+-]+")


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


class GitFailed(OlympusError):
    """git ended with `code`, and said why."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


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


class SpecRepository:
    """A bare repository with the branch main. Methods block (git runs); from any thread, one at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self._lock = threading.Lock()

    @classmethod
    def open_or_create(cls, path: Path, *, seed: Path | None, author: str, now: datetime) -> SpecRepository:
        """The repository at `path`; a new one begins with the files of `seed` as its first commit."""
        repository = cls(path)
        if not (path / "HEAD").exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            # In place at once or not at all: a half-made repository would count as one at the next start.
            with tempfile.TemporaryDirectory(dir=path.parent, prefix=".specs-") as fresh:
                new = cls(Path(fresh) / "repository.git")
                new.path.mkdir()
                new._git("init", "--quiet", "--bare", "--initial-branch=main", "--template=", str(new.path))
                (new.path / "hooks").mkdir()
                if seed is not None:
                    message = f"Begin with the specs of {seed.resolve().name}"
                    new.commit_files(_files_of(seed), author=author, message=message, now=now)
                new.path.rename(path)
        repository._configure()
        return repository

    def _configure(self) -> None:
        for section, name, value in (*_SETTINGS, ("core", "hooksPath", str(self.path / "hooks"))):
            self._git("config", f"{section}.{name}", value)

    def head(self) -> str | None:
        """The commit of main; None before the first."""
        return self._commit_of(MAIN)

    def resolve(self, ref: str) -> str:
        """The commit that a branch, tag or (short) revision names.

        Raises Refused where it could be anything but a plain ref, NotFound where there is no such commit.
        """
        if not _REF.fullmatch(ref) or ".." in ref or "@{" in ref or len(ref) > 200:
            raise Refused(f"not a ref: {ref!r}: name a branch, a tag or a commit")
        commit = self._commit_of(ref)
        if commit is None:
            raise NotFound(f"no commit {ref!r} in the specs repository")
        return commit

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

    def keep_replaced(self, revision: str) -> str:
        """Keep a head that a forced push replaced from being collected; the ref that names it."""
        ref = f"{_REPLACED}/{revision}"
        self._git("update-ref", ref, revision)
        return ref

    def commit_files(
        self, files: Mapping[str, tuple[int, bytes]], *, author: str, message: str, now: datetime
    ) -> str | None:
        """A first commit on main of `files` (path → mode, content); None without files."""
        if not files:
            return None
        objects = git.GitDB(str(self.path / "objects"))
        lines = []
        for path, (mode, content) in sorted(files.items()):
            blob = objects.store(IStream(b"blob", len(content), io.BytesIO(content))).hexsha.decode()
            lines.append(f"{mode:o} {blob}\t{path}".encode())
        with tempfile.TemporaryDirectory(dir=self.path) as scratch:
            index = {"GIT_INDEX_FILE": str(Path(scratch) / "index")}
            self._git("update-index", "-z", "--index-info", stdin=b"\0".join(lines) + b"\0", extra=index)
            tree = self._git("write-tree", extra=index).strip()
        return self._commit_tree(tree, None, author=author, message=message, now=now)

    def restore(self, revision: str, *, author: str, message: str, now: datetime) -> str:
        """A commit on top of main that has the files of `revision`: history only grows."""
        parent = self.head()
        tree = self._git("rev-parse", "--verify", revision + "^{tree}").strip()
        if parent is not None and self._git("rev-parse", "--verify", parent + "^{tree}").strip() == tree:
            return parent
        return self._commit_tree(tree, parent, author=author, message=message, now=now)

    def _commit_tree(self, tree: str, parent: str | None, *, author: str, message: str, now: datetime) -> str:
        stamp = f"{int(now.timestamp())} +0000"
        who = {
            f"GIT_{role}_{what}": value
            for role in ("AUTHOR", "COMMITTER")
            for what, value in (("NAME", author), ("EMAIL", "olympus@localhost"), ("DATE", stamp))
        }
        parents = () if parent is None else ("-p", parent)
        commit = self._git("commit-tree", tree, *parents, stdin=message.encode(), extra=who).strip()
        # Only if main is still where it was: a push may have come in between.
        self._git("update-ref", MAIN, commit, parent or NOTHING)
        return commit

    def fetch(self, url: str, branch: str = "main", *, timeout: float = 60.0) -> str:
        """Fetch `branch` of a remote; its commit. What was pushed here by others is never touched.

        Raises Refused (such a URL or branch is never fetched) or RetryLater (the remote does not answer).
        """
        check_url(url)
        check_branch(branch)
        ref = f"{_FETCHED}/{branch}"
        try:
            self._git(
                *_FETCH_SETTINGS,
                "fetch",
                *_FETCH_OPTIONS,
                "--",
                url,
                f"+refs/heads/{branch}:{ref}",
                extra={"GIT_ALLOW_PROTOCOL": _PROTOCOLS + (":http" if _is_local_http(url) else "")},
                timeout=timeout,
            )
        except GitFailed as exc:
            raise RetryLater(f"{without_password(url)}: {exc}", after=30) from exc
        return self._git("rev-parse", "--verify", ref).strip()

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
            raise GitFailed(done.returncode, said or f"git {arguments[0]} ended with {done.returncode}")
        return done.stdout.decode("utf-8", "surrogateescape")


def check_url(url: str) -> None:
    """Raises Refused unless `url` is https, ssh (also `user@host:path`) or a path of this machine.

    Plain http is for this machine alone; transports that run programs (`ext::`) are refused.
    """
    odd = not url.isprintable() or any(one.isspace() or one in "$`" for one in url)
    if odd or not url or url.startswith("-"):
        raise Refused(f"not a repository URL: {url!r}")
    if url.startswith("/"):
        return
    parts = urlsplit(url)
    if parts.scheme in ("https", "ssh", "file") and "::" not in url.split("//", 1)[0]:
        if parts.hostname is not None and parts.hostname.startswith("-"):
            raise Refused(f"not a repository URL: {url!r}")
        return
    if _is_local_http(url) or _SCP.fullmatch(url):
        return
    raise Refused(f"repository URL {url!r}: use https://…, ssh://…, user@host:path or an absolute path")


def check_branch(branch: str) -> None:
    """Raises Refused unless `branch` is a plain name (git check-ref-format, and narrower)."""
    if (
        not _BRANCH.fullmatch(branch)
        or ".." in branch
        or branch.endswith((".lock", "/", "."))
        or "//" in branch
    ):
        raise Refused(f"not a branch: {branch!r}")


def _is_local_http(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost", "::1")


def without_password(url: str) -> str:
    """The URL as it may be shown."""
    return re.sub(r"//[^/@]*@", "//…@", url)


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


def _files_of(directory: Path) -> dict[str, tuple[int, bytes]]:
    files: dict[str, tuple[int, bytes]] = {}
    for path in sorted(directory.rglob("*")):
        inside = path.relative_to(directory)
        if ".git" in inside.parts or path.is_symlink() or not path.is_file():
            continue
        executable = path.stat().st_mode & 0o100
        files[inside.as_posix()] = (0o100755 if executable else 0o100644, path.read_bytes())
    return files
