"""What is wrong with a document, and where in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from olympus.kernel.diagnostics import did_you_mean
from olympus.spec.catalog import Catalog, Ref
from olympus.spec.checks.graph import StepGraph
from olympus.spec.loader import Path

MAX_GUESSES: Final = 100


@dataclass(frozen=True)
class Subject:
    """A document that is looked at, with its spec as it was written. sound: its kind's model has accepted it."""

    kind: str
    name: str
    spec: Mapping[str, Any]
    sound: bool = True

    @cached_property
    def graph(self) -> StepGraph:
        """Of a Pipeline's steps."""
        return StepGraph(self.spec["steps"])


@dataclass(frozen=True, slots=True)
class Problem:
    """`path` begins at the document: ("spec", "steps", 0, "run"). at_key: the key is wrong, not its value."""

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
    guesses: Iterator[int] = field(default_factory=lambda: iter(range(MAX_GUESSES)))

    def lacks(self, kind: str, name: str) -> bool:
        """Whether it is sure that there is no such resource."""
        return self.complete and self.catalog.get(kind, name) is None and (kind, name) not in self.broken

    def missing(self, kind: str, name: str) -> str:
        """`there is no Pipeline 'x', did you mean 'y'?`"""
        return f"there is no {kind} '{name}'{self.guess(name, (one.name for one in self.catalog.all(kind)))}"

    def guess(self, name: str, known: Iterable[str]) -> str:
        """What was perhaps meant; after a hundred of these nothing, since each looks at all that is known."""
        return "" if next(self.guesses, None) is None else did_you_mean(name, known)


def as_far(subject: Subject, problems: Iterator[Problem]) -> Iterator[Problem]:
    """The problems; of a document with a wrong shape, which is said already, those until the shape is in the way."""
    if subject.sound:
        yield from problems
        return
    with suppress(LookupError, TypeError, ValueError, AttributeError):
        yield from problems


def texts(spec: Any) -> Iterator[tuple[Path, str]]:
    """Every text in a spec, with its path from the document."""
    left: list[tuple[Path, Any]] = [(("spec",), spec)]
    while left:
        path, value = left.pop()
        for key, one in value.items() if isinstance(value, dict) else enumerate(value):
            if isinstance(one, str):
                yield (*path, key), one
            elif isinstance(one, dict | list):
                left.append(((*path, key), one))


def found(spec: Mapping[str, Any], pattern: tuple[str, ...]) -> Iterator[tuple[Path, Any]]:
    """What stands at `pattern` below a spec, with its path from the document. `*` is any index or key."""
    here: list[tuple[Path, Any]] = [(("spec",), spec)]
    for part in pattern:
        after: list[tuple[Path, Any]] = []
        for path, value in here:
            if isinstance(value, Mapping):
                keys = value if part == "*" else [part] if part in value else []
                after += [((*path, key), value[key]) for key in keys]
            elif isinstance(value, list) and part == "*":
                after += [((*path, index), one) for index, one in enumerate(value)]
        here = after
    yield from here
