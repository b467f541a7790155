"""YAML into plain JSON values, with the place of each key and value. Safe on hostile input.

Only PyYAML's parser is used (its events come from libyaml, without recursion): its composer segfaults on deep
nesting and its constructor runs tags. What is composed here follows YAML 1.2's core schema, so that `on`, `no`,
dates and `08` stay texts.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import yaml

from olympus.kernel.diagnostics import Diagnostic

MAX_BYTES: Final = 1024 * 1024
MAX_DEPTH: Final = 64
MAX_NODES: Final = 100_000
MAX_ALIASES: Final = 100
MAX_DOCUMENTS: Final = 10_000

Path: TypeAlias = tuple[str | int, ...]
Mark: TypeAlias = Any
"""libyaml's: `line` and `column` from 0."""

Position: TypeAlias = tuple[int, int]
"""Line and column, from 1."""

_NULL: Final = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE: Final = frozenset({"true", "True", "TRUE"})
_FALSE: Final = frozenset({"false", "False", "FALSE"})
_INT = re.compile(r"[-+]?[0-9]+")
_RADIX = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


@dataclass(slots=True)
class RawDocument:
    """A document as JSON, and where its parts stand: of a value its own place, of a key where the key is."""

    file: str
    value: Any
    line: int
    values: dict[Path, Position] = field(default_factory=dict)
    keys: dict[Path, Position] = field(default_factory=dict)

    def position(self, path: Path) -> Position:
        """Of the value at `path`, or of the nearest part that is there."""
        while path and path not in self.values:
            path = path[:-1]
        return self.values.get(path, (self.line, 1))

    def key_position(self, path: Path) -> Position:
        """Of the key at the end of `path`."""
        return self.keys.get(path) or self.position(path)


class _RefusedError(Exception):
    """Reading this file ends here."""

    def __init__(self, message: str, mark: Mark = None) -> None:
        super().__init__(message)
        self.line = mark.line + 1 if mark else 0
        self.column = mark.column + 1 if mark else 0


@dataclass(slots=True)
class _Frame:
    """A list or mapping that is being read."""

    container: list[Any] | dict[str, Any]
    path: Path
    anchor: str | None
    key: str | None = None
    size: int = 1


def load_documents(file: str, data: bytes) -> tuple[list[RawDocument], list[Diagnostic]]:
    """The documents of a file; what comes before an error in the syntax is kept. Empty documents are left out."""
    if len(data) > MAX_BYTES:
        return [], [
            Diagnostic(file, 0, 0, f"the file has {len(data)} bytes, {MAX_BYTES} are allowed: split it")
        ]
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        column = error.start - (data.rfind(b"\n", 0, error.start) + 1) + 1
        return [], [Diagnostic(file, line, column, f"byte {data[error.start]:#04x} is not UTF-8")]
    reader = _Reader(file)
    try:
        reader.read(text)
    except _RefusedError as error:
        return reader.documents, [Diagnostic(file, error.line, error.column, str(error))]
    except yaml.YAMLError as error:
        return reader.documents, [_syntax_error(file, text, error)]
    return reader.documents, []


class _Reader:
    def __init__(self, file: str) -> None:
        self._file = file
        self.documents: list[RawDocument] = []
        self._stack: list[_Frame] = []
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._nodes = 0
        self._aliases = 0
        self._document: RawDocument | None = None

    def read(self, text: str) -> None:
        handlers: dict[type[yaml.Event], Callable[[Any], None]] = {
            yaml.ScalarEvent: self._scalar,
            yaml.MappingStartEvent: self._open,
            yaml.SequenceStartEvent: self._open,
            yaml.MappingEndEvent: self._close,
            yaml.SequenceEndEvent: self._close,
            yaml.AliasEvent: self._alias,
            yaml.DocumentStartEvent: self._begin,
            yaml.DocumentEndEvent: self._end,
        }
        parser = yaml.CSafeLoader(text)
        while (event := parser.get_event()) is not None:
            handle = handlers.get(type(event))
            if handle is not None:
                handle(event)

    def _begin(self, event: yaml.DocumentStartEvent) -> None:
        if len(self.documents) >= MAX_DOCUMENTS:
            raise _RefusedError(f"more than {MAX_DOCUMENTS} documents in a file", event.start_mark)
        mark: Mark = event.start_mark
        self._document = RawDocument(self._file, None, mark.line + 1)
        self._anchors.clear()
        self._stack.clear()

    def _end(self, _: yaml.DocumentEndEvent) -> None:
        if self._document is not None and self._document.value is not None:
            self.documents.append(self._document)

    def _open(self, event: yaml.MappingStartEvent | yaml.SequenceStartEvent) -> None:
        _refuse_tag(event)
        if len(self._stack) >= MAX_DEPTH:
            raise _RefusedError(f"nested deeper than {MAX_DEPTH}", event.start_mark)
        is_mapping = isinstance(event, yaml.MappingStartEvent)
        if self._waits_for_key():
            raise _RefusedError("a key has to be a text", event.start_mark)
        container: list[Any] | dict[str, Any] = {} if is_mapping else []
        path = self._place(container, event.start_mark)
        self._stack.append(_Frame(container, path, event.anchor))

    def _close(self, _: yaml.Event) -> None:
        frame = self._stack.pop()
        if frame.anchor:
            self._anchors[frame.anchor] = (frame.container, frame.size)
        if self._stack:
            self._stack[-1].size += frame.size

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        if self._waits_for_key():
            self._key(event)
            return
        _refuse_tag(event)
        text = event.value
        value = plain_value(text) if event.implicit[0] and event.style in (None, "") else text
        self._place(value, event.start_mark)
        if event.anchor:
            self._anchors[event.anchor] = (value, 1)

    def _key(self, event: yaml.ScalarEvent) -> None:
        _refuse_tag(event)
        frame, name = self._stack[-1], event.value
        mark: Mark = event.start_mark
        plain = event.style in (None, "")
        if plain and name == "<<":
            raise _RefusedError("merge keys ('<<') are not YAML 1.2: write the fields out", mark)
        if plain and not isinstance(plain_value(name), str):
            raise _RefusedError(f"key {name} has to be a text: put it in quotes", mark)
        path = (*frame.path, name)
        if self._document is None:
            return
        if name in frame.container:
            line, column = self._document.keys[path]
            raise _RefusedError(f"duplicate key '{name}': it stands at {line}:{column} already", mark)
        frame.key = name
        self._document.keys[path] = (mark.line + 1, mark.column + 1)

    def _alias(self, event: yaml.AliasEvent) -> None:
        if self._waits_for_key():
            raise _RefusedError("a key can't be an alias", event.start_mark)
        known = self._anchors.get(event.anchor or "")
        if known is None:
            raise _RefusedError(f"alias '*{event.anchor}' has no anchor before it", event.start_mark)
        value, size = known
        self._aliases += 1
        if self._aliases > MAX_ALIASES:
            raise _RefusedError(f"more than {MAX_ALIASES} aliases", event.start_mark)
        self._place(value, event.start_mark, size)
        if self._stack:
            self._stack[-1].size += size

    def _waits_for_key(self) -> bool:
        return (
            bool(self._stack) and isinstance(self._stack[-1].container, dict) and self._stack[-1].key is None
        )

    def _place(self, value: object, mark: Mark, size: int = 1) -> Path:
        """Put it where it belongs; its path."""
        self._nodes += size
        if self._nodes > MAX_NODES:
            raise _RefusedError(f"more than {MAX_NODES} values, with aliases written out", mark)
        document = self._document
        path: Path = ()
        if document is None:
            return path
        if not self._stack:
            document.value = value
        else:
            frame = self._stack[-1]
            if isinstance(frame.container, list):
                path = (*frame.path, len(frame.container))
                frame.container.append(value)
            elif frame.key is not None:
                path = (*frame.path, frame.key)
                frame.container[frame.key] = value
                frame.key = None
            frame.size += 1
        document.values[path] = (mark.line + 1, mark.column + 1)
        return path


def plain_value(text: str) -> Any:
    """What an unquoted scalar is by the core schema of YAML 1.2 (10.3.2); long numbers stay texts."""
    if text in _NULL:
        return None
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    if not (text[0].isdigit() or text[0] in "+-."):
        return text
    # 08 is a number for YAML 1.2 and a text for the people who write it: what is lost by reading is kept.
    if _INT.fullmatch(text) and len(text) <= 18:
        return text if len(text.lstrip("+-")) > 1 and text.lstrip("+-")[0] == "0" else int(text)
    if _RADIX.fullmatch(text) and len(text) <= 18:
        return int(text[2:], 8 if text[1] == "o" else 16)
    if _FLOAT.fullmatch(text) and len(text) <= 40 and not _INT.fullmatch(text):
        number = float(text)
        return number if abs(number) != float("inf") else text
    return text


def _refuse_tag(event: yaml.NodeEvent) -> None:
    tag = getattr(event, "tag", None)
    if tag:
        raise _RefusedError(f"tag {tag!r} is not allowed: values are plain", event.start_mark)


def _syntax_error(file: str, text: str, error: yaml.YAMLError) -> Diagnostic:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if mark is not None:
        said = [getattr(error, "problem", None), getattr(error, "context", None)]
        message = " ".join(str(part) for part in said if part)
        return Diagnostic(file, mark.line + 1, mark.column + 1, message or "not YAML")
    bad = next((i for i, c in enumerate(text) if not (c.isprintable() or c in "\n\r\t\x85\ufeff")), None)
    if bad is not None:
        line, column = text.count("\n", 0, bad) + 1, bad - text.rfind("\n", 0, bad)
        return Diagnostic(file, line, column, f"character U+{ord(text[bad]):04X} is not allowed in YAML")
    return Diagnostic(file, 0, 0, " ".join(str(error).split()) or "not YAML")
