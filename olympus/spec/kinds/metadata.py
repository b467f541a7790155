"""What every resource says of itself beside its spec."""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

from pydantic import Field

from olympus.spec.kinds.base import Name, Spec, formed

LABEL_KEY: Final = r"^([a-z0-9.-]+/)?[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?$"
LABEL_VALUE: Final = r"^([A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?)?$"

LabelKey: TypeAlias = Annotated[
    str,
    formed(
        LABEL_KEY,
        "is no label: use letters, digits, '-', '_' and '.', after a prefix with '/' if need be",
        max_length=253,
    ),
]
LabelValue: TypeAlias = Annotated[
    str, formed(LABEL_VALUE, "is no label's value: use letters, digits, '-', '_' and '.'", max_length=63)
]


class Metadata(Spec):
    """Who it is: `name` is unique within its kind."""

    name: Name
    labels: dict[LabelKey, LabelValue] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
