"""Everything that can be known to be wrong with a tree of specs, in one pass, each with file:line:col.

The same code answers `olympus validate`, the git hooks and the API. What a file's content alone decides is
looked at once per content (`Cache`); what depends on other files is looked at each time.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from olympus.kernel.diagnostics import Diagnostic
from olympus.spec.catalog import Catalog, Ref, Resource
from olympus.spec.checks import asset_types, expressions, own, params, references
from olympus.spec.checks.problem import Problem, Subject, Whole
from olympus.spec.kinds import KINDS
from olympus.spec.loader import MAX_BYTES, Path, RawDocument, load_documents
from olympus.spec.parse import parse_document
from olympus.spec.tree import SpecTree, spec_files

_CACHED: Final = 50_000
_GLOBAL: Final = (references.check, params.check, asset_types.check)
"""What depends on more than the document itself."""


@dataclass(frozen=True, slots=True)
class Report:
    """No catalog where there are errors. files: path → content of what specs refer to."""

    catalog: Catalog | None
    diagnostics: tuple[Diagnostic, ...]
    files: Mapping[str, bytes] = field(default_factory=dict)
    spec_files: int = 0


@dataclass(frozen=True, slots=True)
class _File:
    """What a file's content says by itself."""

    resources: tuple[tuple[Resource, RawDocument], ...]
    diagnostics: tuple[Diagnostic, ...]
    broken: tuple[tuple[Subject, RawDocument], ...] = ()
    """What is declared there, but not rightly."""
    cut: bool = False
    """Whether documents may be missing, because the file could not be read to its end."""


class Cache:
    """Of files that were looked at, by path and digest. Not thread-safe."""

    def __init__(self) -> None:
        self._files: OrderedDict[tuple[str, str], _File] = OrderedDict()

    def get(self, path: str, digest: str) -> _File | None:
        return self._files.get((path, digest))

    def put(self, path: str, digest: str, file: _File) -> None:
        self._files[path, digest] = file
        if len(self._files) > _CACHED:
            self._files.popitem(last=False)


def validate_tree(tree: SpecTree, cache: Cache | None = None, revision: str = "") -> Report:
    """Never raises for what is in the tree."""
    cache = Cache() if cache is None else cache
    names = spec_files(tree)
    files = [_file(tree, name, cache) for name in names]
    diagnostics = [*tree.problems, *(one for file in files for one in file.diagnostics)]
    pairs = [pair for file in files for pair in file.resources]
    first, doubles = _unique(pairs)
    diagnostics += doubles
    broken = [pair for file in files for pair in file.broken]
    resources = [resource for resource, _ in first.values()]
    whole = Whole(
        Catalog(resources),
        tree.files,
        frozenset((subject.kind, subject.name) for subject, _ in broken),
        complete=not any(file.cut for file in files),
    )
    said = {(one.file, one.line, one.column) for one in diagnostics}
    diagnostics += [
        one for one in _of_the_whole(whole, pairs, broken) if (one.file, one.line, one.column) not in said
    ]
    if diagnostics:
        return Report(None, tuple(sorted(set(diagnostics))), spec_files=len(names))
    contents, too_large = _contents(first.values(), tree)
    if too_large:
        return Report(None, tuple(too_large), spec_files=len(names))
    digests = {path: hashlib.sha256(content).hexdigest() for path, content in contents.items()}
    return Report(Catalog(resources, digests, revision), (), contents, len(names))


def validate_documents(tree: SpecTree) -> Report:
    """Each document by itself: what schemas say, and no more."""
    names = spec_files(tree)
    diagnostics = list(tree.problems)
    resources: list[Resource] = []
    for name in names:
        documents, found = load_documents(name, tree.read(name))
        diagnostics += found
        for document in documents:
            resource, errors = parse_document(document)
            diagnostics += errors
            resources += [resource] if resource is not None else []
    catalog = None if diagnostics else Catalog(resources)
    return Report(catalog, tuple(sorted(set(diagnostics))), spec_files=len(names))


def placed(tree: SpecTree, resource: Resource, path: Path, message: str) -> Diagnostic:
    """What is wrong at `path` of a resource of the tree that is valid by itself."""
    documents, _ = load_documents(resource.file, tree.read(resource.file))
    document = next(one for one in documents if one.position(())[0] == resource.line)
    return Diagnostic(resource.file, *document.position(path), message)


def _file(tree: SpecTree, name: str, cache: Cache) -> _File:
    digest = tree.files[name]
    known = cache.get(name, digest)
    if known is None:
        known = _read(name, tree.read(name))
        cache.put(name, digest, known)
    return known


def _read(name: str, content: bytes) -> _File:
    documents, unreadable = load_documents(name, content)
    diagnostics = list(unreadable)
    resources: list[tuple[Resource, RawDocument]] = []
    broken: list[tuple[Subject, RawDocument]] = []
    for document in documents:
        resource, errors = parse_document(document)
        diagnostics += errors
        subject = _subject(document.value, sound=resource is not None)
        if resource is not None:
            resources.append((resource, document))
        elif subject is not None:
            broken.append((subject, document))
        if subject is not None:
            found = [_placed(one, document) for one in (*own.check(subject), *expressions.check(subject))]
            # Where the shape is wrong already, one message is enough.
            said = {(one.line, one.column) for one in errors}
            diagnostics += [one for one in found if (one.line, one.column) not in said]
    return _File(tuple(resources), tuple(diagnostics), tuple(broken), cut=bool(unreadable))


def _subject(value: object, *, sound: bool) -> Subject | None:
    """What a document is about, or wanted to be."""
    metadata = value.get("metadata") if isinstance(value, dict) else None
    if not isinstance(value, dict) or not isinstance(metadata, dict) or value.get("kind") not in KINDS:
        return None
    spec = value.get("spec")
    return Subject(value["kind"], str(metadata.get("name")), spec if isinstance(spec, dict) else {}, sound)


def _of_the_whole(
    whole: Whole,
    sound: list[tuple[Resource, RawDocument]],
    broken: list[tuple[Subject, RawDocument]],
) -> Iterator[Diagnostic]:
    documents: dict[Ref, RawDocument] = {}
    for resource, document in sound:
        documents.setdefault(resource.ref, document)
        subject = Subject(resource.kind, resource.name, document.value["spec"])
        for problem in (one for each in _GLOBAL for one in each(subject, whole)):
            yield _placed(problem, document)
    for subject, document in broken:
        for problem in (one for each in _GLOBAL for one in each(subject, whole)):
            yield _placed(problem, document)
    for ref, problem in references.check_circles(whole):
        yield _placed(problem, documents[ref])


def _unique(
    pairs: list[tuple[Resource, RawDocument]],
) -> tuple[dict[Ref, tuple[Resource, RawDocument]], list[Diagnostic]]:
    first: dict[Ref, tuple[Resource, RawDocument]] = {}
    doubles: list[Diagnostic] = []
    for resource, document in pairs:
        known, _ = first.setdefault(resource.ref, (resource, document))
        if known is not resource:
            line, column = document.position(("metadata", "name"))
            message = f"{resource.kind} '{resource.name}' is declared already at {known.file}:{known.line}"
            doubles.append(Diagnostic(document.file, line, column, message))
    return first, doubles


def _contents(
    pairs: Iterable[tuple[Resource, RawDocument]], tree: SpecTree
) -> tuple[dict[str, bytes], list[Diagnostic]]:
    contents: dict[str, bytes] = {}
    errors: list[Diagnostic] = []
    for resource, document in pairs:
        for path in references.used_files(resource.kind, document.value["spec"]):
            if path not in contents:
                contents[path] = tree.read(path)
                if len(contents[path]) > 4 * MAX_BYTES:
                    message = f"'{path}' has {len(contents[path])} bytes, {4 * MAX_BYTES} are allowed"
                    errors.append(Diagnostic(document.file, document.line, 1, message))
    return contents, errors


def _placed(problem: Problem, document: RawDocument) -> Diagnostic:
    place = document.key_position if problem.at_key else document.position
    line, column = place(problem.path)
    return Diagnostic(document.file, line, column, problem.message)
