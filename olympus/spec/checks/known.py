"""What is known of what expressions read: an event's data, a check's value, a rule's answers, a pattern's groups."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from olympus.kernel.diagnostics import did_you_mean
from olympus.spec.checks.problem import Subject
from olympus.spec.event_data import EVENT_DATA
from olympus.spec.expression import Leaf
from olympus.spec.kinds.check import VALUES
from olympus.spec.loader import Path
from olympus.spec.regex import group_names

Fields: TypeAlias = Mapping[str, type | None]
"""Names, and the type of what they stand for; None: any."""

_NUMBERS: Final = (int, float)
_TYPES: Final[Mapping[type, tuple[str, tuple[type, ...]]]] = {
    str: ("a text", (str,)),
    int: ("a number", _NUMBERS),
    float: ("a number", _NUMBERS),
    bool: ("true or false", (bool,)),
}


@dataclass(frozen=True, slots=True)
class Known:
    """Below `prefix` there are just these fields: `owner` says whose they are."""

    prefix: tuple[str, ...]
    fields: Fields
    owner: str

    def faults(self, paths: Iterable[tuple[str, ...]], leaves: Iterable[Leaf] = ()) -> Iterator[str]:
        """Names that are not there, and comparisons that can never hold."""
        at = len(self.prefix)
        for path in paths:
            if path[:at] == self.prefix and len(path) > at and path[at] not in self.fields:
                hint = did_you_mean(path[at], self.fields) or f": it has {', '.join(self.fields) or 'none'}"
                yield f"{self.owner} has no '{path[at]}'{hint}"
        for leaf in leaves:
            yield from self._unlike(leaf)

    def type_of(self, path: tuple[str, ...]) -> type | None:
        """Of what stands there, where it is known and can be compared."""
        found = self.fields.get(path[-1]) if path[:-1] == self.prefix else None
        return found if found in _TYPES else None

    def _unlike(self, leaf: Leaf) -> Iterator[str]:
        if leaf.operator is None:
            return
        for side, other in ((leaf.left, leaf.right), (leaf.right, leaf.left)):
            paths = side.paths()
            if other.ast["type"] != "literal" or side.ast["type"] != "subexpression" or len(paths) != 1:
                continue
            wanted = self.type_of(paths[0])
            if wanted is None:
                continue
            name, fits = _TYPES[wanted]
            literal = other.ast["value"]
            if isinstance(literal, bool) != (wanted is bool) or not isinstance(literal, fits):
                yield f"{leaf.text}: {side.text} is {name}, {other.text} is not"


def unlike_paths(known: Sequence[Known], leaves: Iterable[Leaf]) -> Iterator[str]:
    """Comparisons of two paths that can never hold."""
    for leaf in leaves:
        if leaf.operator is None or not leaf.left.ast["type"] == leaf.right.ast["type"] == "subexpression":
            continue
        left, right = (_type_in(known, side.paths()) for side in (leaf.left, leaf.right))
        if left is None or right is None or set(_TYPES[left][1]) == set(_TYPES[right][1]):
            continue
        yield (
            f"{leaf.text}: {leaf.left.text} is {_TYPES[left][0]}, "
            f"{leaf.right.text} is {_TYPES[right][0]}: they are never equal"
        )


def _type_in(known: Sequence[Known], paths: tuple[tuple[str, ...], ...]) -> type | None:
    if len(paths) != 1:
        return None
    return next((found for one in known if (found := one.type_of(paths[0])) is not None), None)


def known_at(subject: Subject, path: Path) -> Iterator[Known]:
    """What is known of what stands at `path` in a document."""
    spec = subject.spec
    match subject.kind:
        case "Check":
            probe = next((one for one in VALUES if one in spec), None)
            if probe is not None:
                yield Known(("value",), VALUES[probe], f"the value of a {probe} check")
        case "LogWatch":
            pattern = spec["match"][path[2]].get("pattern")
            if pattern is not None:
                yield Known(("groups",), dict.fromkeys(sorted(group_names(pattern))), "the pattern's groups")
        case "Rule":
            yield Known(("answers",), dict.fromkeys(spec.get("ask") or {}), "ask")
            yield from _of_rule(spec, path)
        case "Pipeline" if path[1] == "on":
            yield from _of_event(("event", "data"), spec["on"][path[2]]["event"])
    if path[-1] == "where":
        yield from _of_event(("data",), _beside(spec, path).get("event"))


def _of_rule(spec: Mapping[str, Any], path: Path) -> Iterator[Known]:
    """`event` is what triggers; `by` and `field` are read from each event that may."""
    correlate = spec.get("correlate") or {}
    last = correlate["sequence"][-1:] if correlate.get("sequence") else None
    triggers = _events_of([spec["on"]] if spec.get("on") else last or correlated(correlate))
    if "correlate" not in path and "on" not in path:
        yield from _of_any(("event", "data"), triggers)
    if path[1:3] == ("limits", "by"):
        for event in triggers:
            yield from _of_event(("data",), event)
    elif path[1] == "correlate" and (path[2] == "by" or path[-1] == "field"):
        for event in _events_of(correlated(correlate)):
            yield from _of_event(("data",), event)
    elif path[1] in ("on", "correlate") and path[-1] == "where":
        yield from _of_event(("event", "data"), _beside(spec, path).get("event"))


def correlated(correlate: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The events that a Rule's `correlate` names, in its order."""
    found: list[Mapping[str, Any]] = []
    for form in correlate.values():
        if isinstance(form, list):
            found += [one for one in form if isinstance(one, Mapping)]
        elif isinstance(form, Mapping):
            found.append(form.get("of", form))
    return found


def _events_of(matches: Iterable[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(str(one.get("event")) for one in matches))


def _of_any(prefix: tuple[str, ...], events: Iterable[str]) -> Iterator[Known]:
    """What at least one of the events has; nothing is known where one of them is not."""
    every = {event: event_fields(event) for event in events}
    if not every or not all(every.values()):
        return
    merged: dict[str, type | None] = {}
    for fields in every.values():
        for name, found in fields.items():
            merged[name] = found if merged.get(name, found) is found else None
    yield Known(prefix, merged, f"the data of {' and '.join(every)}")


def event_fields(event: object) -> Fields:
    """Of the data of one of Olympus's own types of events; of others nothing is known."""
    model = EVENT_DATA.get(event) if isinstance(event, str) else None
    fields = model.model_fields.items() if model is not None else ()
    return {field.alias or name: _plain(field.annotation) for name, field in fields}


def _plain(annotation: Any) -> type | None:
    return annotation if isinstance(annotation, type) else None


def _of_event(prefix: tuple[str, ...], event: object) -> Iterator[Known]:
    fields = event_fields(event)
    if fields:
        yield Known(prefix, fields, f"the data of {event}")


def _beside(spec: Any, path: Path) -> Mapping[str, Any]:
    """The mapping that the value at `path` stands in."""
    for part in path[1:-1]:
        spec = spec[part]
    return spec if isinstance(spec, Mapping) else {}
