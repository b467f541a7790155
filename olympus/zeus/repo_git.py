"""The specs repository: a bare one, and what the specs need of it beyond that: rolling back, fetching a remote one."""

from __future__ import annotations

import os
import re
from datetime import datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from olympus.host.repository_git import (
    EMAIL,
    FILE,
    MAIN,
    NOTHING,
    PROTOCOLS,
    BareRepository,
    GitFailed,
    Write,
)
from olympus.kernel.errors import NotFound, Refused, RetryLater

_FETCHED: Final = "refs/olympus/remote"
_REPLACED: Final = "refs/olympus/replaced"

_SETTINGS: Final[tuple[tuple[str, str], ...]] = (
    ("receive.advertisePushOptions", "true"),
    ("receive.fsckObjects", "true"),
    ("receive.denyDeleteCurrent", "ignore"),  # the hook refuses it, and says why
    ("receive.maxInputSize", str(512 * 1024 * 1024)),
    ("receive.autogc", "false"),
    ("transfer.hideRefs", "refs/olympus"),
    ("http.receivepack", "true"),
    ("uploadpack.allowFilter", "true"),
    ("core.logAllRefUpdates", "true"),
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


class SpecRepository(BareRepository):
    """A bare repository with the branch main. Methods block (git runs); from any thread, one at a time."""

    @classmethod
    def open_or_create(cls, path: Path, *, seed: Path | None, author: str, now: datetime) -> SpecRepository:
        """The repository at `path`; a new one begins with the files of `seed` as its first commit."""

        def begin(new: SpecRepository) -> None:
            files = _files_of(seed) if seed is not None else []
            if seed is not None and files:
                said = f"Begin with the specs of {seed.resolve().name}"
                new.write(files, parent=None, author=author, message=said, now=now)

        return cls.make_at(path, _SETTINGS, begin)

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

    def keep_replaced(self, revision: str) -> str:
        """Keep a head that a forced push replaced from being collected; the ref that names it."""
        ref = f"{_REPLACED}/{revision}"
        self._git("update-ref", ref, revision)
        return ref

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
            for what, value in (("NAME", author), ("EMAIL", EMAIL), ("DATE", stamp))
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
                extra={"GIT_ALLOW_PROTOCOL": PROTOCOLS + (":http" if _is_local_http(url) else "")},
                timeout=timeout,
            )
        except GitFailed as exc:
            raise RetryLater(f"{without_password(url)}: {exc}", after=30) from exc
        return self._git("rev-parse", "--verify", ref).strip()


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


def _files_of(directory: Path) -> list[Write]:
    files: list[Write] = []
    for path in sorted(directory.rglob("*")):
        inside = path.relative_to(directory)
        if ".git" in inside.parts or path.is_symlink() or not path.is_file():
            continue
        executable = path.stat().st_mode & 0o100
        files.append(Write(inside.as_posix(), path.read_bytes(), 0o100755 if executable else FILE))
    return files
