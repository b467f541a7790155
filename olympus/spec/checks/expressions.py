"""Where expressions may stand, which roots they know there, and whether their paths lead anywhere."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Final, TypeAlias

from olympus.kernel.diagnostics import did_you_mean
from olympus.spec.checks.known import known_at, unlike_paths
from olympus.spec.checks.problem import Problem, Subject, as_far, found, texts
from olympus.spec.expression import ExpressionError, Leaf, compile_condition, compile_value
from olympus.spec.loader import Path
from olympus.spec.template import expressions_in, has_holes

Roots: TypeAlias = frozenset[str]

ATTRIBUTES: Final = frozenset({"id", "type", "source", "time", "subject", "node", "cause", "depth", "data"})
"""An event's, as they stand at the top of a `where`."""

PIPELINE: Final = frozenset({"params", "steps", "run", "node", "target", "event", "cause"})
START: Final = frozenset({"params", "run", "event", "cause"})
"""What is known of a run before it has nodes and steps."""

_NONE: Roots = frozenset()
_CONDITIONS: Final = frozenset({"where", "when", "until", "failWhen", "clear", "verify"})

# Kind → [(a path below spec, the roots of conditions there, the roots of templates there)]; the longest path counts.
_PLACES: Final[Mapping[str, tuple[tuple[tuple[str, ...], Roots, Roots], ...]]] = {
    "Pipeline": (
        ((), PIPELINE, PIPELINE),
        (("on", "*", "where"), ATTRIBUTES | {"event"}, _NONE),
        (("on", "*", "params"), _NONE, frozenset({"event"})),
        (("params",), _NONE, _NONE),
        (("nodes",), _NONE, START),
        (("timeout",), _NONE, START),
        (("concurrency",), _NONE, START),
        (("steps", "*", "delegate"), _NONE, START),
    ),
    "Service": (((), _NONE, frozenset({"node", "service"})),),
    "Check": (((), frozenset({"value"}), frozenset({"node"})),),
    "Webhook": (((), frozenset({"body", "header", "query"}), frozenset({"body", "header", "query"})),),
    "Rule": (
        ((), frozenset({"event", "answers"}), frozenset({"event", "answers"})),
        (("on",), ATTRIBUTES | {"event"}, _NONE),
        (("correlate",), ATTRIBUTES | {"event"}, _NONE),
        (("ask",), frozenset({"event"}), frozenset({"event"})),
        (("solve", "*", "verify", "absent"), ATTRIBUTES | {"event"}, _NONE),
    ),
}

_EVENT_PATHS: Final = (
    ("correlate", "by"),
    ("correlate", "by", "*"),
    ("correlate", "distinct", "field"),
    ("limits", "by"),
)
"""Where a Rule names a part of its events, below its spec."""
_OF_MATCH: Final = frozenset({"node", "watch", "name", "severity", "source", "line", "groups"})

# fmt: off
_SHELLS: Final = frozenset({
    "sh", "bash", "dash", "ash", "zsh", "ksh", "fish", "busybox", "python", "pypy", "perl", "ruby", "node", "nodejs",
    "php", "lua", "tclsh", "su", "runuser", "sg", "flock", "script", "Rscript", "pwsh", "osascript", "awk", "gawk",
    "mawk", "sed",
})
# fmt: on
_CODE_FLAGS: Final = frozenset({"-c", "-e", "-r", "-E", "--eval", "--command", "-p", "--print", "-exec"})


def check(subject: Subject) -> Iterator[Problem]:
    """All of it for one document."""
    if subject.kind == "RuleTest":
        return
    for path, text in texts(subject.spec):
        if _is_condition(path):
            yield from as_far(subject, _condition(subject, path, text))
        elif "${{" in text:
            yield from as_far(subject, _template(subject, path, text))
    yield from as_far(subject, _paths(subject))
    yield from as_far(subject, _code(subject))


def _template(subject: Subject, path: Path, text: str) -> Iterator[Problem]:
    if path[-1] == "script" and path[-3:-2] == ("steps",):
        message = (
            "${{ }} may not stand in a script: what it yields would be run. "
            "Params come as $OLY_PARAM_<NAME>, other values by the step's env"
        )
        yield Problem(path, message)
        return
    try:
        expressions = {expression for _, expression in expressions_in(text)}
    except ExpressionError as error:
        yield Problem(path, str(error))
        return
    for expression in sorted(expressions):
        yield from _expression(subject, path, expression, _roots(subject.kind, path)[1])


def _expression(subject: Subject, path: Path, text: str, known: Roots) -> Iterator[Problem]:
    try:
        value = compile_value(text)
    except ExpressionError as error:
        yield Problem(path, str(error))
        return
    yield from _unknown_roots(path, value.roots(), known)
    yield from _names(subject, path, value.paths())


def _condition(subject: Subject, path: Path, text: str) -> Iterator[Problem]:
    if "${{" in text:
        yield Problem(path, "a condition is an expression already: write it without ${{ }}")
        return
    try:
        condition = compile_condition(text)
    except ExpressionError as error:
        yield Problem(path, str(error))
        return
    yield from _unknown_roots(path, condition.roots(), _roots(subject.kind, path)[0])
    yield from _names(subject, path, condition.paths(), condition.leaves())


def _paths(subject: Subject) -> Iterator[Problem]:
    """Plain expressions that are neither conditions nor templates: by, dedupe, field."""
    spec = subject.spec
    if subject.kind == "Webhook":
        for path, text in found(spec, ("dedupe",)):
            yield from _expression(subject, path, text, _roots("Webhook", ("spec",))[0])
    elif subject.kind == "Rule":
        for pattern in _EVENT_PATHS:
            for path, text in found(spec, pattern):
                if isinstance(text, str):
                    yield from _expression(subject, path, text, ATTRIBUTES)
    elif subject.kind == "LogWatch":
        for by in (("match", "*", "threshold", "by", "*"), ("match", "*", "by", "*")):
            for path, text in found(spec, by):
                yield from _expression(subject, path, text, _OF_MATCH)


def _names(
    subject: Subject, path: Path, paths: Collection[tuple[str, ...]], leaves: Collection[Leaf] = ()
) -> Iterator[Problem]:
    yield from _steps_and_params(subject, path, paths)
    known = tuple(known_at(subject, path))
    for one in known:
        for fault in one.faults(paths, leaves):
            yield Problem(path, fault)
    for fault in unlike_paths(known, leaves):
        yield Problem(path, fault)


def _unknown_roots(path: Path, used: Collection[str], known: Roots) -> Iterator[Problem]:
    for root in sorted(used):
        if root in known:
            continue
        if root in ("true", "false", "null"):
            hint = f": write `{root}` in backticks"
        elif not known:
            hint = ": there are no expressions here"
        else:
            hint = did_you_mean(root, known) or f": here are {', '.join(sorted(known))}"
        yield Problem(path, f"unknown root '{root}'{hint}")


def _steps_and_params(subject: Subject, path: Path, paths: Collection[tuple[str, ...]]) -> Iterator[Problem]:
    if subject.kind != "Pipeline" or path[1:2] == ("on",):
        return
    params = subject.spec.get("params") or {}
    known = params.get("properties") or {}
    for one in paths:
        if (
            one[0] == "params"
            and len(one) > 1
            and one[1] not in known
            and "additionalProperties" not in params
        ):
            hint = did_you_mean(one[1], known) or ": declare it in spec.params"
            yield Problem(path, f"there is no param '{one[1]}'{hint}")
        if one[0] == "steps" and len(one) > 1:
            yield from _step_is_before(subject, path, one[1])


def _step_is_before(subject: Subject, path: Path, name: str) -> Iterator[Problem]:
    graph = subject.graph
    if name not in graph.needs:
        yield Problem(path, f"there is no step '{name}'{did_you_mean(name, graph.needs)}")
        return
    if path[1:2] != ("steps",):
        return
    here = subject.spec["steps"][path[2]]["name"]
    # A verify is asked after its own step.
    if name not in graph.before(here) and not (name == here and path[-1] == "verify"):
        yield Problem(path, f"step '{name}' does not run before '{here}': name it in needs")


def _code(subject: Subject) -> Iterator[Problem]:
    """No expression in what a shell or an interpreter would take for code."""
    if subject.kind == "Pipeline":
        for index, step in enumerate(subject.spec["steps"]):
            yield from _code_in(("spec", "steps", index, "run"), step.get("run"))
    elif subject.kind == "Service":
        command = (subject.spec["run"].get("process") or {}).get("command")
        yield from _code_in(("spec", "run", "process", "command"), command)


def _code_in(path: Path, argv: list[str] | None) -> Iterator[Problem]:
    words = argv or []
    for index, argument in enumerate(words):
        if "${{" not in argument or not has_holes(argument) or index == 0:
            continue
        # `-c CODE`, and `-cCODE` or `--command=CODE`.
        joined = argument[: argument.index("${{")].partition("=")[0]
        for flag, before in ((words[index - 1], words[: index - 1]), (joined, words[:index])):
            if _takes_code(flag) and any(map(_may_run_code, before)):
                message = (
                    f"${{{{ }}}} may not stand behind {flag}: what it yields would be run. "
                    "Give it as a further argument, or by the step's env"
                )
                yield Problem((*path, index), message)


def _takes_code(flag: str) -> bool:
    if flag.startswith("--"):
        return flag in _CODE_FLAGS
    return flag in _CODE_FLAGS or (flag.startswith("-") and flag.endswith(("c", "e")) and len(flag) <= 5)


def _may_run_code(word: str) -> bool:
    return PurePosixPath(word).name.rstrip("0123456789.") in _SHELLS or has_holes(word)


def _is_condition(path: Path) -> bool:
    if path[-1] not in _CONDITIONS or "params" in path or "data" in path or "env" in path:
        return False
    # A Silence's and an approval's times are called until as well.
    return path != ("spec", "until")


def _roots(kind: str, path: Path) -> tuple[Roots, Roots]:
    best: tuple[int, Roots, Roots] = (-1, _NONE, _NONE)
    for pattern, conditions, templates in _PLACES.get(kind, ()):
        below = path[1 : 1 + len(pattern)]
        fits = len(below) == len(pattern) and all(p in ("*", b) for p, b in zip(pattern, below, strict=True))
        if fits and len(pattern) > best[0]:
            best = (len(pattern), conditions, templates)
    return best[1], best[2]
