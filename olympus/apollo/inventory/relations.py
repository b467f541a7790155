"""What an asset has to do with others: those that it names, and those that name it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from olympus.spec.catalog import Catalog, Ref

_NAMED: Final = {kind.lower(): kind for kind in ("Asset", "Node", "Service", "Pipeline", "Check", "Schedule")}


@dataclass(frozen=True, slots=True)
class Edge:
    """`source` says so of itself. target: (kind, name), kind "" where nothing here has that name."""

    source: Ref
    target: Ref
    how: str

    def to_json(self) -> dict[str, Any]:
        return {"from": _shown(self.source), "to": _shown(self.target), "how": self.how}


def meant(catalog: Catalog, to: str) -> Ref:
    """What `relations.to` names: `node/web-1`, or a plain name: of an asset, else a node, else a service."""
    prefix, slash, name = to.partition("/")
    if slash and prefix in _NAMED:
        return (_NAMED[prefix], name)
    return next(((kind, to) for kind in ("Asset", "Node", "Service") if catalog.get(kind, to)), ("", to))


def edges(catalog: Catalog) -> list[Edge]:
    """All relations that assets declare."""
    return [
        Edge(asset.ref, meant(catalog, one.to), one.how)
        for asset in catalog.all("Asset")
        for one in asset.spec.relations
    ]


def around(found: Iterable[Edge], start: Ref, depth: int, sees: Callable[[Ref], bool]) -> list[Edge]:
    """The edges that can be reached from `start` over at most `depth` of them, in either direction.

    What can't be seen is not there, and leads nowhere.
    """
    seen = [edge for edge in found if sees(edge.source) and sees(edge.target)]
    touching: dict[Ref, list[Edge]] = {}
    for edge in seen:
        touching.setdefault(edge.source, []).append(edge)
        touching.setdefault(edge.target, []).append(edge)
    reached, front, kept = {start}, {start}, dict[Edge, None]()
    for _ in range(depth):
        here = [edge for ref in sorted(front) for edge in touching.get(ref, ())]
        kept |= dict.fromkeys(here)
        front = {ref for edge in here for ref in (edge.source, edge.target)} - reached
        reached |= front
    return list(kept)


def graph(catalog: Catalog, start: Ref, found: Iterable[Edge]) -> list[dict[str, Any]]:
    """The ends of those edges, `start` first: `{kind, name, type, known}`."""
    ends = [start, *(ref for edge in found for ref in (edge.source, edge.target))]
    return [_end(catalog, ref) for ref in dict.fromkeys(ends)]


def _end(catalog: Catalog, ref: Ref) -> dict[str, Any]:
    resource = catalog.get(*ref)
    type_ = resource.spec.type if resource is not None and ref[0] == "Asset" else ref[0].lower()
    return {**_shown(ref), "type": type_, "known": resource is not None}


def _shown(ref: Ref) -> dict[str, Any]:
    return {"kind": ref[0] or None, "name": ref[1]}
