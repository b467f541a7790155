"""Which rules an event may concern: by its type, then by one literal equality of their `where`.

So a thousand rules cost about what those cost that match. What is found has still to be evaluated: the index only
leaves out what can't hold.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from olympus.athena.correlate import Entry
from olympus.athena.rules import Rule
from olympus.kernel.events import Event
from olympus.spec.dialect import Node, comparison, junction, unwrapped
from olympus.spec.expression import Value, compile_value

Path: TypeAlias = tuple[str, ...]

_ATTRIBUTES: Final = frozenset({"id", "type", "source", "subject", "node", "cause"})


@dataclass(slots=True)
class _Bucket:
    """Rules of one type: `equal` by path and text, `rest` without one."""

    equal: dict[Path, dict[str, list[Rule]]] = field(default_factory=dict)
    rest: list[Rule] = field(default_factory=list)

    def found(self, event: Event) -> Iterator[Rule]:
        yield from self.rest
        for path, by_text in self.equal.items():
            value = _value(event, path)
            if isinstance(value, str):
                yield from by_text.get(value, ())


class Index:
    """Made anew when rules change."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        entries = [(rule, entry) for rule in rules for entry in _entries(rule)]
        usual = Counter(path for _, entry in entries for path, _ in equalities(entry))
        self._exact: dict[str, _Bucket] = {}
        self._prefixes: dict[str, _Bucket] = {}
        for rule, entry in entries:
            wild = entry.type.endswith("*")
            buckets = self._prefixes if wild else self._exact
            bucket = buckets.setdefault(entry.type.removesuffix("*"), _Bucket())
            # Of several, the one that most rules have: so that few paths are looked at for each event.
            found = max(equalities(entry), key=lambda one: usual[one[0]], default=None)
            if found is None:
                bucket.rest.append(rule)
            else:
                path, text = found
                bucket.equal.setdefault(path, {}).setdefault(text, []).append(rule)

    def candidates(self, event: Event) -> Sequence[Rule]:
        """Each once."""
        bucket = self._exact.get(event.type)
        found = list(bucket.found(event)) if bucket is not None else []
        for prefix, wild in self._prefixes.items():
            if event.type.startswith(prefix):
                found += wild.found(event)
        return found if len(found) < 2 else list({rule.name: rule for rule in found}.values())


def _entries(rule: Rule) -> Iterator[Entry]:
    if rule.on is not None:
        yield rule.on
    elif rule.correlator is not None:
        yield from rule.correlator.entries


def equalities(entry: Entry) -> list[tuple[Path, str]]:
    """Paths that have to be a text, for the entry to match."""
    return [] if entry.where is None else list(_required(entry.where.text))


def _required(text: str) -> Iterator[tuple[Path, str]]:
    text = unwrapped(text)
    parts = junction(text)
    if parts is not None:
        if parts[0]:
            for part in parts[1]:
                yield from _required(part)
        return
    sides = comparison(text)
    if sides is None or sides[1] != "==":
        return
    left, right = compile_value(sides[0]), compile_value(sides[2])
    for one, other in ((left, right), (right, left)):
        path, literal = _path(one), other.ast
        known = path[:1] == ("data",) or (path and path[0] in _ATTRIBUTES)
        if known and literal["type"] == "literal" and isinstance(literal["value"], str):
            yield path, literal["value"]


def _path(value: Value) -> Path:
    """() where it is more than names."""
    found = _names(value.ast)
    # In a `where` of `on`, event is the candidate too.
    return found[1:] if found[:1] == ("event",) else found


def _names(node: Node) -> Path:
    if node["type"] == "field":
        return (node["value"],)
    if node["type"] != "subexpression":
        return ()
    parts = [_names(child) for child in node["children"]]
    return tuple(name for part in parts for name in part) if all(parts) else ()


def _value(event: Event, path: Path) -> Any:
    value: Any = event.data if path[0] == "data" else getattr(event, path[0])
    for name in path[1:]:
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return value
