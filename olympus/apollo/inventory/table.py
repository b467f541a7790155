"""Assets as a table, and a table as changes to assets: CSV (RFC 4180) that a spreadsheet may open. Pure.

A cell that begins like a formula, with one of `= + - @`, a tab or a quote, has a `'` before it; reading takes it off.
A cell of `fields.…` is JSON where it can be read so (`16`, `true`, `["x"]`, `"16"` for the text), else the text itself;
in other columns only what is in quotes is JSON.
An empty cell: there is no such field. A column that is missing changes nothing.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import orjson

from olympus.kernel.diagnostics import Diagnostic, did_you_mean
from olympus.kernel.errors import Invalid
from olympus.spec.catalog import Resource

Path: TypeAlias = tuple[str, ...]
"""In a document: `("spec", "owner")`, `("metadata", "labels", "team")`."""

_PLAIN: Final = ("type", "owner", "location", "serial", "expires")
_RELATIONS: Final = "relations"
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "'")
_FILE: Final = "assets.csv"
_MAX_ROWS: Final = 20_000


@dataclass(frozen=True, slots=True)
class Row:
    """What is to be of one asset. values: None where there is to be no such field."""

    name: str
    values: Mapping[Path, Any]


def written(assets: Iterable[Resource]) -> str:
    """The table, with its columns in the first line."""
    documents = [one.to_json() for one in assets]
    labels = sorted({f"labels.{key}" for one in documents for key in one["metadata"]["labels"]})
    fields = sorted({f"fields.{key}" for one in documents for key in one["spec"].get("fields", {})})
    columns = ["name", *_PLAIN, *labels, _RELATIONS, *fields]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([_safe(one) for one in columns])
    for document in documents:
        cells = [document["metadata"]["name"]]
        cells += [_cell(column, _at(document, path_of(column))) for column in columns[1:]]
        writer.writerow([_safe(one) for one in cells])
    return out.getvalue()


def read(text: str) -> list[Row]:
    """What the table says. Raises Invalid, with the line of each error."""
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    rows: list[Row] = []
    wrong: list[Diagnostic] = []
    lines: dict[str, int] = {}
    try:
        columns = [_unsafe(one) for one in next(reader, [])]
        _check_columns(columns)
        for cells in reader:
            line = reader.line_num
            if not any(cells):
                continue
            if len(rows) == _MAX_ROWS:
                raise Invalid(f"{_FILE} has more than {_MAX_ROWS} rows: send it in parts")
            if len(cells) != len(columns):
                message = f"{len(cells)} cells, and the first line names {len(columns)} columns"
                wrong.append(Diagnostic(_FILE, line, 1, message))
                continue
            given = dict(zip(columns, (_unsafe(one) for one in cells), strict=True))
            name = given.pop("name").strip()
            if name in lines:
                wrong.append(
                    Diagnostic(_FILE, line, 1, f"asset '{name}' stands in line {lines[name]} already")
                )
                continue
            lines[name] = line
            values = {path_of(column): _value(column, cell, line, wrong) for column, cell in given.items()}
            rows.append(Row(name, values))
    except csv.Error as error:
        wrong.append(Diagnostic(_FILE, reader.line_num, 1, f"it is no CSV: {error}"))
    if wrong:
        raise Invalid("; ".join(str(one) for one in wrong[:10]), wrong)
    return rows


def path_of(column: str) -> Path:
    """Where in a document a column's cells stand. Raises Invalid."""
    head, dot, key = column.partition(".")
    if column in (*_PLAIN, _RELATIONS):
        return ("spec", column)
    if dot and key and head == "fields":
        return ("spec", "fields", key)
    if dot and key and head == "labels":
        return ("metadata", "labels", key)
    known = (*_PLAIN, _RELATIONS)
    raise Invalid(
        f"unknown column {column!r}{did_you_mean(column, known)}: "
        f"there are name, {', '.join(known)}, labels.KEY and fields.KEY"
    )


def _check_columns(columns: Sequence[str]) -> None:
    if "name" not in columns:
        raise Invalid(f"{_FILE}:1:1: the first line has to name the columns, and 'name' among them")
    for number, column in enumerate(columns):
        if column in columns[:number]:
            raise Invalid(f"{_FILE}:1:1: column {column!r} is there twice")
        if column != "name":
            path_of(column)


def _at(document: Mapping[str, Any], path: Path) -> Any:
    found: Any = document
    for key in path:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def _cell(column: str, value: Any) -> str:
    if value is None or (column == _RELATIONS and not value):
        return ""
    if isinstance(value, str) and value and _from_cell(column, value) == value:
        return value
    return orjson.dumps(value).decode()


def _value(column: str, cell: str, line: int, wrong: list[Diagnostic]) -> Any:
    if not cell:
        return None
    if column == _RELATIONS:
        try:
            return orjson.loads(cell)
        except ValueError:
            message = (
                f'relations has to be JSON, as [{{"to": "dock-7", "how": "sits in"}}], and not {cell[:40]!r}'
            )
            wrong.append(Diagnostic(_FILE, line, 1, message))
            return None
    return _from_cell(column, cell)


def _from_cell(column: str, cell: str) -> Any:
    """JSON in a field, a JSON string elsewhere, else what is written there."""
    try:
        value = orjson.loads(cell)
    except ValueError:
        return cell
    return value if column.startswith("fields.") or isinstance(value, str) else cell


def _safe(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def _unsafe(cell: str) -> str:
    return cell.removeprefix("'") if cell.startswith("'") and cell[1:].startswith(_FORMULA) else cell
