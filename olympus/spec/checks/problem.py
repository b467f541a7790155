"""What is wrong with a resource, and where in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from olympus.kernel.diagnostics import did_you_mean
from olympus.spec.catalog import Catalog, Ref, Resource
from olympus.spec.loader import Path


@dataclass(frozen=True, slots=True)
class Problem:
    """`path` begins at the document: ("spec", "steps", 0, "run"). at_key: the key is wrong, not its value."""

    resource: Resource
    path: Path
    message: str
    at_key: bool = False


@dataclass(frozen=True, slots=True)
class Whole:
    """The tree that global checks look at. `paths` are all files of it.

    broken:   what is declared, but has errors of its own
    complete: False where a file could not be read to its end, so that anything may be declared there
    """

    catalog: Catalog
    paths: Mapping[str, str]
    broken: frozenset[Ref] = frozenset()
    complete: bool = True

    def lacks(self, kind: str, name: str) -> bool:
        """Whether it is sure that there is no such resource."""
        return self.complete and self.catalog.get(kind, name) is None and (kind, name) not in self.broken

    def missing(self, kind: str, name: str) -> str:
        """`there is no Pipeline 'x', did you mean 'y'?`"""
        known = [resource.name for resource in self.catalog.all(kind)]
        return f"there is no {kind} '{name}'{did_you_mean(name, known)}"


def walk(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every value in a JSON tree, with its path."""
    left: list[tuple[Path, Any]] = [(path, value)]
    while left:
        path, value = left.pop()
        yield path, value
        if isinstance(value, dict):
            left += [((*path, key), value[key]) for key in reversed(value)]
        elif isinstance(value, list):
            left += [((*path, index), value[index]) for index in reversed(range(len(value)))]
