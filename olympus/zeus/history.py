"""What a document was in each commit of main: found in the blobs that commits changed, never by a checkout."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from olympus.host.repository_git import FileChange
from olympus.records.version import Version
from olympus.spec.loader import MAX_BYTES, load_documents
from olympus.zeus.repo_git import SpecRepository

COMMITS: Final = 2000
"""How many commits of main are looked at, newest first."""

_YAML: Final = (".yaml", ".yml")
_AT_ONCE: Final = 100


@dataclass(frozen=True, slots=True)
class _Wanted:
    kind: str
    name: str


def versions(repository: SpecRepository, revision: str, kind: str, name: str) -> list[Version]:
    """Each commit up to `revision` that changed the document, newest first; moving it to another file is no change."""
    wanted = _Wanted(kind, name)
    commits = [
        (commit, [change for change in changes if change.path.endswith(_YAML)])
        for commit, changes in repository.log(revision, COMMITS)
    ]
    found: list[Version] = []
    for start in range(0, len(commits), _AT_ONCE):
        part = commits[start : start + _AT_ONCE]
        seen = dict(_documents(repository, [one for _, changes in part for one in changes], wanted))
        for commit, changes in part:
            before = next((seen[one.old] for one in changes if one.old in seen), None)
            after = next((seen[one.new] for one in changes if one.new in seen), None)
            if before != after:
                found.append(
                    Version(commit.revision, commit.author, commit.subject, commit.at, before, after)
                )
    return found


def _documents(
    repository: SpecRepository, changes: Sequence[FileChange], wanted: _Wanted
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Blob → the document in it, of those that have it."""
    paths = {blob: one.path for one in changes for blob in (one.old, one.new) if blob is not None}
    for blob, content in repository.blobs(sorted(paths)).items():
        # Most files don't even have the name in them.
        if len(content) > MAX_BYTES or wanted.name.encode() not in content:
            continue
        documents, _ = load_documents(paths[blob], content)
        for document in documents:
            value = document.value
            if isinstance(value, dict) and value.get("kind") == wanted.kind:
                metadata = value.get("metadata")
                if isinstance(metadata, dict) and metadata.get("name") == wanted.name:
                    yield blob, value
