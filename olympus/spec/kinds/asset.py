"""Asset: what the inventory knows beside nodes."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from olympus.spec.kinds.base import Json, Spec, Text


class Relation(Spec):
    to: Text
    how: Text


class AssetSpec(Spec):
    type: Text
    owner: str | None = None
    location: str | None = None
    serial: str | None = None
    expires: Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\d$")] | None = None
    relations: list[Relation] = Field(default_factory=list)
    fields: dict[str, Json] = Field(default_factory=dict)
