"""YAML into plain JSON values, with the place of each key and value. Safe on hostile input.

Only PyYAML's parser is used (its events come from libyaml, without recursion): its composer segfaults on deep
nesting and its constructor runs tags. What is composed here follows YAML 1.2's core schema, so that `on`, `no`,
dates and `08` stay texts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from sys import intern
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

_WORDS: Final[dict[str, bool | None]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INT = re.compile(r"[-+]?[0-9]+")
_RADIX = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


class RawDocument:
    """A document as JSON, and where its parts stand: of a value its own place, of a key where the key is.

    Few documents are asked for the places of their parts: those of a file are looked for when one is.
    """

    __slots__ = ("_index", "_places", "file", "line", "start", "value")

    def __init__(self, file: str, value: Any, start: Position, index: int, places: _Places) -> None:
        self.file = file
        self.value = value
        self.start = start
        self.line = start[0]
        self._index = index
        self._places = places

    def position(self, path: Path) -> Position:
        """Of the value at `path`, or of the nearest part that is there."""
        if not path:
            return self.start
        values = self._places.of(self._index).values
        while path and path not in values:
            path = path[:-1]
        return values.get(path, self.start)

    def key_position(self, path: Path) -> Position:
        """Of the key at the end of `path`."""
        return self._places.of(self._index).keys.get(path) or self.position(path)


@dataclass(slots=True)
class _Map:
    """Where the parts of one document stand."""

    values: dict[Path, Position] = field(default_factory=dict)
    keys: dict[Path, Position] = field(default_factory=dict)


class _Places:
    """Where the parts of a file's documents stand: found out when somebody asks, for all of them at once."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._maps: list[_Map] | None = None
        self.documents = 0
        """How many can be read."""

    def of(self, index: int) -> _Map:
        if self._maps is None:
            self._maps = [_Map() for _ in range(self.documents)]
            for document, path, is_key, place in self.each():
                if document >= self.documents:
                    break
                found = self._maps[document]
                (found.keys if is_key else found.values)[path] = place
        return self._maps[index]

    def each(self) -> Iterator[tuple[int, Path, bool, Position]]:
        """(index of the document, path, whether it is a key, place), in the order of the file.

        Of what the reader has taken only: this looks neither for limits nor for errors.
        """
        document = -1
        stack: list[tuple[Path, int | str | None, bool]] = []
        path: Path = ()
        # In a mapping the key whose value comes next, in a list the index that comes next.
        upcoming: int | str | None = None
        in_mapping = False
        parser = yaml.CSafeLoader(self._data)
        while (event := parser.get_event()) is not None:
            kind = type(event)
            if kind is yaml.DocumentStartEvent:
                document += 1
                stack, path, upcoming, in_mapping = [], (), None, False
            elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
                path, upcoming, in_mapping = stack.pop()
            elif isinstance(event, yaml.NodeEvent):
                mark: Mark = event.start_mark
                place = (mark.line + 1, mark.column + 1)
                if in_mapping and upcoming is None and isinstance(event, yaml.ScalarEvent):
                    upcoming = event.value
                    yield document, (*path, upcoming), True, place
                    continue
                here = path if upcoming is None else (*path, upcoming)
                yield document, here, False, place
                upcoming = upcoming + 1 if isinstance(upcoming, int) else None
                if isinstance(event, yaml.CollectionStartEvent):
                    stack.append((path, upcoming, in_mapping))
                    in_mapping = isinstance(event, yaml.MappingStartEvent)
                    path, upcoming = here, None if in_mapping else 0


class _RefusedError(Exception):
    """Reading this file ends here."""

    def __init__(self, message: str, mark: Mark = None) -> None:
        super().__init__(message)
        self.line = mark.line + 1 if mark else 0
        self.column = mark.column + 1 if mark else 0


def load_documents(file: str, data: bytes) -> tuple[list[RawDocument], list[Diagnostic]]:
    """The documents of a file; what comes before an error in the syntax is kept. Empty documents are left out."""
    if len(data) > MAX_BYTES:
        return [], [
            Diagnostic(file, 0, 0, f"the file has {len(data)} bytes, {MAX_BYTES} are allowed: split it")
        ]
    data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        column = len(data[data.rfind(b"\n", 0, error.start) + 1 : error.start].decode()) + 1
        return [], [Diagnostic(file, line, column, f"byte {data[error.start]:#04x} is not UTF-8")]
    reader = _Reader(file, data)
    try:
        reader.read()
    except _RefusedError as error:
        return reader.documents, [Diagnostic(file, error.line, error.column, str(error))]
    except yaml.YAMLError as error:
        return reader.documents, [_syntax_error(file, text, error)]
    return reader.documents, []


@dataclass(slots=True)
class _Frame:
    """Around a list or mapping that is being read: what it stands in, and under which key.

    anchor: its own; nodes: how many there were before it
    """

    container: list[Any] | dict[str, Any]
    key: str | None
    anchor: str | None
    nodes: int


class _Reader:
    def __init__(self, file: str, data: bytes) -> None:
        self._file = file
        self._data = data
        self._places = _Places(data)
        self.documents: list[RawDocument] = []
        self._stack: list[_Frame] = []
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._plain_keys: set[str] = set()
        self._nodes = 0
        self._aliases = 0
        self._root: Any = None
        self._start: Position = (1, 1)
        # What is being filled, and in a mapping the key whose value comes next.
        self._container: list[Any] | dict[str, Any] | None = None
        self._key: str | None = None

    def read(self) -> None:
        handlers: dict[type[yaml.Event], Callable[[Any], None]] = {
            yaml.ScalarEvent: self._scalar,
            yaml.MappingStartEvent: self._open,
            yaml.SequenceStartEvent: self._open,
            yaml.MappingEndEvent: self._close,
            yaml.SequenceEndEvent: self._close,
            yaml.AliasEvent: self._alias,
            yaml.DocumentStartEvent: self._begin,
            yaml.DocumentEndEvent: self._end,
            yaml.StreamStartEvent: _ignore,
            yaml.StreamEndEvent: _ignore,
        }
        next_event = yaml.CSafeLoader(self._data).get_event
        while (event := next_event()) is not None:
            handlers[type(event)](event)

    def _begin(self, event: yaml.DocumentStartEvent) -> None:
        mark: Mark = event.start_mark
        if self._places.documents >= MAX_DOCUMENTS:
            raise _RefusedError(f"more than {MAX_DOCUMENTS} documents in a file", mark)
        self._root, self._container, self._key = None, None, None
        self._start = (mark.line + 1, 1)
        self._anchors.clear()
        self._stack.clear()

    def _end(self, _: yaml.DocumentEndEvent) -> None:
        index = self._places.documents
        self._places.documents += 1
        if self._root is not None:
            self.documents.append(RawDocument(self._file, self._root, self._start, index, self._places))

    def _open(self, event: yaml.MappingStartEvent | yaml.SequenceStartEvent) -> None:
        mark: Mark = event.start_mark
        if event.tag:
            raise _tagged(event)
        if len(self._stack) >= MAX_DEPTH:
            raise _RefusedError(f"nested deeper than {MAX_DEPTH}", mark)
        if self._key is None and type(self._container) is dict:
            raise _RefusedError("a key has to be a text: what begins with { or [ needs quotes", mark)
        container: list[Any] | dict[str, Any] = {} if type(event) is yaml.MappingStartEvent else []
        nodes = self._nodes
        outer, key = self._container, self._key
        self._place(container, event)
        self._stack.append(_Frame(outer if outer is not None else [], key, event.anchor, nodes))
        self._container, self._key = container, None

    def _close(self, _: yaml.Event) -> None:
        frame = self._stack.pop()
        if frame.anchor:
            self._anchors[frame.anchor] = (self._container, self._nodes - frame.nodes)
        self._container, self._key = frame.container, None

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        if event.tag:
            raise _tagged(event)
        text = event.value
        if self._key is None and type(self._container) is dict:
            if text in self._container:
                raise self._duplicate(text, event)
            if not event.style and text not in self._plain_keys:
                _check_key(text, event)
                # The same few keys come again and again.
                self._plain_keys.add(text)
            self._key = intern(text)
            return
        value = text if event.style else plain_value(text)
        self._place(value, event)
        if event.anchor:
            self._anchors[event.anchor] = (value, 1)

    def _duplicate(self, name: str, event: yaml.ScalarEvent) -> _RefusedError:
        path = self._path(name)
        index = self._places.documents
        line, column = next(
            place
            for at, found, is_key, place in self._places.each()
            if is_key and (at, found) == (index, path)
        )
        return _RefusedError(
            f"duplicate key '{name}': it stands at {line}:{column} already", event.start_mark
        )

    def _path(self, name: str) -> Path:
        """Of the key `name` in what is being filled."""
        keys = (one.key if one.key is not None else len(one.container) - 1 for one in self._stack[1:])
        return (*keys, name)

    def _alias(self, event: yaml.AliasEvent) -> None:
        if self._key is None and type(self._container) is dict:
            raise _RefusedError("a key can't be an alias", event.start_mark)
        known = self._anchors.get(event.anchor or "")
        if known is None:
            raise _RefusedError(f"alias '*{event.anchor}' has no anchor before it", event.start_mark)
        self._aliases += 1
        if self._aliases > MAX_ALIASES:
            raise _RefusedError(f"more than {MAX_ALIASES} aliases", event.start_mark)
        value, size = known
        self._place(value, event, size)

    def _place(self, value: object, event: yaml.NodeEvent, size: int = 1) -> None:
        """Put it where it belongs."""
        self._nodes += size
        if self._nodes > MAX_NODES:
            raise _RefusedError(f"more than {MAX_NODES} values, with aliases written out", event.start_mark)
        container = self._container
        if type(container) is list:
            container.append(value)
        elif type(container) is dict and self._key is not None:
            container[self._key] = value
            self._key = None
        else:
            mark: Mark = event.start_mark
            self._root = value
            self._start = (mark.line + 1, mark.column + 1)


def _ignore(_: yaml.Event) -> None:
    """Says nothing."""


def _check_key(name: str, event: yaml.ScalarEvent) -> None:
    """An unquoted one has to be a text."""
    if name == "<<":
        raise _RefusedError("merge keys ('<<') are not YAML 1.2: write the fields out", event.start_mark)
    if not isinstance(plain_value(name), str):
        raise _RefusedError(f"key {name} has to be a text: put it in quotes", event.start_mark)


def _tagged(event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> _RefusedError:
    return _RefusedError(f"tag {event.tag!r} is not allowed: values are plain", event.start_mark)


def plain_value(text: str) -> Any:
    """What an unquoted scalar is by the core schema of YAML 1.2 (10.3.2); long numbers stay texts."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "0123456789+-.":
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


def _syntax_error(file: str, text: str, error: yaml.YAMLError) -> Diagnostic:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if mark is not None:
        return Diagnostic(file, mark.line + 1, mark.column + 1, _problem(text, error, mark))
    bad = next((i for i, c in enumerate(text) if not (c.isprintable() or c in "\n\r\t\x85\ufeff")), None)
    if bad is not None:
        line, column = text.count("\n", 0, bad) + 1, bad - text.rfind("\n", 0, bad)
        return Diagnostic(file, line, column, f"character U+{ord(text[bad]):04X} is not allowed in YAML")
    return Diagnostic(file, 0, 0, " ".join(str(error).split()) or "not YAML")


def _problem(text: str, error: Any, mark: Mark) -> str:
    """What libyaml says, where that began, and what it mostly comes from."""
    problem = getattr(error, "problem", None) or "not YAML"
    said = f"{problem} {getattr(error, 'context', None) or ''}".strip()
    context: Mark = getattr(error, "context_mark", None)
    if context is not None and (context.line, context.column) != (mark.line, mark.column):
        said += f" that begins at {context.line + 1}:{context.column + 1}"
    lines = text.splitlines()
    line = lines[mark.line] if mark.line < len(lines) else ""
    here = line[mark.column : mark.column + 1]
    if "cannot start any token" in problem:
        known = (
            "indent with spaces, not with tabs" if here == "\t" else f"put what begins with {here} in quotes"
        )
        return f"{said}: {known}"
    if "mapping values are not allowed" in problem:
        return f"{said}: a text with ': ' in it needs quotes; or the line is indented too far"
    if "did not find expected" in problem and "{{" in line:
        return f"{said}: put ${{{{ … }}}} in quotes"
    return said
