"""Asset: what the inventory knows beside nodes."""

from __future__ import annotations

from pydantic import Field

from olympus.spec.kinds.base import DateText, Json, Spec, Text


class Relation(Spec):
    to: Text
    how: Text


class AssetSpec(Spec):
    type: Text
    owner: str | None = None
    location: str | None = None
    serial: str | None = None
    expires: DateText | None = None
    relations: list[Relation] = Field(default_factory=list)
    fields: dict[str, Json] = Field(default_factory=dict)
