"""Is a commit fit to be applied? The same answer for hooks, plans and the controller's offers."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from olympus.host.repository_git import MAIN, GitTree, TreeEntry
from olympus.kernel.diagnostics import Diagnostic
from olympus.kernel.errors import Invalid
from olympus.spec.catalog import Catalog, Resource
from olympus.spec.loader import MAX_BYTES, Path
from olympus.spec.validate import Cache, placed, validate_tree
from olympus.zeus.push import RefUpdate
from olympus.zeus.repo_git import SpecRepository

_MAX_LINES: Final = 50
_REMEMBERED: Final = 4
_MAX_FILE: Final = 4 * 1024 * 1024
"""Bytes of a file that a spec refers to."""


@dataclass(frozen=True, slots=True)
class Objection:
    """To a commit that is valid. path: where in the resource's document."""

    resource: Resource
    path: Path
    message: str


Judge: TypeAlias = Callable[[Catalog], Iterable[Objection]]
"""What others say of a catalog that is valid."""

Foresee: TypeAlias = Callable[[Catalog, Catalog], Awaitable[Sequence[str]]]
"""What going from the first catalog to the second would have done lately, in words; nothing: nothing new."""


async def nothing_foreseen(_before: Catalog, _after: Catalog) -> Sequence[str]:
    """Where nobody can tell."""
    return ()


@dataclass(frozen=True, slots=True)
class Checked:
    """A commit, validated. files: what specs refer to, by path; no catalog where there are errors."""

    revision: str
    catalog: Catalog | None
    diagnostics: tuple[Diagnostic, ...] = ()
    files: Mapping[str, bytes] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """The errors as a push shows them."""
        shown = [str(one) for one in self.diagnostics[:_MAX_LINES]]
        more = len(self.diagnostics) - len(shown)
        return [*shown, f"… and {more} errors more"] if more else shown

    def catalog_or_raise(self) -> Catalog:
        """Raises Invalid, with the diagnostics, where it is not valid."""
        if self.catalog is None or self.diagnostics:
            raise Invalid("; ".join(self.lines()) or "no catalog", self.diagnostics)
        return self.catalog


def refusal(update: RefUpdate, *, remote: str | None = None) -> Sequence[str]:
    """Why this ref may not be pushed at all, whatever it holds."""
    if not update.ref.startswith(("refs/heads/", "refs/tags/")):
        return (f"{update.ref}: only branches and tags are taken",)
    if update.ref != MAIN:
        return ()
    if remote is not None:
        return (f"the specs come from {remote}: push there",)
    if update.deletes:
        return ("main is what runs: it can not be deleted; push a commit that declares nothing",)
    return ()


class Validator:
    """Validates commits; what it has seen (by blob) it does not read again. Blocks: call it in a thread."""

    def __init__(self, repository: SpecRepository, judge: Judge = lambda _: ()) -> None:
        self._judge = judge
        self._repository = repository
        self._lock = threading.Lock()
        self._cache = Cache()
        self._checked: OrderedDict[str, Checked] = OrderedDict()

    def check(self, revision: str, quarantine: Mapping[str, str] | None = None) -> Checked:
        """The commit's catalog, or all that is wrong with it."""
        with self._lock:
            known = self._checked.get(revision)
            if known is None:
                with self._repository.tree(revision, quarantine) as tree:
                    known = self._validate(tree)
                self._checked[revision] = known
                if len(self._checked) > _REMEMBERED:
                    self._checked.popitem(last=False)
            return known

    def _validate(self, tree: GitTree) -> Checked:
        files = CommitTree(tree)
        report = validate_tree(files, self._cache, tree.revision)
        if report.catalog is None or report.diagnostics:
            return Checked(tree.revision, None, tuple(report.diagnostics))
        against = self._judge(report.catalog)
        objections = sorted({placed(files, one.resource, one.path, one.message) for one in against})
        if objections:
            return Checked(tree.revision, None, tuple(objections))
        return Checked(tree.revision, report.catalog, (), report.files)


class CommitTree:
    """A commit as `spec.tree.SpecTree`: digests are git's, so that an unchanged file is never read again."""

    def __init__(self, tree: GitTree) -> None:
        self._tree = tree
        objections = {entry.path: _objection(entry) for entry in tree.entries}
        self._entries = {entry.path: entry for entry in tree.entries if objections[entry.path] is None}
        self.problems = tuple(one for one in objections.values() if one is not None)
        self.files: Mapping[str, str] = {path: entry.blob for path, entry in self._entries.items()}

    def read(self, path: str) -> bytes:
        return self._tree.read(self._entries[path])


def _objection(entry: TreeEntry) -> Diagnostic | None:
    name = entry.path.rpartition("/")[2]
    is_spec = name.endswith((".yaml", ".yml"))
    if entry.mode == 0o120000:
        what = "symbolic links are not followed: commit the file itself"
    elif not entry.is_file:
        what = "submodules are not fetched: commit the files themselves"
    elif not entry.path.isprintable() or ".." in entry.path.split("/"):
        what = "such a name is not taken: use printable characters, and no '..'"
    elif entry.size > (MAX_BYTES if is_spec else _MAX_FILE):
        what = f"{entry.size} bytes are too many: the limit is {MAX_BYTES if is_spec else _MAX_FILE}"
    else:
        return None
    return Diagnostic(entry.path, 0, 0, what)
