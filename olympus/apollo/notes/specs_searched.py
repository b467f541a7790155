"""What is declared, as texts that can be searched: names, labels, and the words of each spec."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any, Final

from olympus.apollo.notes.texts_sqlite import Found
from olympus.spec.catalog import Catalog, Resource

_MAX_TEXT: Final = 4000


def things_of(catalog: Catalog) -> dict[tuple[str, str], tuple[Found, str]]:
    """(kind, name) → the thing, its text in place of a snippet, and a mark of that."""
    found: dict[tuple[str, str], tuple[Found, str]] = {}
    for resource in catalog.resources:
        thing = _thing(resource)
        mark = hashlib.sha256(f"{thing.title}\0{thing.snippet}".encode(errors="replace")).hexdigest()
        found[thing.kind, thing.name] = thing, mark
    return found


def _thing(resource: Resource) -> Found:
    kind, name = resource.ref
    labels = " ".join(f"{key}={value}" for key, value in sorted(resource.labels.items()))
    words = " ".join(_texts(resource.spec.to_json()))
    return Found(kind, name, name, f"{labels} {words}".strip()[:_MAX_TEXT])


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)
    elif isinstance(value, str) and value:
        yield value
