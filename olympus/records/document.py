"""What all documents have in common: frozen, camelCase JSON, times as RFC 3339 in UTC with microseconds.

A field that this version does not know is ignored, so that hosts of two versions can share one Hermes.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Self, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, ValidationError
from pydantic.alias_generators import to_camel

from olympus.kernel.clock import parse_rfc3339, rfc3339
from olympus.kernel.errors import Invalid


def _moment(value: object) -> object:
    return parse_rfc3339(value) if isinstance(value, str) else value


Moment: TypeAlias = Annotated[
    datetime, BeforeValidator(_moment), PlainSerializer(rfc3339, return_type=str, when_used="json")
]
"""An aware time; in JSON `2026-11-24T09:30:00.000000Z`."""


class Document(BaseModel):
    """The base of every record and of its parts."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        # What is not used is not built: neither at the start, nor in memory.
        defer_build=True,
    )

    def to_json(self) -> dict[str, Any]:
        """As programs see it."""
        return self.model_dump(mode="json", by_alias=True)

    def to_bytes(self) -> bytes:
        """As it lies in Hermes: the same document always gives the same bytes."""
        return self.model_dump_json(by_alias=True, exclude_defaults=True).encode()

    @classmethod
    def from_bytes(cls, raw: bytes) -> Self:
        """What `to_bytes` wrote. Raises Invalid where it is no such document."""
        try:
            return cls.model_validate_json(cls._unpacked(raw))
        except ValidationError as exc:
            raise Invalid(
                f"not a {cls.__name__}: {exc.error_count()} errors, the first: {exc.errors()[0]['msg']}"
            ) from exc

    @staticmethod
    def _unpacked(raw: bytes) -> bytes:
        """JSON, of what `to_bytes` wrote."""
        return raw
