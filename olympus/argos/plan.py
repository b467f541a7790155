"""A LogWatch as the core reads it: times in milliseconds, expressions compiled. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from olympus.spec.duration import parse_duration
from olympus.spec.expression import ExpressionError, Value, compile_value
from olympus.spec.kinds.logwatch import LogWatchSpec, Match

_LONGEST_KEY: Final = 200


@dataclass(frozen=True, slots=True)
class MatchPlan:
    """One pattern. Times are 0 where the spec has none. digest: of all that its state depends on."""

    name: str
    severity: str
    digest: str
    count: int = 1
    within: int = 0
    suppress: int = 0
    absent: int = 0
    by: tuple[Value, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class WatchPlan:
    """rate: so many events in so many milliseconds; None: as many as there are."""

    name: str
    node: str
    matches: tuple[MatchPlan, ...]
    rate: tuple[int, int] | None = None

    def key(self, index: int, line: str, source: str, groups: Mapping[str, Any]) -> str:
        """What a line is counted and kept silent by; the same text for the same values."""
        match = self.matches[index]
        if not match.by:
            return ""
        roots = {
            "node": self.node, "watch": self.name, "name": match.name, "severity": match.severity,
            "source": source, "line": line, "groups": groups,
        }  # fmt: skip
        values = [_value(path, roots) for path in match.by]
        text = json.dumps(values, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
        if len(text) <= _LONGEST_KEY:
            return text
        return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=16).hexdigest()


def watch_plan(name: str, node: str, spec: LogWatchSpec) -> WatchPlan:
    """`spec` was validated: its expressions compile."""
    rate = None if spec.rate is None else (spec.rate.count, milliseconds(spec.rate.within))
    return WatchPlan(name, node, tuple(_match_plan(one) for one in spec.match), rate)


def milliseconds(duration: str | None) -> int:
    """0 for none."""
    return round(parse_duration(duration).total_seconds() * 1000) if duration else 0


def _match_plan(match: Match) -> MatchPlan:
    threshold, absent = match.threshold, match.absent
    by: Sequence[str] = match.by or (threshold.by if threshold else ())
    state = match.to_json()
    for name in ("name", "severity"):
        state.pop(name, None)
    return MatchPlan(
        name=match.name,
        severity=match.severity,
        digest=hashlib.blake2b(json.dumps(state, sort_keys=True).encode(), digest_size=8).hexdigest(),
        count=threshold.count if threshold else 1,
        within=milliseconds(threshold.within) if threshold else 0,
        suppress=milliseconds(match.suppress),
        absent=milliseconds(absent.within) if absent else 0,
        by=tuple(compile_value(text) for text in by),
    )


def _value(path: Value, roots: Mapping[str, Any]) -> Any:
    try:
        return path.evaluate(roots)
    except ExpressionError:
        return None
