"""Changes to assets as changes to the files that declare them: one document is written anew, all others stay."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from olympus.apollo.inventory.changes import AssetChange, field_changes, verb_of
from olympus.apollo.inventory.table import Row
from olympus.kernel.errors import Invalid
from olympus.spec.catalog import Catalog
from olympus.spec.kinds import API_VERSION
from olympus.spec.loader import load_documents

_BREAK: Final = re.compile(r"^---(?=\s|$)[^\n]*\n?", re.MULTILINE)
_PLAIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9_./@-]*( [A-Za-z0-9_./@-]+)*")
_WORDS: Final = frozenset({"true", "false", "null"})
_HEAD: Final = re.compile(r"\A(?:[ \t]*(?:#[^\n]*)?\n)*")
_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_UNPRINTABLE: Final = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
"""What JSON may hold as it is, and YAML may not."""


@dataclass(slots=True)
class Proposed:
    """files: as they are to be; warnings: what goes with it."""

    files: dict[str, str] = field(default_factory=dict)
    changes: list[AssetChange] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def proposed(catalog: Catalog, files: Mapping[str, str], rows: Sequence[Row]) -> Proposed:
    """What makes the assets as `rows` say; a new one gets a file of its own. files: all that declare assets.

    Raises Invalid where a document can't be found again.
    """
    made = Proposed()
    for row in rows:
        known = catalog.get("Asset", row.name)
        before = known.to_json() if known is not None else None
        after = _changed(row, before)
        changes = field_changes(before, after)
        if not changes:
            continue
        made.changes.append(AssetChange(row.name, verb_of(before, after), changes))
        if known is None:
            if not _NAME.fullmatch(row.name):
                raise Invalid(f"{row.name!r} is no name: use lower-case letters, digits and '-'")
            made.files[f"assets/{row.name}.yaml"] = text_of(after)
            continue
        text = made.files.get(known.file, files.get(known.file, ""))
        made.files[known.file], lost = _replaced(known.file, text, row.name, after)
        if lost:
            made.warnings.append(f"{known.file}: comments within '{row.name}' are not kept")
    return made


def _changed(row: Row, before: Mapping[str, Any] | None) -> dict[str, Any]:
    new: dict[str, Any] = {
        "apiVersion": API_VERSION,
        "kind": "Asset",
        "metadata": {"name": row.name},
        "spec": {},
    }
    document = copy.deepcopy(dict(before)) if before is not None else new
    for path, value in row.values.items():
        place = document
        for key in path[:-1]:
            place = place.setdefault(key, {})
        if value is None:
            place.pop(path[-1], None)
        else:
            place[path[-1]] = value
    for part in ("labels", "annotations"):
        if not document["metadata"].get(part, True):
            del document["metadata"][part]
    if not document["spec"].get("fields", True):
        del document["spec"]["fields"]
    return document


def text_of(document: Mapping[str, Any]) -> str:
    """As YAML that people like to read."""
    return "".join(f"{line}\n" for line in _lines(document, ""))


def _lines(value: Mapping[str, Any], indent: str) -> Iterator[str]:
    for key, one in value.items():
        if isinstance(one, Mapping) and one:
            yield f"{indent}{_scalar(key)}:"
            yield from _lines(one, indent + "  ")
        else:
            yield f"{indent}{_scalar(key)}: {_scalar(one)}"


def _scalar(value: Any) -> str:
    """What is no plain word is JSON, which is YAML too."""
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", orjson.dumps(value).decode())


def _replaced(file: str, text: str, name: str, document: Mapping[str, Any]) -> tuple[str, bool]:
    """The file with that document written anew; whether comments within it are lost. Those above it stay."""
    starts = [0, *(found.end() for found in _BREAK.finditer(text))]
    ends = [*(found.start() for found in _BREAK.finditer(text)), len(text)]
    for start, end in zip(starts, ends, strict=True):
        part = text[start:end]
        if name not in part or not _declares(file, part, name):
            continue
        above = _HEAD.match(part)
        head = above.group() if above else ""
        tail = "\n" if part.endswith("\n\n") and end != len(text) else ""
        whole = text[:start] + head + text_of(document) + tail + text[end:]
        return whole, re.search(r"(^|\s)#", part[len(head) :]) is not None
    raise Invalid(f"{file}: asset '{name}' can't be found there again: change it by hand")


def _declares(file: str, part: str, name: str) -> bool:
    documents, wrong = load_documents(file, part.encode())
    values = [one.value for one in documents]
    return not wrong and any(
        isinstance(one, dict)
        and one.get("kind") == "Asset"
        and isinstance(one.get("metadata"), dict)
        and one["metadata"].get("name") == name
        for one in values
    )
