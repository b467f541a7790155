"""What a commit declares: its resources, typed, and the files that they refer to."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import orjson

from olympus.kernel.errors import Invalid
from olympus.spec.kinds import API_VERSION, KINDS, Spec

Ref: TypeAlias = tuple[str, str]
"""(kind, name)."""

_EMPTY: Final[Mapping[str, str]] = {}


@dataclass(frozen=True, slots=True)
class Resource:
    """One document: `spec` is the model of its kind; `file` and `line` are where it stands."""

    kind: str
    name: str
    spec: Any
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    file: str = ""
    line: int = 0
    digest: str = ""

    @property
    def ref(self) -> Ref:
        return (self.kind, self.name)

    def to_json(self) -> dict[str, Any]:
        """As it was written, without what was left out."""
        metadata = {"name": self.name, "labels": dict(self.labels), "annotations": dict(self.annotations)}
        return {
            "apiVersion": API_VERSION,
            "kind": self.kind,
            "metadata": metadata,
            "spec": self.spec.to_json(),
        }


def digest_of(value: Mapping[str, Any]) -> str:
    """The SHA-256 of a JSON object, whatever the order of its keys."""
    return hashlib.sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).hexdigest()


class Catalog:
    """`files`: path in the commit → SHA-256 of the content, for each file that a spec refers to."""

    def __init__(
        self, resources: Iterable[Resource], files: Mapping[str, str] | None = None, revision: str = ""
    ) -> None:
        self.resources = tuple(resources)
        self.files = dict(files or {})
        self.revision = revision
        self._by_ref = {resource.ref: resource for resource in self.resources}
        self._by_kind: dict[str, list[Resource]] = {}
        for resource in self.resources:
            self._by_kind.setdefault(resource.kind, []).append(resource)

    def get(self, kind: str, name: str) -> Resource | None:
        return self._by_ref.get((kind, name))

    def all(self, kind: str) -> tuple[Resource, ...]:
        """In the order of their names."""
        return tuple(sorted(self._by_kind.get(kind, ()), key=lambda resource: resource.name))

    def at(self, revision: str) -> Catalog:
        """The same, of that commit."""
        return Catalog(self.resources, self.files, revision)

    def to_bytes(self) -> bytes:
        """JSON; the same content gives the same bytes."""
        documents = [
            resource.to_json() | {"file": resource.file, "line": resource.line}
            for resource in sorted(self.resources, key=lambda resource: resource.ref)
        ]
        content = {"revision": self.revision, "resources": documents, "files": self.files}
        return orjson.dumps(content, option=orjson.OPT_SORT_KEYS)

    @staticmethod
    def from_bytes(raw: bytes) -> Catalog:
        """What `to_bytes` wrote. Raises Invalid where another version wrote what this one can't read."""
        content = orjson.loads(raw)
        try:
            resources = [
                resource_of(document, file=document["file"], line=document["line"])
                for document in content["resources"]
            ]
        except (KeyError, ValueError) as error:
            raise Invalid(f"the stored catalog can't be read: {error}") from error
        return Catalog(resources, content["files"], content["revision"])


def resource_of(document: Mapping[str, Any], *, file: str = "", line: int = 0) -> Resource:
    """The resource of a document that is valid. Raises ValueError (pydantic's) where it is not."""
    metadata = document["metadata"]
    labels = metadata.get("labels") or _EMPTY
    annotations = metadata.get("annotations") or _EMPTY
    spec: Spec = KINDS[document["kind"]].model_validate(document["spec"])
    # The spec as the model has it: `backoff: 2` and what is stored of it, 2.0, are one thing.
    said = {"kind": document["kind"], "labels": labels, "annotations": annotations, "spec": spec.to_json()}
    return Resource(
        document["kind"], metadata["name"], spec, dict(labels), dict(annotations), file, line, digest_of(said)
    )
