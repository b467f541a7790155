"""Events from the command line: events, emit, eval."""

from __future__ import annotations

import argparse
import json
from typing import Any

from olympus.cli.client import Client
from olympus.cli.output import Subparsers, add_output, add_server, emit, table, visible
from olympus.kernel.errors import Invalid


def register(subparsers: Subparsers) -> None:
    """`events`."""
    parser = subparsers.add_parser("events", help="what happened")
    parser.add_argument("--type", metavar="TYPE", help="exact, or its beginning with *")
    parser.add_argument("--since", metavar="WHEN", help="1h, or 2026-11-24T09:30:00Z")
    parser.add_argument("--node", metavar="NAME")
    parser.add_argument("-n", type=int, default=50, metavar="N", help="how many (50)")
    parser.add_argument("--follow", "-f", action="store_true", help="go on with what happens")
    add_output(parser)
    add_server(parser)
    parser.set_defaults(run=_events)


def register_emit(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("emit", help="emit an event")
    parser.add_argument("type", metavar="TYPE")
    parser.add_argument("--data", metavar="JSON", default="{}")
    add_output(parser)
    add_server(parser)
    parser.set_defaults(run=_emit)


def register_eval(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("eval", help="an expression on an event: each clause with its reason")
    parser.add_argument("expression", metavar="EXPR")
    parser.add_argument("--event", metavar="ID", required=True)
    add_output(parser)
    add_server(parser)
    parser.set_defaults(run=_eval)


def _events(args: argparse.Namespace) -> int:
    client = Client.of(args)
    page = client.get("events", type=args.type, since=args.since, node=args.node, limit=args.n)
    items = page["items"]
    if not args.follow:
        return emit(args, {"items": items}, lambda: _rows(items))
    for event in reversed(items):
        _line(args, event)
    for raw in client.lines(
        "events", "stream", type=args.type, lastEventId=items[0]["id"] if items else None
    ):
        if raw.startswith(b"data: "):
            event = json.loads(raw[6:])
            if args.node in (None, event.get("node")):
                _line(args, event)
    return 0


def _rows(items: list[Any]) -> None:
    rows = [[e["time"], e["type"], e.get("node"), _data(e)] for e in reversed(items)]
    table(["TIME", "TYPE", "NODE", "DATA"], rows, "no events")


def _line(args: argparse.Namespace, event: dict[str, Any]) -> None:
    if args.output == "table":
        print(f"{event['time']}  {event['type']}  {visible(event.get('node'))}  {_data(event)}", flush=True)
    else:
        print(json.dumps(event, ensure_ascii=False), flush=True)


def _data(event: dict[str, Any]) -> str:
    text = visible(json.dumps(event["data"], ensure_ascii=False))
    return text if len(text) <= 160 else text[:159] + "…"


def _emit(args: argparse.Namespace) -> int:
    try:
        data = json.loads(args.data)
    except ValueError as error:
        raise Invalid(f"--data is no JSON: {error}") from error
    done = Client.of(args).post("events", body={"type": args.type, "data": data})
    return emit(args, done, lambda: print(done["id"]))


def _eval(args: argparse.Namespace) -> int:
    found = Client.of(args).post("eval", body={"expression": args.expression, "event": args.event})

    def people() -> None:
        print(json.dumps(found["value"], ensure_ascii=False))
        for clause in found["clauses"]:
            print(visible(f"{clause['value']:<8} {clause['clause']}: {clause['because']}"))

    emit(args, found, people)
    return 0 if found["holds"] else 1
