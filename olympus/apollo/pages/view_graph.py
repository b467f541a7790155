"""A drawing of what belongs to what: the thing itself in the middle, the others around it. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

_WIDTH: Final = 640
_MOST: Final = 24
_TEXT: Final = 22


def picture(nodes: Sequence[Mapping[str, Any]], edges: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """nodes: `{kind, name}`, the thing itself first; edges: `{from, to, how}`. None: there is nothing to draw.

    `{width, height, nodes: [{x, y, kind, name, text}], edges: [{x1, y1, x2, y2, x, y, how}], more}`
    """
    if len(nodes) < 2:
        return None
    shown = nodes[:_MOST]
    height = 220 if len(shown) < 6 else 360
    middle, radius = (_WIDTH / 2, height / 2), (_WIDTH / 2 - 95, height / 2 - 28)
    places: dict[tuple[Any, Any], tuple[float, float]] = {_key(shown[0]): middle}
    for number, one in enumerate(shown[1:]):
        angle = 2 * math.pi * number / (len(shown) - 1)
        places[_key(one)] = (
            middle[0] + radius[0] * math.cos(angle),
            middle[1] + radius[1] * math.sin(angle),
        )
    return {
        "width": _WIDTH,
        "height": height,
        "more": len(nodes) - len(shown),
        "nodes": [
            {
                "x": round(places[_key(one)][0]),
                "y": round(places[_key(one)][1]),
                "kind": one["kind"],
                "name": one["name"],
                "text": one["name"] if len(one["name"]) <= _TEXT else one["name"][: _TEXT - 1] + "…",
            }
            for one in shown
        ],
        "edges": [
            _line(places[_key(one["from"])], places[_key(one["to"])], one["how"])
            for one in edges
            if _key(one["from"]) in places and _key(one["to"]) in places
        ],
    }


def _line(begin: tuple[float, float], end: tuple[float, float], how: str) -> dict[str, Any]:
    return {
        **{"x1": round(begin[0]), "y1": round(begin[1]), "x2": round(end[0]), "y2": round(end[1])},
        **{"x": round((begin[0] + end[0]) / 2), "y": round((begin[1] + end[1]) / 2), "how": how},
    }


def _key(ref: Mapping[str, Any]) -> tuple[Any, Any]:
    return ref["kind"], ref["name"]
