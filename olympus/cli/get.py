"""`olympus get`, `describe`, `status`: what is declared, what is, and why."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from olympus.cli import incidents
from olympus.cli.client import Client
from olympus.cli.output import Subparsers, add_output, add_server, emit, ready, table, visible, watched
from olympus.kernel.diagnostics import did_you_mean
from olympus.kernel.errors import Invalid

# fmt: off
KINDS = (
    "Node", "Service", "Check", "Pipeline", "Schedule", "LogWatch", "Rule", "RuleTest", "Webhook", "Secret", "Asset",
    "Silence", "Window", "Access",
)
# fmt: on


def plural(word: str) -> str:
    """`service`, `Services` → `services`. Raises Invalid."""
    for kind in KINDS:
        name = f"{kind.lower()}{'es' if kind.endswith(('s', 'ch')) else 's'}"
        if word.lower() in (kind.lower(), name):
            return name
    hint = did_you_mean(word.lower(), [kind.lower() for kind in KINDS]) or f": there are {', '.join(KINDS)}"
    raise Invalid(f"{word!r} is no kind{hint}")


def register(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("get", help="resources with their state; incidents")
    parser.add_argument("kind", metavar="KIND")
    parser.add_argument("name", metavar="NAME", nargs="?")
    parser.add_argument("-l", "--selector", metavar="SELECTOR", help="labels: team=shop")
    parser.add_argument("--watch", action="store_true", help="again every two seconds")
    add_output(parser)
    add_server(parser)
    parser.set_defaults(run=lambda args: watched(args, lambda: _get(args)))


def _get(args: argparse.Namespace) -> int:
    if incidents.is_meant(args.kind):
        return incidents.get(args)
    client, kind = Client.of(args), plural(args.kind)
    if args.name:
        item = client.get(kind, args.name)
        return emit(args, item, lambda: rows(kind, [item]))
    items = client.all(kind, selector=args.selector)
    return emit(args, {"items": items}, lambda: rows(kind, items))


def rows(kind: str, items: list[Any]) -> None:
    """The table of a kind."""
    found = []
    for item in items:
        state, why = ready(item)
        found.append([item["metadata"]["name"], state, _detail(kind, item), why])
    table(["NAME", "READY", _COLUMN.get(kind, ""), "REASON"], found, f"no {kind}")


_COLUMN = {
    "services": "INSTANCES",
    "nodes": "ALIVE",
    "schedules": "WHEN",
    "pipelines": "STEPS",
    "webhooks": "PIPELINE",
    "assets": "OWNER",
    "rules": "OUTCOMES",
}


def _detail(kind: str, item: dict[str, Any]) -> str:
    spec, status = item["spec"], item["status"]
    if kind == "services":
        return ", ".join(f"{one['node']} {one['state']}" for one in status.get("instances", ())) or "none"
    if kind == "nodes":
        return "yes" if status.get("alive") else "no"
    if kind == "schedules":
        return str(
            spec.get("cron") or (f"every {spec['every']}" if "every" in spec else f"at {spec.get('at')}")
        )
    if kind == "pipelines":
        return ", ".join(step["name"] for step in spec["steps"])
    if kind == "rules":
        outcomes = status.get("outcomes") or {}
        return ", ".join(f"{count} {name}" for name, count in outcomes.items()) or "none yet"
    if kind == "assets":
        return str(spec.get("owner") or "none")
    return str(spec.get("pipeline", "")) if kind == "webhooks" else ""


def describe(args: argparse.Namespace) -> int:
    """Everything of one resource."""
    if incidents.is_meant(args.kind):
        return incidents.describe(args)
    item = Client.of(args).get(plural(args.kind), args.name)

    def people() -> None:
        print(f"{item['kind']} {item['metadata']['name']}")
        labels = item["metadata"].get("labels") or {}
        if labels:
            print("labels      " + ", ".join(f"{k}={visible(v)}" for k, v in labels.items()))
        for one in item["status"].get("conditions", ()):
            said = f"{one['reason']}: {one['message']}" if one["message"] else one["reason"]
            print(f"{one['type']:<11} {one['status']:<7} since {one['since']}  {visible(said)}")
        for one in item["status"].get("instances", ()):
            said = f"{one.get('reason', '')} {one.get('message', '')}".strip()
            print(
                f"instance    {one['node']}: {one['state']}, pid {visible(one['pid'])}, "
                f"{one['restarts']} restarts, since {one['since']}  {visible(said)}"
            )
        if item["kind"] == "Rule":
            print(f"outcomes    {_detail('rules', item)}")
        for name, fared in (item["status"].get("remedies") or {}).items():
            print(f"remedy      {name}: started {fared['tried']} times, helped {fared['verified']} times")
        for name, fact in (item["status"].get("facts") or {}).items():
            print(f"fact        {name} = {visible(fact['value'])} ({fact['source']}, {fact['at']})")
        print(
            "spec        "
            + json.dumps(item["spec"], ensure_ascii=False, indent=2).replace("\n", "\n            ")
        )

    return emit(args, item, people)


def register_describe(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("describe", help="all of one resource: conditions, instances, spec")
    parser.add_argument("kind", metavar="KIND")
    parser.add_argument("name", metavar="NAME")
    add_output(parser)
    add_server(parser)
    parser.set_defaults(run=describe)


def register_status(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("status", help="what runs, and what is wrong")
    parser.add_argument("--watch", action="store_true", help="again every two seconds")
    add_output(parser)
    add_server(parser)
    parser.set_defaults(run=lambda args: watched(args, lambda: _status(args)))


def _status(args: argparse.Namespace) -> int:
    found = Client.of(args).get("status")

    def people() -> None:
        revision = found["specs"]["revision"]
        print(f"applied   {revision[:7] if revision else 'nothing yet'}")
        _, why = ready({"status": found["specs"]})
        print(f"specs     {visible(why)}")
        print("counts    " + ", ".join(f"{count} {name}" for name, count in found["counts"].items()))
        if found["problems"]:
            print()
            wrong = [[p["kind"], p["name"], p["reason"], p["message"]] for p in found["problems"]]
            table(["KIND", "NAME", "REASON", "MESSAGE"], wrong, "")
        else:
            print("problems  none", file=sys.stdout)

    return emit(args, found, people)
