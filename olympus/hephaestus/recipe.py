"""A Pipeline's spec, parsed once: durations in seconds, conditions compiled, `needs` resolved to names."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final, Literal, TypeAlias, cast

from olympus.kernel.errors import Invalid
from olympus.records.desired import BlobRef
from olympus.records.run import StoredPipeline
from olympus.spec.duration import parse_duration
from olympus.spec.expression import Condition, Verdict, compile_condition
from olympus.spec.kinds.pipeline import Step as StepSpec
from olympus.spec.typed import Blank, blanks, dotted, filled, left_out

Kind: TypeAlias = Literal["run", "script", "http", "emit", "wait", "approve", "pipeline", "service", "note"]
On: TypeAlias = Literal["success", "failure", "always"]
OnBusy: TypeAlias = Literal["queue", "skip", "replace"]

KINDS: Final[tuple[Kind, ...]] = (
    "run", "script", "http", "emit", "wait", "approve", "pipeline", "service", "note",
)  # fmt: skip
WORKER_KINDS: Final = frozenset({"run", "script", "http"})
"""What a node's worker does; the coordinator does the rest itself."""

DEFAULT_POLL: Final = 5.0
DEFAULT_WITHIN: Final = 3600.0
DEFAULT_EXPIRES: Final = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Retry:
    """`attempts` in all; the n-th is `delay × backoffⁿ⁻²` seconds after the one before."""

    attempts: int = 1
    delay: float = 1.0
    backoff: float = 1.0


@dataclass(frozen=True, slots=True)
class Nodes:
    """Where: `batch` and `max` are numbers or percentages of the nodes that match."""

    selector: str = ""
    order: Literal["node", "step"] = "node"
    batch: int | str | None = None
    max: int | str | None = None
    stop_after_failures: int | None = None
    pick_one: bool = False


@dataclass(frozen=True, slots=True)
class Unsettled:
    """What stands in a step as it was declared, while numbers, durations and choices in it are expressions."""

    raw: Mapping[str, Any]
    before: tuple[str, ...]
    blanks: tuple[Blank, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One step; `body` is what stands under its kind, still with its templates.

    unsettled: then what is typed has its defaults here, until `settled`
    """

    name: str
    kind: Kind
    body: Any
    needs: tuple[str, ...] = ()
    on: On = "success"
    when: Condition | None = None
    verify: Condition | None = None
    until: Condition | None = None
    idempotent: bool = False
    retry: Retry = Retry()
    timeout: float | None = None
    user: str | None = None
    env: Mapping[str, Any] | None = None
    secrets: Mapping[str, str] | None = None
    delegate: Nodes | None = None
    save: Mapping[str, str] | None = None
    load: Mapping[str, str] | None = None
    unsettled: Unsettled | None = None


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a run follows from its start to its end."""

    name: str
    steps: tuple[Step, ...]
    params: Mapping[str, Any] | None = None
    nodes: Nodes | None = None
    group: str | None = None
    on_busy: OnBusy = "queue"
    timeout: float | None = None
    checkout: Mapping[str, Any] | None = None
    files: Mapping[str, BlobRef] | None = None

    def step(self, name: str) -> Step | None:
        return next((one for one in self.steps if one.name == name), None)


def digest_of(stored: bytes) -> str:
    """The name under which these bytes of a StoredPipeline lie."""
    return hashlib.sha256(stored).hexdigest()


@lru_cache(maxsize=1024)
def read(raw: bytes) -> Recipe:
    """The recipe in the bytes of a StoredPipeline. Raises Invalid where an expression doesn't parse."""
    return parse(StoredPipeline.from_bytes(raw))


def parse(stored: StoredPipeline) -> Recipe:
    """See `read`. The spec has been validated when it was pushed; what is wrong nevertheless is Invalid."""
    spec = stored.spec
    try:
        concurrency = spec.get("concurrency") or {}
        workspace = spec.get("workspace") or {}
        return Recipe(
            name=stored.name,
            steps=_steps(spec["steps"]),
            params=spec.get("params"),
            nodes=_nodes(spec["nodes"]) if spec.get("nodes") is not None else None,
            group=concurrency.get("group"),
            on_busy=concurrency.get("onBusy", "queue"),
            timeout=seconds(spec.get("timeout")),
            checkout=workspace.get("checkout"),
            files={path: stored.files[path] for path in workspace.get("files", ())},
        )
    except (KeyError, TypeError, ValueError) as exc:
        raise Invalid(f"pipeline '{stored.name}' can't be run: {type(exc).__name__} {exc}") from exc


def seconds(duration: str | None) -> float | None:
    """`10s` → 10.0."""
    return None if duration is None else parse_duration(duration).total_seconds()


def settled(step: Step, roots: Mapping[str, Any]) -> Step:
    """The step with what its typed expressions yield. Raises Invalid, which names the field."""
    if step.unsettled is None:
        return step
    raw = filled(step.unsettled.raw, step.unsettled.blanks, roots, dotted)
    return _step(raw, step.unsettled.before)


def because(verdict: Verdict) -> str:
    """The clauses that were not true, with their reasons."""
    return "; ".join(f"{c.text} is {c.value}: {c.because}" for c in verdict.clauses if c.value != "true")


def _steps(raw: Sequence[Mapping[str, Any]]) -> tuple[Step, ...]:
    out: list[Step] = []
    for one in raw:
        before = tuple(step.name for step in out)
        found = blanks(StepSpec, one)
        step = _step(left_out(one, found), before)
        out.append(replace(step, unsettled=Unsettled(one, before, found)) if found else step)
    return tuple(out)


def _step(raw: Mapping[str, Any], before: tuple[str, ...]) -> Step:
    kind = next(kind for kind in KINDS if raw.get(kind) is not None)
    on: On = raw.get("on") or "success"
    needs = raw.get("needs")
    if needs is None:
        # A handler without needs is for all that stands above it, also for what runs beside it.
        needs = before[-1:] if on == "success" else before
    artifacts = raw.get("artifacts") or {}
    return Step(
        name=raw["name"],
        kind=kind,
        body=raw[kind],
        needs=tuple(needs),
        on=on,
        when=_condition(raw.get("when")),
        verify=_condition(raw.get("verify")),
        until=_until(raw[kind]) if kind == "wait" else None,
        idempotent=bool(raw.get("idempotent")),
        retry=_retry(raw.get("retry") or {}),
        timeout=seconds(raw.get("timeout")),
        user=raw.get("user"),
        env=raw.get("env") or {},
        secrets=raw.get("secrets") or {},
        delegate=_nodes({**raw["delegate"], "pick": "one"}) if raw.get("delegate") is not None else None,
        save=artifacts.get("save") or {},
        load=artifacts.get("load") or {},
    )


def _condition(text: str | None) -> Condition | None:
    return None if text is None else compile_condition(text)


def _until(body: Mapping[str, Any]) -> Condition | None:
    until = body["until"]
    return compile_condition(until) if isinstance(until, str) else None


def _retry(raw: Mapping[str, Any]) -> Retry:
    return Retry(
        attempts=raw.get("attempts") or 1,
        delay=cast(float, seconds(raw.get("delay") or "1s")),
        backoff=float(raw.get("backoff") or 1),
    )


def _nodes(raw: Mapping[str, Any]) -> Nodes:
    return Nodes(
        selector=raw.get("selector") or "",
        order=raw.get("order") or "node",
        batch=raw.get("batch"),
        max=raw.get("max"),
        stop_after_failures=raw.get("stopAfterFailures"),
        pick_one=raw.get("pick") == "one",
    )
