"""Values with a type that are still a `${{ }}`: filled in once their roots are known, and held against the type.

A number, a duration or a choice can't stay a text to the end, as an argument can. So that nobody runs half a step
with what is none, they are all filled in before anything is done.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from olympus.kernel.errors import Invalid
from olympus.spec.annotations import fields, items, models, parts
from olympus.spec.expression import ExpressionError, compile_value
from olympus.spec.kinds.base import RENDERED, Holes, Spec
from olympus.spec.loader import Path
from olympus.spec.template import expressions_in, has_holes, render
from olympus.spec.wording import sentence


@dataclass(frozen=True, slots=True)
class Blank:
    """A value of a spec, at `path`, that is `text` yet and has to become a `type`."""

    path: Path
    text: str
    type: TypeAdapter[Any]

    @property
    def roots(self) -> frozenset[str]:
        """What it needs to be filled in."""
        return frozenset().union(*(compile_value(one).roots() for _, one in expressions_in(self.text)))

    def value(self, roots: Mapping[str, Any]) -> Any:
        """What it becomes. Raises ValueError, with the reason."""
        try:
            return self.type.validate_python(render(self.text, roots), strict=True, context=RENDERED)
        except ValidationError as error:
            said = dict.fromkeys(sentence(one) for one in error.errors(include_url=False))
            raise ValueError(" or ".join(said)) from error


def blanks(model: type[Spec], raw: Mapping[str, Any]) -> tuple[Blank, ...]:
    """Those of a spec that `model` has accepted."""
    return tuple(_of_model([model], raw, ()))


def filled(raw: Any, found: Iterable[Blank], roots: Mapping[str, Any], name: Callable[[Path], str]) -> Any:
    """`raw` with these blanks filled in. Raises Invalid, which says where (`name` of the path) and why."""
    for blank in found:
        try:
            raw = _put(raw, blank.path, blank.value(roots))
        except (ExpressionError, ValueError) as error:
            raise Invalid(f"{name(blank.path)}: {error}") from error
    return raw


def left_out(raw: Any, found: Iterable[Blank]) -> Any:
    """`raw` without these: what is not there has its default."""
    for blank in found:
        raw = _put(raw, blank.path, _GONE)
    return raw


def dotted(path: Path) -> str:
    """`retry.attempts`, `steps[0].timeout`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


_GONE = object()


def _put(raw: Any, path: Path, value: Any) -> Any:
    """A copy of `raw` with `value` at `path`."""
    if not path:
        return value
    head, rest = path[0], path[1:]
    if isinstance(raw, list):
        return [_put(one, rest, value) if index == head else one for index, one in enumerate(raw)]
    if value is _GONE and not rest:
        return {key: one for key, one in raw.items() if key != head}
    return {**raw, head: _put(raw[head], rest, value)}


def _of_model(candidates: list[type[BaseModel]], raw: Mapping[str, Any], path: Path) -> Iterator[Blank]:
    for model in candidates:
        known = fields(model)
        if known.keys() >= raw.keys():
            for key, value in raw.items():
                yield from _of_type(known[key], value, (*path, key))
            return


def _of_type(annotation: Any, value: Any, path: Path) -> Iterator[Blank]:
    if isinstance(value, str):
        wanted = _templated(annotation) if "${{" in value and has_holes(value) else None
        if wanted is not None:
            yield Blank(path, value, _adapter(wanted))
    elif isinstance(value, Mapping):
        yield from _of_model(models(annotation), value, path)
        for inner in items(annotation, dict):
            for key, one in value.items():
                yield from _of_type(inner, one, (*path, key))
    elif isinstance(value, list):
        for inner in items(annotation, list):
            for index, one in enumerate(value):
                yield from _of_type(inner, one, (*path, index))


@lru_cache(maxsize=256)
def _adapter(annotation: Any) -> TypeAdapter[Any]:
    return TypeAdapter(annotation)


def _templated(annotation: Any) -> Any:
    for one in parts(annotation):
        if typing.get_origin(one) is Annotated and any(isinstance(x, Holes) for x in one.__metadata__):
            return one
    return None
