"""Pipelines from the command line: run, runs, logs, cancel, approve, retry, render."""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any

from olympus.cli.client import Client
from olympus.cli.output import Subparsers, add_output, add_server, emit, table, visible, watched
from olympus.kernel.errors import Invalid, NotFound

_LOOK = 0.1
_OVER = frozenset({"succeeded", "failed", "cancelled", "unknown"})


def register(subparsers: Subparsers) -> None:
    """`run`."""
    parser = subparsers.add_parser("run", help="start a pipeline")
    parser.add_argument("pipeline", metavar="PIPELINE")
    _add_params(parser)
    parser.add_argument("--follow", action="store_true", help="show what its steps write, and end as it ends")
    parser.add_argument("--key", metavar="TEXT", help="an Idempotency-Key: the same key starts one run")
    add_output(parser)
    add_server(parser)
    parser.set_defaults(run=_run)


def register_runs(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("runs", help="runs, newest first")
    parser.add_argument("--pipeline", metavar="NAME")
    parser.add_argument("--state", dest="run_state", metavar="STATE", help="running, failed, …")
    parser.add_argument("-n", type=int, default=20, metavar="N", help="how many (20)")
    parser.add_argument("--watch", action="store_true")
    parser.add_argument("id", metavar="RUN", nargs="?", help="one run with its steps")
    add_output(parser)
    parser.add_argument("--server", metavar="URL")
    parser.set_defaults(run=lambda args: watched(args, lambda: _runs(args)), state=None)


def register_logs(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "logs", help="what a run's steps, or a service, wrote; or which lines a LogWatch does not match"
    )
    parser.add_argument(
        "what",
        metavar="RUN|service/NAME|logwatch/NAME",
        help="of a logwatch: a line of each shape, with its count",
    )
    parser.add_argument("--step", metavar="NAME")
    parser.add_argument("--node", metavar="NAME")
    parser.add_argument(
        "--tail", type=int, metavar="N", help="of a service: the last lines (200); of a logwatch: shapes (20)"
    )
    parser.add_argument("--follow", "-f", action="store_true")
    add_server(parser)
    parser.set_defaults(run=_logs)


def register_steering(subparsers: Subparsers) -> None:
    """cancel, retry, approve."""
    for verb, what in (("cancel", "end a run"), ("retry", "go on from what failed")):
        parser = subparsers.add_parser(verb, help=what)
        parser.add_argument("id", metavar="RUN")
        add_server(parser)
        parser.set_defaults(run=_steer, verb=verb)


def register_approve(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("approve", help="answer a step that waits for an approval")
    parser.add_argument("id", metavar="RUN")
    parser.add_argument("step", metavar="STEP", nargs="?", help="needed where more than one waits")
    parser.add_argument("--deny", action="store_true", help="say no")
    add_server(parser)
    parser.set_defaults(run=_approve)


def register_render(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("render", help="a pipeline's steps with these params; runs nothing")
    parser.add_argument("pipeline", metavar="PIPELINE")
    _add_params(parser)
    add_output(parser)
    add_server(parser)
    parser.set_defaults(run=_render)


def _add_params(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-p", "--param", metavar="NAME=VALUE", action="append", default=[], help="as the schema says"
    )


def _params(client: Client, pipeline: str, given: list[str]) -> dict[str, Any]:
    """Typed by the pipeline's schema: `n=5` is a number where it wants one. Raises Invalid."""
    schema = client.get("pipelines", pipeline)["spec"].get("params") or {}
    properties = schema.get("properties") or {}
    found: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise Invalid(f"-p {text!r}: write NAME=VALUE")
        wanted = properties.get(name, {})
        found[name] = _typed(name, value, wanted.get("type") if isinstance(wanted, dict) else None)
    return found


def _typed(name: str, text: str, wanted: Any) -> Any:
    if wanted == "string" or (wanted is None and text[:1] not in "[{"):
        return text
    try:
        return json.loads(text)
    except ValueError:
        if isinstance(wanted, list) and "string" in wanted:
            return text
        raise Invalid(f"-p {name}={text}: the pipeline wants a value of the type {wanted}") from None


def _run(args: argparse.Namespace) -> int:
    client = Client.of(args)
    params = _params(client, args.pipeline, args.param)
    headers = {"Idempotency-Key": args.key} if args.key else None
    started = client.post("pipelines", args.pipeline, "runs", body={"params": params}, headers=headers)
    if not args.follow:
        return emit(args, started, lambda: print(started["id"]))
    print(f"run {started['id']}", file=sys.stderr)
    for line in client.lines("runs", started["id"], "logs", follow=True):
        _write(line)
    run = client.get("runs", started["id"])
    while run["state"] not in _OVER:
        time.sleep(_LOOK)
        run = client.get("runs", started["id"])
    emit(args, run, lambda: _steps(run))
    return 0 if run["state"] == "succeeded" else 1


def _runs(args: argparse.Namespace) -> int:
    client = Client.of(args)
    if args.id:
        run = client.get("runs", args.id)
        return emit(args, run, lambda: _steps(run))
    page = client.get("runs", limit=args.n, pipeline=args.pipeline, state=args.run_state)
    rows = [
        [
            run["id"],
            run["pipeline"],
            run["state"],
            f"{run['cause']['kind']} {run['cause']['name']}",
            run["createdAt"],
        ]
        for run in page["items"]
    ]
    return emit(
        args,
        {"items": page["items"]},
        lambda: table(["RUN", "PIPELINE", "STATE", "CAUSE", "CREATED"], rows, "nothing has run yet"),
    )


def _steps(run: dict[str, Any]) -> None:
    said = f": {visible(run['message'])}" if run.get("message") else ""
    print(f"{run['pipeline']} {run['id']} {run['state']}{said}")
    rows = [
        [step["name"], step["node"], step["attempt"], step["state"], step["exit"], step.get("message", "")]
        for step in run["steps"]
    ]
    table(["STEP", "NODE", "ATTEMPT", "STATE", "EXIT", "WHY"], rows, "no steps yet")


def _logs(args: argparse.Namespace) -> int:
    client = Client.of(args)
    kind, slash, name = args.what.partition("/")
    if slash:
        if kind in ("logwatch", "logwatches"):
            return _unmatched(args, client, name)
        if kind not in ("service", "services"):
            raise Invalid(f"{args.what!r}: write a run's id, service/NAME or logwatch/NAME")
        lines = client.lines("services", name, "logs", node=args.node, tail=args.tail, follow=args.follow)
    else:
        lines = client.lines("runs", args.what, "logs", step=args.step, node=args.node, follow=args.follow)
    for line in lines:
        _write(line)
    return 0


def _unmatched(args: argparse.Namespace, client: Client, name: str) -> int:
    found = client.get("logwatches", name, "unmatched", node=args.node, limit=args.tail or 20)
    for one in found["unanswered"]:
        print(f"{one['node']}: {one['why']}", file=sys.stderr)
    rows = [[one["node"], one["count"], visible(one["line"])] for one in found["items"]]
    table(["NODE", "LINES", "THE LAST ONE"], rows, "no line that is still known is unmatched")
    return 1 if found["unanswered"] else 0


def _write(line: bytes) -> None:
    text = line.decode(errors="replace").rstrip("\n")
    # To a terminal nothing goes that could steer it; to a program what was written.
    print(visible(text) if sys.stdout.isatty() else text, flush=True)


def _steer(args: argparse.Namespace) -> int:
    Client.of(args).post("runs", args.id, args.verb)
    print(f"{args.verb} of {args.id} is asked for")
    return 0


def _approve(args: argparse.Namespace) -> int:
    client = Client.of(args)
    step = args.step
    if step is None:
        waiting = sorted({s["name"] for s in client.get("runs", args.id)["steps"] if s.get("role")})
        if not waiting:
            raise NotFound(f"no step of run {args.id} waits for an approval")
        if len(waiting) > 1:
            raise Invalid(f"more than one step waits: name one of {', '.join(waiting)}")
        step = waiting[0]
    client.post("runs", args.id, "approve", body={"step": step, "approved": not args.deny})
    print(f"{'denied' if args.deny else 'approved'} {step} of {args.id}")
    return 0


def _render(args: argparse.Namespace) -> int:
    from olympus.hephaestus.settling import try_out  # noqa: PLC0415 - takes a while to import
    from olympus.spec.expression import ExpressionError  # noqa: PLC0415
    from olympus.spec.template import render  # noqa: PLC0415

    client = Client.of(args)
    spec = client.get("pipelines", args.pipeline)["spec"]
    defaults = {
        name: one["default"]
        for name, one in ((spec.get("params") or {}).get("properties") or {}).items()
        if isinstance(one, dict) and "default" in one
    }
    roots = {"params": defaults | _params(client, args.pipeline, args.param)}

    try_out(args.pipeline, spec, roots)

    def rendered(value: Any) -> Any:
        """What needs more than params stays as it is written."""
        if isinstance(value, dict):
            return {key: rendered(one) for key, one in value.items()}
        if isinstance(value, list):
            return [rendered(one) for one in value]
        try:
            return render(value, roots)
        except ExpressionError:
            return value

    steps = rendered(spec["steps"])

    def people() -> None:
        import yaml  # noqa: PLC0415

        print(yaml.safe_dump(steps, sort_keys=False, allow_unicode=True), end="")

    return emit(args, {"pipeline": args.pipeline, "params": roots["params"], "steps": steps}, people)
