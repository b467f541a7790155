"""What the annotations of models say: which models, fields and items may stand where."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from functools import lru_cache
from typing import Annotated, Any

from pydantic import BaseModel

from olympus.spec.kinds.base import yaml_name
from olympus.spec.loader import Path


def parts(annotation: Any) -> Iterator[Any]:
    """The branches of a union, and what stands in an Annotated (with the Annotated itself before it)."""
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, types.UnionType):
        for one in typing.get_args(annotation):
            yield from parts(one)
    elif origin is Annotated:
        yield annotation
        yield from parts(typing.get_args(annotation)[0])
    else:
        yield annotation


def models(annotation: Any) -> list[type[BaseModel]]:
    """The models that may stand there."""
    return [one for one in parts(annotation) if isinstance(one, type) and issubclass(one, BaseModel)]


def items(annotation: Any, container: type) -> list[Any]:
    """What the lists (or dictionaries) that may stand there hold."""
    return [typing.get_args(one)[-1] for one in parts(annotation) if typing.get_origin(one) is container]


@lru_cache(maxsize=256)
def fields(model: type[BaseModel]) -> dict[str, Any]:
    """The annotations of its fields, by their names in YAML."""
    return {
        field.alias or yaml_name(name): Annotated[(field.annotation, *field.metadata)]
        if field.metadata
        else field.annotation
        for name, field in model.model_fields.items()
    }


def is_required(model: type[BaseModel], name: str) -> bool:
    """Whether the field of that name in YAML is there and has to be written."""
    return any(
        (field.alias or yaml_name(own)) == name and field.is_required()
        for own, field in model.model_fields.items()
    )


def models_at(model: type[BaseModel], path: Path) -> list[type[BaseModel]]:
    """The models that may stand at `path` below `model`."""
    found: list[Any] = [model]
    for part in path:
        after: list[Any] = []
        for one in found:
            after += [known[part] for inner in models(one) if part in (known := fields(inner))]
            after += items(one, list if isinstance(part, int) else dict)
        found = after
    return [inner for one in found for inner in models(one)]
