"""What the start of a run settles for all of it: its nodes, its time, its group; and what its steps can't do without.

Expressions of a pipeline's own fields are filled in here, once. Those of steps are filled in when their step
begins; where they need no other step, they are tried here, so that a run that can't end well never begins.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

import orjson

from olympus.hephaestus.recipe import OnBusy
from olympus.kernel.errors import Invalid
from olympus.spec.expression import ExpressionError
from olympus.spec.kinds.pipeline import Concurrency, PipelineSpec
from olympus.spec.loader import Path
from olympus.spec.template import as_text, render
from olympus.spec.typed import Blank, blanks, dotted, filled

_KNOWN: Final = frozenset({"params", "event", "cause"})
"""Roots that are the same for every step of a run."""


def settled_spec(pipeline: str, spec: Mapping[str, Any], roots: Mapping[str, Any]) -> dict[str, Any]:
    """The spec as the run follows it. Raises Invalid, which names the step and the field."""
    try_out(pipeline, spec, {name: roots[name] for name in _KNOWN})
    whole = [one for one in _blanks(orjson.dumps(spec)) if _of_the_run(one.path)]
    settled: dict[str, Any] = filled(dict(spec), whole, roots, _namer(pipeline, spec))
    return settled


def try_out(pipeline: str, spec: Mapping[str, Any], roots: Mapping[str, Any]) -> None:
    """Raises Invalid where what steps that are sure to run make of these roots alone does not fit."""
    for_sure = [
        one
        for one in _blanks(orjson.dumps(spec))
        if one.roots <= roots.keys() and (_of_the_run(one.path) or _is_sure(spec["steps"][one.path[1]]))
    ]
    filled(spec, for_sure, roots, _namer(pipeline, spec))


def settled_group(
    pipeline: str, concurrency: Mapping[str, Any], roots: Mapping[str, Any]
) -> tuple[str, OnBusy]:
    """The name of the run's group, and what it does where that is busy. Raises Invalid."""

    def name(path: Path) -> str:
        return f"pipeline '{pipeline}': concurrency.{dotted(path)}"

    settled = filled(concurrency, blanks(Concurrency, concurrency), roots, name)
    try:
        group = as_text(render(settled["group"], roots))
    except ExpressionError as error:
        raise Invalid(f"{name(('group',))}: {error}") from error
    return group, settled.get("onBusy") or "queue"


@lru_cache(maxsize=1024)
def _blanks(spec: bytes) -> tuple[Blank, ...]:
    return blanks(PipelineSpec, orjson.loads(spec)) if b"${{" in spec else ()


def _of_the_run(path: Path) -> bool:
    return path[0] != "steps" or path[2] == "delegate"


def _is_sure(step: Mapping[str, Any]) -> bool:
    return "when" not in step and step.get("on") != "failure"


def _namer(pipeline: str, spec: Mapping[str, Any]) -> Callable[[Path], str]:
    def name(path: Path) -> str:
        if path[0] != "steps":
            return f"pipeline '{pipeline}': {dotted(path)}"
        return f"pipeline '{pipeline}': step '{spec['steps'][path[1]]['name']}': {dotted(path[2:])}"

    return name
