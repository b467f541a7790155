"""Rules of the catalog, parsed once: conditions compiled, durations read, what names an incident's key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any, Final

import orjson

from olympus.athena.correlate import Correlator, Entry, correlator_of, key_of
from olympus.kernel.errors import Invalid
from olympus.kernel.events import Event
from olympus.spec.catalog import Catalog, digest_of
from olympus.spec.duration import parse_duration
from olympus.spec.expression import (
    Clause,
    Condition,
    ExpressionError,
    Value,
    compile_condition,
    compile_value,
)
from olympus.spec.kinds.base import Spec
from olympus.spec.kinds.rule import Ask, Otherwise, Remedy, RuleSpec
from olympus.spec.template import render
from olympus.spec.typed import blanks, dotted, filled

_SECOND: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Limits:
    """max_nodes: a number, or a percentage of the cluster's."""

    cooldown: timedelta | None = None
    per_hour: int | None = None
    max_nodes: int | str | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, of whom: `of` is the key in the spec (argos, zeus, …), `what` stands under it, filled in."""

    name: str
    of: str
    what: Mapping[str, Any]
    timeout: timedelta
    unknown: str


@dataclass(frozen=True, slots=True)
class Verification:
    """Exactly one of absent, condition and state. state: `{service|check|node: NAME, state: …}`."""

    within: timedelta
    absent: Entry | None = None
    condition: Condition | None = None
    state: Mapping[str, Any] | None = None

    @property
    def text(self) -> str:
        if self.absent is not None:
            return f"verify absent {self.absent}"
        if self.condition is not None:
            return f"verify until {self.condition.text}"
        said = " ".join(f"{name} {value}" for name, value in (self.state or {}).items())
        return f"verify until {said}"


@dataclass(frozen=True, slots=True)
class Rung:
    """A remedy with everything filled in. approve: {role, expires, message} of its run's first step."""

    pipeline: str
    params: Mapping[str, Any]
    approve: Mapping[str, Any] | None
    verify: Verification


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; exactly one of `on` and `correlator`. `digest` is of its spec."""

    name: str
    raw: Mapping[str, Any]
    digest: str
    revision: str
    on: Entry | None
    correlator: Correlator | None
    when: Condition | None
    asks: tuple[str, ...]
    by: Value | None
    limits: Limits
    pipelines: tuple[str, ...]
    by_success: bool

    @property
    def otherwise(self) -> str | None:
        """The pipeline that follows when no remedy helped."""
        found = self.raw.get("otherwise")
        return None if found is None else str(found["pipeline"])

    def key(self, event: Event, joined: str | None) -> str | Clause:
        """Of the incident that the event belongs to: `limits.by`, else `correlate.by` (`joined`), else the node.

        A clause where `by` leads nowhere: then the event takes no part.
        """
        if self.by is None:
            return joined if joined is not None else event.node or ""
        try:
            return key_of((self.by.evaluate(roots_of(event)),))
        except ExpressionError as error:
            return Clause(f"limits.by {self.by.text}", "missing", str(error))

    def question(self, name: str, event: Mapping[str, Any]) -> Question:
        """Filled in. Raises Invalid."""
        where = f"rule '{self.name}': ask.{name}"
        raw = self._filled(Ask, self.raw["ask"][name], {"event": event}, where)
        of = next(one for one in Ask.ONE_OF if raw.get(one) is not None)
        return Question(
            name, of, raw[of], parse_duration(raw.get("timeout", "5s")), str(raw.get("unknown", "stop"))
        )

    def rung(self, index: int, roots: Mapping[str, Any]) -> Rung:
        """Filled in. Raises Invalid."""
        where = f"rule '{self.name}': solve[{index}]"
        raw = self._filled(Remedy, self.raw["solve"][index], roots, where)
        return Rung(
            str(raw["pipeline"]), raw.get("params") or {}, raw.get("approve"), _verification(raw["verify"])
        )

    def last_resort(self, roots: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """Pipeline and params of `otherwise`. Raises Invalid."""
        raw = self._filled(Otherwise, self.raw["otherwise"], roots, f"rule '{self.name}': otherwise")
        return str(raw["pipeline"]), dict(raw.get("params") or {})

    @staticmethod
    def _filled(model: type[Spec], raw: Any, roots: Mapping[str, Any], where: str) -> Any:
        settled = filled(raw, blanks(model, raw), roots, lambda path: f"{where}.{dotted(path)}")
        try:
            return render(settled, roots)
        except ExpressionError as error:
            raise Invalid(f"{where}: {error}") from error


def roots_of(event: Event) -> dict[str, Any]:
    """What a `where` sees: the candidate's attributes at the top, and the whole as `event`."""
    raw = event.to_json()
    return {**raw, "event": raw}


def _verification(raw: Mapping[str, Any]) -> Verification:
    within = parse_duration(raw["within"])
    absent, until = raw.get("absent"), raw.get("until")
    if absent is not None:
        return Verification(within, absent=_entry(absent))
    if isinstance(until, str):
        return Verification(within, condition=compile_condition(until))
    return Verification(within, state=until)


def _entry(raw: Mapping[str, Any]) -> Entry:
    where = raw.get("where")
    return Entry(str(raw["event"]), compile_condition(where) if where is not None else None)


def rule_of(name: str, raw: Mapping[str, Any], revision: str = "") -> Rule:
    """Of a spec that is valid, as JSON. The same spec gives the same object."""
    return _compiled(name, orjson.dumps(raw, option=orjson.OPT_SORT_KEYS), revision)


@lru_cache(maxsize=4096)
def _compiled(name: str, text: bytes, revision: str) -> Rule:
    raw = orjson.loads(text)
    spec = RuleSpec.model_validate(raw)
    limits = spec.limits
    return Rule(
        name=name,
        raw=raw,
        digest=digest_of(raw)[:16],
        revision=revision,
        on=_entry(raw["on"]) if spec.on is not None else None,
        correlator=correlator_of(spec.correlate) if spec.correlate is not None else None,
        when=compile_condition(spec.when) if spec.when is not None else None,
        asks=tuple(spec.ask),
        by=compile_value(limits.by) if limits is not None and limits.by is not None else None,
        limits=Limits()
        if limits is None
        else Limits(
            parse_duration(limits.cooldown) if limits.cooldown is not None else None,
            limits.per_hour,
            limits.max_nodes,
        ),
        pipelines=tuple(one.pipeline for one in spec.solve),
        by_success=spec.order == "success",
    )


def rules_of(catalog: Catalog) -> dict[str, Rule]:
    """By name."""
    return {one.name: rule_of(one.name, one.spec.to_json(), catalog.revision) for one in catalog.all("Rule")}
