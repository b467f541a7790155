"""What a note says of itself before its text: `title`, `tags` and `review`, between two lines of `---`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from olympus.kernel.diagnostics import Diagnostic
from olympus.kernel.errors import Invalid
from olympus.spec.loader import load_documents

_BLOCK: Final = re.compile(r"\A---[ \t]*\n(.*?)^---[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
_HEADING: Final = re.compile(r"^#[ \t]+(.+?)[ \t]*#*[ \t]*$", re.MULTILINE)
_MAX_TITLE: Final = 200
_MAX_TAGS: Final = 50


@dataclass(frozen=True, slots=True)
class Head:
    """body: the text after it. review: the day on which somebody should look whether it is still true."""

    title: str
    tags: tuple[str, ...]
    review: str | None
    body: str


def read_head(path: str, markdown: str) -> Head:
    """Raises Invalid, with line and column, where what stands between the lines of `---` is wrong."""
    found = _BLOCK.match(markdown)
    fields = _fields(path, found[1]) if found else {}
    body = markdown[found.end() :] if found else markdown
    heading = _HEADING.search(body)
    title = fields.get("title") or (heading[1] if heading else path.rpartition("/")[2])
    return Head(
        str(title)[:_MAX_TITLE], _tags(path, fields.get("tags")), _review(path, fields.get("review")), body
    )


def plain_head(path: str, markdown: str) -> Head:
    """As `read_head`; what is wrong in it says nothing: others pushed it, and it has to be shown."""
    try:
        return read_head(path, markdown)
    except Invalid:
        heading = _HEADING.search(markdown)
        return Head((heading[1] if heading else path.rpartition("/")[2])[:_MAX_TITLE], (), None, markdown)


def _fields(path: str, text: str) -> Mapping[str, Any]:
    # One line before it, so that lines are counted as in the note.
    documents, wrong = load_documents(path, f"\n{text}".encode("utf-8", "replace"))
    if wrong:
        raise Invalid(f"the note's head can't be read: {wrong[0]}", wrong)
    if not documents:
        return {}
    value = documents[0].value
    if not isinstance(value, dict) or len(documents) > 1:
        raise _wrong(path, "between the lines of --- stand `title`, `tags` and `review`, each with its value")
    return value


def _tags(path: str, value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    listed = value.split(",") if isinstance(value, str) else value
    if not isinstance(listed, list) or not all(isinstance(one, str | int | float) for one in listed):
        raise _wrong(path, "tags are a list of texts: `tags: [web, runbook]`")
    if len(listed) > _MAX_TAGS:
        raise _wrong(path, f"a note may have {_MAX_TAGS} tags")
    return tuple(dict.fromkeys(tag for one in listed if (tag := str(one).strip())))


def _review(path: str, value: Any) -> str | None:
    if value is None:
        return None
    try:
        return date.fromisoformat(str(value)).isoformat()
    except ValueError:
        raise _wrong(path, f"review is a day, as in `review: 2026-12-24`, not {value!r}") from None


def _wrong(path: str, message: str) -> Invalid:
    diagnostic = Diagnostic(path, 1, 1, message)
    return Invalid(str(diagnostic), [diagnostic])
