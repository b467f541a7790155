"""A tree of files that may hold specs: a folder here, a commit elsewhere."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

from olympus.kernel.diagnostics import Diagnostic
from olympus.kernel.errors import Invalid
from olympus.spec.loader import MAX_BYTES
from olympus.spec.regex import compile_pattern

IGNORE: Final = ".olympusignore"
MAX_FILES: Final = 100_000
MAX_FILE_BYTES: Final = 8 * 1024 * 1024
"""Of a file that specs refer to; a file of specs may have less."""


class SpecTree(Protocol):
    """Paths are relative, with '/'."""

    @property
    def files(self) -> Mapping[str, str]:
        """Every regular file: its path → a digest that changes with its content."""
        ...

    @property
    def problems(self) -> tuple[Diagnostic, ...]:
        """What is in the tree and can't be taken: symbolic links, submodules, paths that leave it."""
        ...

    def read(self, path: str) -> bytes:
        """The content of one of `files`."""
        ...


class DirectoryTree:
    """The files under `root`, or `root` alone where it is a file; what git keeps for itself is left out."""

    def __init__(self, root: Path, prefix: str = "") -> None:
        """`prefix` stands before the names in `problems`. Raises Invalid where there is nothing at `root`."""
        if not root.exists():
            raise Invalid(f"{root}: there is no such file or folder")
        is_folder = root.is_dir()
        self._root = root if is_folder else root.parent
        ignored = Ignored(self.read(IGNORE) if (self._root / IGNORE).is_file() else b"")
        files: dict[str, str] = {}
        problems: list[Diagnostic] = []
        for name, entry in self._walk("") if is_folder else self._alone(root):
            if len(files) >= MAX_FILES:
                problems.append(
                    Diagnostic(prefix + _shown(name), 0, 0, f"more than {MAX_FILES} files in a tree")
                )
                break
            if (objection := _objection(name, entry)) is not None:
                if name not in ignored:
                    problems.append(Diagnostic(prefix + _shown(name), 0, 0, objection))
            elif entry.is_file(follow_symlinks=False):
                stat = entry.stat(follow_symlinks=False)
                said = f"{entry.path}:{stat.st_mtime_ns}:{stat.st_size}:{stat.st_ino}"
                files[name] = hashlib.sha256(os.fsencode(said)).hexdigest()
        self.files: Mapping[str, str] = files
        self.problems = tuple(problems)

    def _walk(self, folder: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
        waiting = [folder]
        while waiting:
            folder = waiting.pop()
            with os.scandir(self._root / folder) as found:
                entries = sorted(found, key=lambda entry: entry.name)
            for entry in entries:
                name = f"{folder}/{entry.name}" if folder else entry.name
                if entry.is_dir(follow_symlinks=False):
                    if entry.name != ".git":
                        waiting.append(name)
                else:
                    yield name, entry

    def _alone(self, file: Path) -> Iterator[tuple[str, os.DirEntry[str]]]:
        with os.scandir(file.parent) as found:
            yield from ((entry.name, entry) for entry in found if entry.name == file.name)

    def read(self, path: str) -> bytes:
        """Raises Invalid where it is gone, or no file any more."""
        try:
            # What was a file when it was looked at may be a link by now.
            handle = os.open(self._root / path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            with os.fdopen(handle, "rb") as file:
                return file.read(MAX_FILE_BYTES + 1)
        except OSError as exc:
            raise Invalid(f"{path}: {exc.strerror}") from exc


def _objection(name: str, entry: os.DirEntry[str]) -> str | None:
    """Why it can't be taken."""
    if entry.is_symlink():
        return "symbolic links are not followed: put the file itself here"
    if not name.isprintable():
        return "such a name is not taken: use printable characters"
    limit = MAX_BYTES if is_spec(name) else MAX_FILE_BYTES
    size = entry.stat(follow_symlinks=False).st_size
    return f"{size} bytes are too many: the limit is {limit}" if size > limit else None


def _shown(name: str) -> str:
    """Names that are not UTF-8 come with half characters, which can't be printed."""
    return name.encode("utf-8", "backslashreplace").decode()


def is_spec(name: str) -> bool:
    """By its name."""
    return name.endswith((".yaml", ".yml"))


def spec_files(tree: SpecTree) -> list[str]:
    """The YAML files that `.olympusignore` does not name, in order."""
    ignored = Ignored(tree.read(IGNORE) if IGNORE in tree.files else b"")
    return sorted(name for name in tree.files if is_spec(name) and name not in ignored)


class Ignored:
    """What an `.olympusignore` at the top names. As in .gitignore: a pattern without '/' is about any name in a
    path, one with '/' about the path from the top; '*' and '?' stop at '/', '**' does not; 'x/' is a folder with
    all that is in it; a later '!pattern' takes back; '#' begins a comment. Lines over 500
    characters, and those after the thousandth, mean nothing.
    """

    def __init__(self, content: bytes) -> None:
        lines = (line.strip() for line in content.decode("utf-8", "replace").splitlines())
        patterns = [line for line in lines if line and not line.startswith("#") and len(line) <= 500][:1000]
        self._rules = [(not one.startswith("!"), _rule(one.removeprefix("!"))) for one in patterns]

    def __contains__(self, name: str) -> bool:
        ignored = False
        name = _shown(name)
        for ignores, pattern in self._rules:
            if ignores != ignored and pattern.fullmatch(name):
                ignored = ignores
        return ignored


def _rule(pattern: str) -> Any:
    """Matches the paths of files that the pattern means. RE2: a hostile pattern costs linear time."""
    anchored = "/" in pattern.rstrip("/")
    body = "".join(_GLOBS.get(part) or re.escape(part) for part in _GLOB.split(pattern.strip("/")) if part)
    return compile_pattern(
        f"{'' if anchored else '(.*/)?'}{body}{'/.*' if pattern.endswith('/') else '(/.*)?'}"
    )


_GLOB = re.compile(r"(\*\*/|\*\*|\*|\?)")
_GLOBS: Final = {"**/": "(.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
