"""What operators ask of Zeus: plan, sync, rollback, restart, suspend, resume, node drain and uncordon."""

from __future__ import annotations

import argparse
from typing import Any

from olympus.cli.client import Client
from olympus.cli.get import plural
from olympus.cli.output import Subparsers, add_output, add_server, emit, visible

_SIGNS = {"create": "+", "update": "~", "delete": "-", "start": "▶", "stop": "■", "restart": "↻", "move": "→"}


def register(subparsers: Subparsers) -> None:
    """`plan`."""
    parser = subparsers.add_parser("plan", help="what a commit would do; changes nothing")
    parser.add_argument("ref", metavar="REF", nargs="?", help="branch, tag or commit (main)")
    parser.add_argument("--against", choices=["live"], help="live: also what would be healed")
    add_output(parser)
    add_server(parser)
    parser.set_defaults(run=_plan)


def register_sync(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("sync", help="fetch, and apply main's head again")
    parser.add_argument("--prune", action="store_true", help="also where most resources would go")
    add_server(parser)
    parser.set_defaults(run=_sync)
    parser = subparsers.add_parser(
        "rollback", help="make main's files those of an earlier commit, and apply them"
    )
    parser.add_argument("ref", metavar="REF")
    add_server(parser)
    parser.set_defaults(run=_rollback)


def register_orders(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("restart", help="restart a service, as its `update` says")
    parser.add_argument("name", metavar="SERVICE")
    add_server(parser)
    parser.set_defaults(run=_order, kind="service", do="restart")
    for do, what in (("suspend", "leave it alone until resumed"), ("resume", "end a suspend")):
        parser = subparsers.add_parser(do, help=what)
        parser.add_argument(
            "kind", metavar="KIND", help="service, schedule, check, logwatch or rule (`rule all`: every one)"
        )
        parser.add_argument("name", metavar="NAME")
        add_server(parser)
        parser.set_defaults(run=_order, do=do)


def register_node(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("node", help="drain or uncordon a node")
    parser.add_argument("do", choices=["drain", "uncordon"])
    parser.add_argument("name", metavar="NAME")
    add_server(parser)
    parser.set_defaults(run=_order, kind="node")


def _plan(args: argparse.Namespace) -> int:
    made = Client.of(args).post("plan", body={"ref": args.ref, "against": args.against})
    return emit(args, made, lambda: _show(made))


def _show(made: dict[str, Any]) -> None:
    for warning in made["warnings"]:
        print(f"warning: {visible(warning)}")
    for action in made["actions"]:
        where = f" on {action['node']}" if action["node"] else ""
        said = f"{_SIGNS[action['verb']]} {action['verb']} {action['kind']} {action['name']}{where}: {action['reason']}"
        print(visible(said))
        for line in action["diff"].splitlines():
            print("    " + visible(line))
    if not made["actions"]:
        print("nothing would be done")
    for line in made["foreseen"]:
        print(visible(line))


def _sync(args: argparse.Namespace) -> int:
    return _outcome(Client.of(args).post("sync", body={"prune": args.prune}))


def _rollback(args: argparse.Namespace) -> int:
    return _outcome(Client.of(args).post("rollback", body={"ref": args.ref}))


def _outcome(outcome: dict[str, Any]) -> int:
    if not outcome.get("applied"):
        for line in outcome.get("lines") or ["there is nothing to apply yet"]:
            print(f"refused: {visible(line)}")
        return 1
    print(f"applied {outcome['revision'][:7]}: {outcome['summary']}")
    return 0


def _order(args: argparse.Namespace) -> int:
    done = Client.of(args).post(plural(args.kind), args.name, "orders", body={"do": args.do})
    print(f"{done['do']} of {done['kind']} {done['name']} is ordered")
    return 0
