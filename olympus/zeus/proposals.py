"""Commits that people make without a push: written beside main, checked as a push is, then main is moved to them."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from olympus.host.repository_git import MAIN, GitFailed, Write
from olympus.kernel.errors import Conflict
from olympus.kernel.ids import new_id
from olympus.records.proposal import Proposal, Sources
from olympus.spec.catalog import Catalog
from olympus.zeus.repo_git import SpecRepository

_PROPOSED: Final = "refs/olympus/proposed"


def sources(repository: SpecRepository, catalog: Catalog, revision: str, kind: str) -> Sources:
    """The files of `revision` in which documents of `kind` stand."""
    wanted = {one.file for one in catalog.all(kind)}
    with repository.tree(revision) as tree:
        files = {one.path: tree.read(one).decode() for one in tree.entries if one.path in wanted}
    return Sources(revision, catalog, files)


def write(repository: SpecRepository, proposal: Proposal, now: datetime) -> str:
    """The commit, which no branch has yet. Raises Conflict where main is not its base any more."""
    if repository.head() != proposal.base:
        raise Conflict(f"main is not at {proposal.base[:7]} any more: look at the plan anew")
    ref = f"{_PROPOSED}/{new_id()}"
    changes = [Write(path, text.encode()) for path, text in sorted(proposal.files.items())]
    revision = repository.write(
        changes, parent=proposal.base, author=proposal.author, message=proposal.message, now=now, ref=ref
    )
    # The commit stays without it for as long as git keeps what nothing names: weeks.
    repository.forget(ref)
    return revision


def take(repository: SpecRepository, base: str, revision: str) -> None:
    """Main is that commit from now on. Raises Conflict where it was moved meanwhile."""
    try:
        repository.move(MAIN, revision, base)
    except GitFailed as exc:
        raise Conflict(f"main is not at {base[:7]} any more: look at the plan anew") from exc
