"""What Athena made of events: `olympus get incidents`, `describe incident ID`, `ack`, `silence`."""

from __future__ import annotations

import argparse
import json
from typing import Any

from olympus.cli.client import Client
from olympus.cli.output import Subparsers, add_output, add_server, emit, table, visible
from olympus.kernel.errors import Invalid


def is_meant(word: str) -> bool:
    """`incident`, `incidents`: no kind of spec, but asked for alike."""
    return word.lower() in ("incident", "incidents")


def get(args: argparse.Namespace) -> int:
    client = Client.of(args)
    if args.name:
        item = client.get("incidents", args.name)
        return emit(args, item, lambda: _rows([item]))
    items = client.all("incidents")
    return emit(args, {"items": items}, lambda: _rows(items))


def _rows(items: list[dict[str, Any]]) -> None:
    rows = [
        [
            one["id"],
            one["rule"],
            one["key"],
            one["state"],
            ", ".join(attempt["pipeline"] for attempt in one["attempts"]) or None,
            one["openedAt"],
        ]
        for one in items
    ]
    table(["INCIDENT", "RULE", "KEY", "STATE", "REMEDIES", "OPENED"], rows, "no incidents")


def describe(args: argparse.Namespace) -> int:
    """Why it is as it is: events, answers, decisions, remedies."""
    item = Client.of(args).get("incidents", args.name)
    return emit(args, item, lambda: _tell(item))


def _tell(item: dict[str, Any]) -> None:
    key = f" for {visible(item['key'])}" if item["key"] else ""
    print(f"incident {item['id']}: rule {item['rule']}{key}, {item['state']}")
    print(f"opened      {item['openedAt']}" + (f", closed {item['closedAt']}" if item["closedAt"] else ""))
    print(f"events      {', '.join(visible(one) for one in item['events'])}")
    for name, value in item["answers"].items():
        print(f"answer      {name} = {visible(json.dumps(value, ensure_ascii=False))}")
    for name, why in item["unanswered"].items():
        print(f"no answer   {name}: {visible(why)}")
    for one in item["decisions"]:
        said = f"{one['clause']}: {json.dumps(one['value'], ensure_ascii=False)}"
        print(f"{one['at']}  {visible(said)}" + (f", {visible(one['because'])}" if one["because"] else ""))
    unknown = "the last resort" if item["state"] == "escalated" else "not verified yet"
    for one in item["attempts"]:
        verified = {True: "it helped", False: "it did not help", None: unknown}[one["verified"]]
        print(f"remedy      {one['pipeline']}, run {one['run']} {one['state'] or 'under way'}: {verified}")
    if item["acked"]:
        print(f"acked       by {visible(item['acked']['by'])} at {item['acked']['at']}")
    for one in item["comments"]:
        print(f"comment     {one['at']} {visible(one['by'])}: {visible(one['text'])}")


def register_ack(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("ack", help="say that you care for an incident")
    parser.add_argument("id", metavar="INCIDENT")
    parser.add_argument("-m", "--comment", metavar="TEXT", help="say something about it")
    add_output(parser)
    add_server(parser)
    parser.set_defaults(run=_ack)


def _ack(args: argparse.Namespace) -> int:
    client = Client.of(args)
    item = client.post("incidents", args.id, "ack")
    if args.comment:
        item = client.post("incidents", args.id, "comment", body={"text": args.comment})
    return emit(args, item, lambda: print(f"incident {item['id']} is yours"))


def register_silence(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("silence", help="no remedies for a while; get silences lists them")
    parser.add_argument("rules", metavar="RULE", nargs="*", help="of these rules (all)")
    parser.add_argument("-l", "--selector", metavar="SELECTOR", help="on these nodes: role=web (all)")
    parser.add_argument("--for", dest="lasts", metavar="1h", help="from now on")
    parser.add_argument("--until", metavar="TIME", help="2026-12-24T20:00:00Z")
    parser.add_argument("--reason", metavar="TEXT")
    parser.add_argument("--end", metavar="ID", help="end that one now")
    add_output(parser)
    add_server(parser)
    parser.set_defaults(run=_silence)


def _silence(args: argparse.Namespace) -> int:
    client = Client.of(args)
    if args.end:
        client.delete("silences", args.end)
        print(f"silence {args.end} is over")
        return 0
    if not args.reason or not (args.lasts or args.until):
        raise Invalid("say for how long, and why: olympus silence RULE --for 1h --reason 'we work on it'")
    given = {"rules": args.rules, "for": args.lasts, "until": args.until, "reason": args.reason}
    body = {name: value for name, value in given.items() if value is not None}
    if args.selector:
        body["nodes"] = {"selector": args.selector}
    made = client.post("silences", body=body)

    def people() -> None:
        what = ", ".join(args.rules) or "every rule"
        print(f"{what} is silent until {made['spec']['until']}: silence {made['metadata']['name']}")

    return emit(args, made, people)
