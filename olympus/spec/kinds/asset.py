"""Asset and AssetType: what the inventory knows beside nodes."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from olympus.spec.kinds.base import DateText, Json, Spec, Text, formed


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


class AssetTypeSpec(Spec):
    """What assets whose `type` is its name have to say of themselves."""

    description: str | None = None
    fields: dict[str, Any] = Field(default_factory=dict)
    """JSON Schema of an asset's `fields`."""
    reminders: list[
        Annotated[str, formed(r"^[A-Za-z0-9_-]+$", "is no field's name: use letters, digits, '_' and '-'")]
    ] = Field(default_factory=list)
    """Fields that hold a date of which people are told, as they are of `expires`."""
