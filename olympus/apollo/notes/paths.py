"""What a note may be called: `incidents/today` is the file `incidents/today.md` of the repository."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from olympus.kernel.errors import Invalid

SUFFIX: Final = ".md"
RESERVED: Final = frozenset({"history", "diff"})
"""What the API has behind a note's path."""

_MAX_BYTES: Final = 500
_MAX_DEPTH: Final = 16
_MARKS: Final = frozenset("\\|[]#")
# How Windows spells `.git` in a clone.
_SHORT_GIT: Final = re.compile(r"git~[0-9]+", re.IGNORECASE)


def note_path(text: str) -> str:
    """The path as it is kept: without `.md`, composed (NFC). Raises Invalid, with what is wrong."""
    path = file_path(text.removesuffix(SUFFIX))
    if path.rpartition("/")[2] in RESERVED:
        raise Invalid(f"no note may be called {path!r}: the API has it for something else")
    return path


def file_path(text: str) -> str:
    """A file of the repository. Raises Invalid."""
    path = unicodedata.normalize("NFC", text)
    why = _objection(path)
    if why is not None:
        raise Invalid(f"not a path of a note: {text!r}: {why}")
    return path


def is_note(file: str) -> bool:
    """Whether a file that somebody pushed can be shown as a note."""
    try:
        return file.endswith(SUFFIX) and note_path(file) + SUFFIX == file
    except Invalid:
        return False


def file_of(path: str) -> str:
    return path + SUFFIX


def folder_of(path: str) -> str:
    """With its `/`; empty at the top."""
    return path[: path.rfind("/") + 1]


def _objection(path: str) -> str | None:
    if len(path.encode("utf-8", "replace")) > _MAX_BYTES:
        return f"it has more than {_MAX_BYTES} bytes"
    segments = path.split("/")
    if len(segments) > _MAX_DEPTH:
        return f"it is more than {_MAX_DEPTH} folders deep"
    for one in path:
        if unicodedata.category(one) in ("Cc", "Cf", "Cs", "Zl", "Zp") or one in _MARKS:
            return f"it has the character U+{ord(one):04X}"
    for segment in segments:
        if not segment:
            return "it is empty between two '/', or begins or ends with one"
        if segment.startswith(".") or segment.endswith((".", ".lock")) or segment != segment.strip():
            return f"{segment!r} begins or ends with a dot or a space"
        if _SHORT_GIT.fullmatch(segment):
            return f"{segment!r} is git's own"
    return None
