"""`olympus explain`: why something is as it is, in words."""

from __future__ import annotations

import argparse
from typing import Any

from olympus.cli.client import Client
from olympus.cli.output import Subparsers, add_output, add_server, emit, visible


def register(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "explain", help="why something is as it is: causes and conditions in words"
    )
    parser.add_argument(
        "kind", choices=["service", "schedule", "run"], metavar="KIND", help="service, schedule, run"
    )
    parser.add_argument("name", metavar="NAME", help="the service's or schedule's name, the run's id")
    add_output(parser)
    add_server(parser)
    parser.set_defaults(run=_explain)


def _explain(args: argparse.Namespace) -> int:
    story = Client.of(args).get("explain", **{args.kind: args.name})
    return emit(args, story, lambda: _tell(story))


def _tell(story: dict[str, Any]) -> None:
    for line in story["says"]:
        print(visible(line))
    if story["chain"]:
        print("\nwhat led to it:")
    for one in story["chain"]:
        print(f"  {one['at']}  {visible(one['says'])}")
