"""A rule's `correlate`, compiled: which events take part in which window, and in words how a window stands.

`windows` decides when it is enough.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson

from olympus.athena.scan import Mark, Shape
from olympus.athena.windows import Complete, LeaveOut, Made, micros, needed, progress
from olympus.kernel.clock import rfc3339
from olympus.kernel.events import Event
from olympus.spec.catalog import digest_of
from olympus.spec.duration import format_duration, parse_duration
from olympus.spec.expression import (
    Clause,
    Condition,
    ExpressionError,
    Value,
    compile_condition,
    compile_value,
)
from olympus.spec.kinds.rule import Correlate, EventMatch

MAX_BODY: Final = 8 * 1024
"""Bytes of an event that is kept whole; of a larger one only id, type, time and node are."""

_LONG: Final = 64


@dataclass(frozen=True, slots=True)
class Entry:
    """One of the events that are looked for. type: as in the spec, with a `*` at its end for all that begin so."""

    type: str
    where: Condition | None

    def fits(self, type_: str) -> bool:
        if self.type.endswith("*"):
            return type_.startswith(self.type[:-1])
        return type_ == self.type

    def matches(self, event: Event, roots: Mapping[str, Any]) -> bool:
        return self.fits(event.type) and (self.where is None or self.where.holds(roots))

    def __str__(self) -> str:
        return self.type if self.where is None else f"{self.type} where {self.where.text}"


@dataclass(frozen=True, slots=True)
class Part:
    """An event takes part in the window of this key. values: what `by` yields, in its order."""

    key: str
    values: tuple[Any, ...]
    mark: Mark


@dataclass(frozen=True, slots=True)
class NoPart:
    """It does not, and why: each clause that was looked at."""

    clauses: tuple[Clause, ...]

    @property
    def missing(self) -> bool:
        return any(clause.value == "missing" for clause in self.clauses)


@dataclass(frozen=True, slots=True)
class Correlator:
    """Made by `correlator_of`."""

    shape: Shape
    by: tuple[Value, ...]
    entries: tuple[Entry, ...]
    field: Value | None
    text: str

    @property
    def types(self) -> frozenset[str]:
        """Of the events that may take part, as in the spec."""
        return frozenset(entry.type for entry in self.entries)

    def part(self, event: Event) -> Part | None:
        """None where it takes none: `admit` says why not."""
        raw = event.to_json()
        roots = {**raw, "event": raw}
        matched = [str(index) for index, entry in enumerate(self.entries) if entry.matches(event, roots)]
        if not matched:
            return None
        try:
            values = tuple(path.evaluate(roots) for path in self.by)
            counted = [_short(self.field.evaluate(roots))] if self.field is not None else []
        except ExpressionError:
            return None
        if self.shape.form in ("all", "sequence"):
            counted = matched
        return Part(key_of(values), values, _mark(event, raw, tuple(counted)))

    def admit(self, event: Event) -> Part | NoPart:
        """As `part`, with every reason why not."""
        found = self.part(event)
        return found if found is not None else NoPart(self._clauses(event))

    def _clauses(self, event: Event) -> tuple[Clause, ...]:
        raw = event.to_json()
        roots = {**raw, "event": raw}
        fitting = [entry for entry in self.entries if entry.fits(event.type)]
        if not fitting:
            return (Clause(f"event {' or '.join(sorted(self.types))}", "false", f"it is {event.type}"),)
        clauses: list[Clause] = []
        for entry in fitting:
            verdict = entry.where.evaluate(roots) if entry.where is not None else None
            if verdict is None or verdict.value:
                clauses.clear()
                break
            clauses += verdict.clauses
        if not clauses:
            clauses += [_there("by", path, roots) for path in self.by]
            clauses += [_there("field", self.field, roots)] if self.field is not None else []
        return tuple(clauses)


def correlator_of(spec: Correlate) -> Correlator:
    """Of a spec that is valid."""
    form, matches, need = _wanted(spec)
    within, slack = parse_duration(spec.within), parse_duration(spec.slack)
    by = [spec.by] if isinstance(spec.by, str) else spec.by or []
    shape = Shape(
        form,
        within // _MICROSECOND,
        slack // _MICROSECOND,
        need,
        keyed=bool(by),
        digest=digest_of(spec.to_json())[:16],
    )
    entries = tuple(
        Entry(one.event, compile_condition(one.where) if one.where is not None else None) for one in matches
    )
    field = compile_value(spec.distinct.field) if spec.distinct is not None else None
    joined = f" by {', '.join(by)}" if by else ""
    text = f"{_words(spec, entries)} within {spec.within}{joined}"
    return Correlator(shape, tuple(map(compile_value, by)), entries, field, text)


_MICROSECOND: Final = timedelta(microseconds=1)


def _wanted(spec: Correlate) -> tuple[Any, list[EventMatch], int]:
    if spec.all is not None:
        return "all", spec.all, len(spec.all)
    if spec.sequence is not None:
        return "sequence", spec.sequence, len(spec.sequence)
    if spec.any is not None:
        return "any", spec.any, 1
    if spec.count is not None:
        return "count", [spec.count.of], spec.count.at_least
    if spec.distinct is not None:
        return "distinct", [spec.distinct.of], spec.distinct.at_least
    if spec.rate is not None:
        return "rate", [spec.rate.of], needed(spec.rate.per_second, parse_duration(spec.within))
    if spec.absent is None:
        raise ValueError("correlate has no form")
    return "absent", [spec.absent], 1


def _words(spec: Correlate, entries: tuple[Entry, ...]) -> str:
    listed = ", ".join(map(str, entries))
    if spec.count is not None:
        return f"count of {listed} >= {spec.count.at_least}"
    if spec.distinct is not None:
        return f"distinct {spec.distinct.field} of {listed} >= {spec.distinct.at_least}"
    if spec.rate is not None:
        return f"rate of {listed} >= {spec.rate.per_second:g} per second"
    if spec.absent is not None:
        return f"absent {listed}"
    if spec.any is not None:
        return f"any of {listed}"
    return f"{'all of' if spec.all is not None else 'sequence'} {listed}"


def key_of(values: tuple[Any, ...]) -> str:
    """One text for what `by` yields: a lone text is itself, anything else is JSON; long ones are cut to a digest."""
    if len(values) == 1 and isinstance(values[0], str):
        return _short_text(values[0])
    return _short(list(values)) if values else ""


def _short(value: Any) -> str:
    # JSON, so that 5 and "5" stay two things.
    return _short_text(orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode())


def _short_text(text: str) -> str:
    if len(text) <= _LONG:
        return text
    return (
        f"{text[: _LONG // 2]}…{hashlib.blake2b(text.encode(errors='replace'), digest_size=12).hexdigest()}"
    )


def _mark(event: Event, raw: Mapping[str, Any], values: tuple[str, ...]) -> Mark:
    body: Mapping[str, Any] = raw
    if len(orjson.dumps(raw)) > MAX_BODY:
        body = {name: raw[name] for name in raw if name not in ("data", "subject")} | {"data": {}}
    return Mark(micros(event.time), _short_text(event.id), values, body)


def _there(what: str, path: Value, roots: Mapping[str, Any]) -> Clause:
    try:
        value = path.evaluate(roots)
    except ExpressionError as error:
        return Clause(f"{what} {path.text}", "missing", str(error))
    return Clause(f"{what} {path.text}", "true", f"it is {_short(value)}")


def standing(correlator: Correlator, part: Part, made: Made) -> tuple[Clause, ...]:
    """What a decision about an event that takes part comes to, as one clause."""
    text, shape = correlator.text, correlator.shape
    of = f" for {part.key}" if shape.keyed else ""
    told = (
        f"; {made.state.dropped} were forgotten, since they were too many"
        if made.state and made.state.dropped
        else ""
    )
    for effect in made.effects:
        if isinstance(effect, LeaveOut):
            return (Clause(text, "false", effect.because),)
        if isinstance(effect, Complete):
            return (Clause(text, "true", f"{_counted(correlator, effect.marks)}{of}"),)
    if made.state is None:
        return (Clause(text, "false", f"nothing has come{of}"),)
    if shape.form == "absent":
        until = made.state.newest + shape.within + shape.slack
        return (Clause(text, "false", f"it came{of}; it is missed if it does not again by {_at(until)}"),)
    marks = progress(made.state, shape, max(made.state.newest, part.mark.at))
    return (Clause(text, "false", f"{_counted(correlator, marks)}{of}{_lacking(correlator, marks)}{told}"),)


def _counted(correlator: Correlator, marks: Sequence[Mark]) -> str:
    shape = correlator.shape
    within = format_duration(timedelta(microseconds=shape.within))
    match shape.form:
        case "absent":
            return f"nothing came within {within}"
        case "any":
            return "it came"
        case "sequence":
            return f"{len(marks)} of {shape.need} came in order within {within}"
        case "all" | "distinct":
            found = len({value for mark in marks for value in mark.values})
            return f"{found} of {shape.need} came within {within}"
    return f"{len(marks)} of {shape.need} came within {within}"


def _lacking(correlator: Correlator, marks: Sequence[Mark]) -> str:
    if correlator.shape.form == "sequence":
        return f"; next is {correlator.entries[len(marks)]}"
    if correlator.shape.form != "all":
        return ""
    there = {value for mark in marks for value in mark.values}
    lacking = [str(entry) for index, entry in enumerate(correlator.entries) if str(index) not in there]
    return f"; {' and '.join(lacking)} did not"


def _at(moment: int) -> str:
    return rfc3339(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=moment))
