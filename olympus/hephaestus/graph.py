"""Which step may begin where: pure questions about the entries of a run.

A step follows what it needs. `broken` is what `on: failure` asks: whether something that the step needs,
however far up, did not go well on this node. A step that was skipped by its `when` breaks nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from olympus.hephaestus.recipe import Nodes, Recipe, Step
from olympus.records.run import StepRun

Entries: TypeAlias = Mapping[tuple[str, str], StepRun]

BAD = frozenset({"failed", "cancelled", "unknown"})


def batch_size(nodes: Nodes | None, count: int) -> int:
    """How many of `count` nodes at a time: the smaller of `batch` and `max`, at least one."""
    sizes = [_share(size, count) for size in ((nodes.batch, nodes.max) if nodes else ()) if size is not None]
    return max(1, min([*sizes, count]))


def _share(size: int | str, count: int) -> int:
    return int(count * float(size.rstrip("%")) / 100) if isinstance(size, str) else size


def batches(targets: Sequence[str], size: int) -> list[Sequence[str]]:
    return [targets[i : i + size] for i in range(0, len(targets), max(1, size))]


def spoilt(entries: Entries, target: str) -> bool:
    """Whether anything went wrong on this node."""
    return any(one.target == target and one.state in BAD for one in entries.values())


def broken(recipe: Recipe, entries: Entries, step: Step, target: str) -> str | None:
    """The first step that `step` needs, directly or not, that did not go well on `target`."""
    seen: set[str] = set()
    left = list(step.needs)
    while left:
        name = left.pop(0)
        if name in seen:
            continue
        seen.add(name)
        entry = entries.get((name, target))
        if entry is not None and entry.state in BAD:
            return name
        above = recipe.step(name)
        if above is not None:
            left.extend(above.needs)
    return None


def startable(recipe: Recipe, entries: Entries, targets: Sequence[str], size: int) -> list[StepRun]:
    """The entries that wait for nothing any more but for being decided on: to begin, or to be skipped."""
    waiting = [
        one for one in entries.values() if one.state == "pending" and not one.order and not one.wake_at
    ]
    if not waiting:
        return []
    if recipe.nodes is not None and recipe.nodes.order == "step":
        return _by_step(recipe, entries, batches(targets, size), waiting)
    return _by_node(recipe, entries, batches(targets, size), waiting)


def _by_node(
    recipe: Recipe, entries: Entries, groups: list[Sequence[str]], waiting: list[StepRun]
) -> list[StepRun]:
    open_targets = {one.target for one in entries.values() if not one.ended}
    current = next((set(group) for group in groups if not open_targets.isdisjoint(group)), set())
    out = []
    for one in waiting:
        step = recipe.step(one.name)
        if step and one.target in current and all(_ended(entries, need, one.target) for need in step.needs):
            out.append(one)
    return out


def _by_step(
    recipe: Recipe, entries: Entries, groups: list[Sequence[str]], waiting: list[StepRun]
) -> list[StepRun]:
    everywhere = [target for group in groups for target in group]
    group_of = {target: i for i, group in enumerate(groups) for target in group}
    out: list[StepRun] = []
    for name in dict.fromkeys(one.name for one in waiting):
        step = recipe.step(name)
        if step is None or not all(_ended(entries, n, t) for n in step.needs for t in everywhere):
            continue
        current = min(group_of[t] for t in everywhere if not _ended(entries, name, t))
        out.extend(one for one in waiting if one.name == name and group_of[one.target] == current)
    return out


def _ended(entries: Entries, name: str, target: str) -> bool:
    entry = entries.get((name, target))
    return entry is None or entry.ended


def stop_reason(recipe: Recipe, entries: Entries, targets: Sequence[str], size: int) -> str | None:
    """Why no further node may begin: too many failed, or every one of a batch did."""
    bad = [target for target in targets if spoilt(entries, target)]
    if not bad:
        return None
    limit = recipe.nodes.stop_after_failures if recipe.nodes else None
    if limit is not None:
        return f"stopped: {_nodes(len(bad))} failed ({', '.join(bad[:5])})" if len(bad) >= limit else None
    if recipe.nodes is None or recipe.nodes.order == "step":
        return None
    groups = batches(targets, size)
    open_targets = {one.target for one in entries.values() if not one.ended}
    for group in groups:
        if open_targets.isdisjoint(group) and all(target in bad for target in group):
            return f"stopped: every node of a batch failed ({', '.join(group[:5])})"
    return None


def _nodes(count: int) -> str:
    return "1 node" if count == 1 else f"{count} nodes"
