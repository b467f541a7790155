"""`olympus replay`: what the rules of a commit would have made of the events that were."""

from __future__ import annotations

import argparse
from typing import Any

from olympus.cli.client import Client
from olympus.cli.output import Subparsers, add_output, add_server, emit, visible


def register(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "replay", help="what a commit's rules would have made of the events that were; changes nothing"
    )
    parser.add_argument("--since", metavar="7d", default="1d", help="so long ago, or since that time (1d)")
    parser.add_argument("--against", metavar="REF", help="branch, tag or commit (the one that is applied)")
    add_output(parser)
    add_server(parser)
    parser.set_defaults(run=_replay)


def _replay(args: argparse.Namespace) -> int:
    made = Client.of(args).post("replay", body={"since": args.since, "against": args.against})
    return emit(args, made, lambda: _tell(made))


def _tell(made: dict[str, Any]) -> None:
    print(f"{made['events']} events from {made['since']} to {made['until']}, against {made['to'][:7]}")
    if made["cut"]:
        print(visible(made["cut"]))
    for one in made["rules"]:
        print(
            f"rule {one['rule']} ({one['change']}): {one['fired']} incidents were, {one['fires']} would be, "
            f"{one['same']} the same"
        )
        if one["unsure"]:
            print(f"    {one['unsure']} hang on answers that nobody gave then")
        for sign, name in (("+", "starts"), ("-", "stops"), ("~", "differs")):
            for incident in one[name]:
                print("    " + visible(_incident(sign, incident)))
            more = one["counts"][name] - len(one[name])
            if more:
                print(f"    {sign} and {more} more")
        for run in one["runs"]:
            print(f"    would run {visible(run['pipeline'])} on {run['node'] or 'no node'} × {run['count']}")


def _incident(sign: str, one: dict[str, Any]) -> str:
    key = f" for {one['key']}" if one["key"] else ""
    node = f" on {one['node']}" if one["node"] else ""
    runs = f", runs {', '.join(one['runs'])}" if one["runs"] else ""
    because = f": {one['because']}" if one.get("because") else ""
    return f"{sign} {one['at']}{key}{node}, event {one['event']}, {one['state']}{runs}{because}"
