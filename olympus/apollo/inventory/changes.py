"""How two states of an asset differ, field by field. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import orjson

from olympus.spec.catalog import Catalog, Resource

Verb: TypeAlias = Literal["create", "update", "delete"]

_MAX_FIELDS: Final = 100
_MAX_TEXT: Final = 500


@dataclass(frozen=True, slots=True)
class FieldChange:
    """field: `spec.owner`, `metadata.labels.team`. old, new: JSON values; None: it is not there."""

    field: str
    old: Any
    new: Any

    def to_json(self) -> dict[str, Any]:
        return {"field": self.field, "from": self.old, "to": self.new}


@dataclass(frozen=True, slots=True)
class AssetChange:
    name: str
    verb: Verb
    fields: tuple[FieldChange, ...]


def field_changes(
    before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
) -> tuple[FieldChange, ...]:
    """Of two documents `{metadata, spec}`; lists count as one value."""
    old, new = dict(_flat(before or {})), dict(_flat(after or {}))
    return tuple(
        FieldChange(field, old.get(field), new.get(field))
        for field in sorted({*old, *new})
        if old.get(field) != new.get(field)
    )


def verb_of(before: object, after: object) -> Verb:
    """None: it is not there."""
    return "create" if before is None else "delete" if after is None else "update"


def asset_changes(before: Catalog | None, after: Catalog | None) -> list[AssetChange]:
    """By name."""
    old, new = _assets(before), _assets(after)
    found = []
    for name in sorted({*old, *new}):
        was, is_ = old.get(name), new.get(name)
        if was is None or is_ is None or was.digest != is_.digest:
            fields = field_changes(was.to_json() if was else None, is_.to_json() if is_ else None)
            found.append(AssetChange(name, verb_of(was, is_), fields))
    return found


def as_diff(fields: tuple[FieldChange, ...]) -> str:
    """`-spec.owner: ann` and `+spec.owner: bob`, line by line; what is long is cut, and says so."""
    lines: list[str] = []
    for change in fields[:_MAX_FIELDS]:
        lines += [
            f"{sign}{change.field}: {_text(value)}"
            for sign, value in (("-", change.old), ("+", change.new))
            if value is not None
        ]
    more = len(fields) - _MAX_FIELDS
    return "\n".join([*lines, f"… {more} fields more"] if more > 0 else lines)


def _assets(catalog: Catalog | None) -> dict[str, Resource]:
    return {} if catalog is None else {one.name: one for one in catalog.all("Asset")}


def _flat(document: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for part in ("metadata", "spec"):
        yield from _leaves(part, document.get(part))


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield from _leaves(f"{path}.{key}", one)
    elif value is not None and path != "metadata.name":
        yield path, value


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    return text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}… ({len(text)} characters)"
