"""A tree of files that may hold specs: a folder here, a commit elsewhere."""

from __future__ import annotations

import fnmatch
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol

from olympus.kernel.diagnostics import Diagnostic
from olympus.kernel.errors import Invalid

IGNORE: Final = ".olympusignore"
MAX_FILES: Final = 100_000


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
        if not root.exists():
            raise Invalid(f"{root}: there is no such file or folder")
        self._root = root if root.is_dir() else root.parent
        self._prefix = prefix
        found = sorted(root.rglob("*")) if root.is_dir() else [root]
        self._content: dict[str, bytes] = {}
        files: dict[str, str] = {}
        problems: list[Diagnostic] = []
        for path in found[:MAX_FILES]:
            name = path.relative_to(self._root).as_posix()
            if ".git" in path.relative_to(self._root).parts:
                continue
            if path.is_symlink():
                problems.append(
                    Diagnostic(prefix + name, 0, 0, "symbolic links are not followed: put the file here")
                )
            elif path.is_file():
                stat = path.stat()
                said = f"{path}:{stat.st_mtime_ns}:{stat.st_size}:{stat.st_ino}"
                files[name] = hashlib.sha256(said.encode()).hexdigest()
        self.files: Mapping[str, str] = files
        self.problems = tuple(problems)

    def read(self, path: str) -> bytes:
        return (self._root / path).read_bytes()


def spec_files(tree: SpecTree) -> list[str]:
    """The YAML files that `.olympusignore` does not name, in order."""
    patterns = _patterns(tree.read(IGNORE)) if IGNORE in tree.files else []
    names = [name for name in tree.files if name.endswith((".yaml", ".yml"))]
    return sorted(name for name in names if not _ignored(name, patterns))


def _patterns(content: bytes) -> list[str]:
    lines = [line.strip() for line in content.decode("utf-8", "replace").splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def _ignored(name: str, patterns: list[str]) -> bool:
    """As .gitignore does it, without `**` in the middle; a later `!pattern` takes back."""
    ignored = False
    for pattern in patterns:
        plain = pattern.removeprefix("!")
        if _matches(name, plain):
            ignored = not pattern.startswith("!")
    return ignored


def _matches(name: str, pattern: str) -> bool:
    anchored = "/" in pattern.rstrip("/")
    wanted = pattern.strip("/")
    parts = name.split("/")
    folders = ["/".join(parts[: i + 1]) for i in range(len(parts) - 1)]
    candidates = folders if pattern.endswith("/") else [*folders, name]
    if anchored:
        return any(fnmatch.fnmatchcase(one, wanted) for one in candidates)
    return any(fnmatch.fnmatchcase(one.rsplit("/", 1)[-1], wanted) for one in candidates)
