"""`olympus explain`: why something is as it is, in words."""

from __future__ import annotations

import argparse
from typing import Any

from olympus.cli.client import Client
from olympus.cli.output import Subparsers, add_output, add_server, emit, visible
from olympus.kernel.errors import Invalid


def register(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "explain", help="why something is as it is: causes and conditions in words"
    )
    kinds = ["event", "service", "schedule", "run", "note"]
    parser.add_argument("kind", choices=kinds, metavar="KIND", help=", ".join(kinds))
    parser.add_argument(
        "name",
        metavar="NAME",
        help="the service's or schedule's name, the event's or run's id, the note's path",
    )
    parser.add_argument("rule", metavar="RULE", nargs="?", help="of an event: only what this rule made of it")
    add_output(parser)
    add_server(parser)
    parser.set_defaults(run=_explain)


def _explain(args: argparse.Namespace) -> int:
    client = Client.of(args)
    if args.kind == "event":
        found = client.get("explain", event=args.name, **({"rule": args.rule} if args.rule else {}))
        return emit(args, found, lambda: _tell_event(found))
    if args.rule:
        raise Invalid(f"RULE goes with an event: olympus explain event ID {args.rule}")
    story = client.get("explain", **{args.kind: args.name})
    return emit(args, story, lambda: _tell(story))


def _tell(story: dict[str, Any]) -> None:
    for line in story["says"]:
        print(visible(line))
    if story["chain"]:
        print("\nwhat led to it:" if story["kind"] != "note" else "\nwhat led to it, and what came of it:")
    for one in story["chain"]:
        print(f"  {one['at']}  {visible(one['says'])}")


def _tell_event(found: dict[str, Any]) -> None:
    if not found["rules"]:
        print(f"no rule looks for {visible(found['type'])}")
    for one in found["rules"]:
        print(f"rule {one['rule']}: {one['outcome']}: {visible(one['because'])}")
        for clause in one["clauses"]:
            because = f": {clause['because']}" if clause["because"] else ""
            print(f"    {clause['value']:<8}{visible(clause['clause'] + because)}")
