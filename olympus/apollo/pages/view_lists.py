"""Long lists: what of them fits, the part that is shown, and how often things came. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from olympus.kernel.clock import parse_rfc3339
from olympus.spec.selector import parse_selector

Item = dict[str, Any]
PAGE: Final = 200
_MINUTES: Final = 60
_TALL: Final = 40


@dataclass(frozen=True, slots=True)
class Part:
    """total: how many fit; all: how many there are; before, after: where the neighbouring parts begin.

    wrong: why the selector could not be read
    """

    items: Sequence[Item]
    q: str
    total: int
    all: int
    before: int | None = None
    after: int | None = None
    wrong: str = ""


def part(items: Sequence[Item], q: str, start: int) -> Part:
    """Those whose name has `q` in it, or whose labels fit to the selector that `q` is; a page of them."""
    found, wrong = list(items), ""
    if q and any(sign in q for sign in "=!,() "):
        try:
            fits = parse_selector(q).matches
            found = [one for one in items if fits(one["metadata"].get("labels") or {})]
        except ValueError as error:
            found, wrong = [], str(error)
    elif q:
        found = [one for one in items if q.lower() in one["metadata"]["name"]]
    start = min(start, max(len(found) - 1, 0)) // PAGE * PAGE
    return Part(
        found[start : start + PAGE],
        q,
        len(found),
        len(items),
        start - PAGE if start else None,
        start + PAGE if start + PAGE < len(found) else None,
        wrong,
    )


def rate(moments: Iterable[str], now: datetime) -> Mapping[str, Any] | None:
    """Bars, a minute each, of the last hour: [{x, height}] in a drawing of `width` by 40; None: nothing came."""
    ages = (int((now - parse_rfc3339(one)).total_seconds() // 60) for one in moments)
    counts = Counter(age for age in ages if 0 <= age < _MINUTES)
    if not counts:
        return None
    top = max(counts.values())
    bars = [
        {"x": _MINUTES - 1 - age, "height": round(_TALL * count / top, 1)}
        for age, count in sorted(counts.items())
    ]
    return {"width": _MINUTES, "top": top, "bars": bars}
