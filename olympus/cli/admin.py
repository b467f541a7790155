"""The rest: schedule next, token, audit, schema, init, version, completion."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path

from olympus import __version__
from olympus.cli.client import Client
from olympus.cli.output import Subparsers, add_output, add_server, emit, table
from olympus.kernel.errors import Invalid

_SAMPLE = """\
# yaml-language-server: $schema=./.schemas/olympus.json
# A first pipeline: `olympus run hello -p name=you --follow`.
apiVersion: olympus/v1
kind: Pipeline
metadata: {name: hello}
spec:
  params: {type: object, properties: {name: {type: string, default: world}}}
  steps:
    - {name: say, run: [echo, "hello ${{ params.name }}"]}
"""


def register(subparsers: Subparsers) -> None:
    """`schedule`."""
    parser = subparsers.add_parser("schedule", help="schedule next NAME: coming firings")
    parser.add_argument("do", choices=["next"])
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("-n", type=int, default=10, metavar="N", help="how many (10)")
    add_output(parser)
    add_server(parser)
    parser.set_defaults(run=_next)


def register_token(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("token", help="token create, revoke, list")
    verbs = parser.add_subparsers(metavar="create|revoke|list", required=True)
    create = verbs.add_parser("create", help="a new token; it is shown once")
    create.add_argument("--role", required=True, choices=["viewer", "operator", "admin"])
    create.add_argument("--expires", metavar="30d")
    create.add_argument("--name", default="", help="whose it is")
    create.set_defaults(run=_create)
    revoke = verbs.add_parser("revoke")
    revoke.add_argument("id", metavar="ID")
    revoke.set_defaults(run=_revoke)
    listed = verbs.add_parser("list")
    listed.set_defaults(run=_tokens)
    for one in (create, revoke, listed):
        add_output(one)
        add_server(one)


def register_audit(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("audit", help="who did what")
    parser.add_argument("-n", type=int, default=50, metavar="N")
    add_output(parser)
    add_server(parser)
    parser.set_defaults(run=_audit)


def register_schema(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("schema", help="JSON Schemas: print one, or write all")
    parser.add_argument("what", metavar="KIND|write", nargs="?", help="nothing: the one of all kinds")
    parser.add_argument("folder", metavar="DIR", nargs="?", default=".schemas")
    parser.set_defaults(run=_schema)


def register_init(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "init", help="a new specs repository that validates; --cluster: policies and settings for Consul"
    )
    parser.add_argument("folder", metavar="DIR")
    parser.add_argument(
        "--cluster", action="store_true", help="write what a cluster's operator needs, and change no file"
    )
    parser.add_argument(
        "--controller", metavar="NAME", nargs="+", action="extend", default=[], help="hosts that lead"
    )
    parser.add_argument(
        "--node",
        metavar="NAME",
        nargs="+",
        action="extend",
        default=[],
        help="hosts that are told what to do",
    )
    parser.set_defaults(run=_init)


def register_version(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("version", help="which Olympus this is")
    parser.set_defaults(run=_version)


def register_completion(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("completion", help='for bash: eval "$(olympus completion)"')
    parser.set_defaults(run=_completion)


def _next(args: argparse.Namespace) -> int:
    client = Client.of(args)
    items = client.get("schedules", args.name, "next", n=args.n)["items"]

    def people() -> None:
        from zoneinfo import ZoneInfo  # noqa: PLC0415 - only people want another zone than UTC

        name = client.get("schedules", args.name)["spec"].get("timezone", "UTC")
        for item in items:
            moment = datetime.fromisoformat(item["at"]).astimezone(ZoneInfo(name))
            print(f"{moment:%Y-%m-%d %H:%M:%S} {name}")
        if not items:
            print(f"schedule '{args.name}' never fires again", file=sys.stderr)

    return emit(args, {"items": items}, people)


def _create(args: argparse.Namespace) -> int:
    made = Client.of(args).post(
        "tokens", body={"role": args.role, "expires": args.expires, "name": args.name}
    )
    return emit(args, made, lambda: print(made["token"]))


def _revoke(args: argparse.Namespace) -> int:
    Client.of(args).delete("tokens", args.id)
    print(f"token {args.id} is revoked")
    return 0


def _tokens(args: argparse.Namespace) -> int:
    items = Client.of(args).all("tokens")
    rows = [
        [t["id"], t["role"], t["name"], t["expiresAt"], "revoked" if t["revokedAt"] else "valid"]
        for t in items
    ]
    return emit(
        args, {"items": items}, lambda: table(["ID", "ROLE", "NAME", "EXPIRES", "STATE"], rows, "no tokens")
    )


def _audit(args: argparse.Namespace) -> int:
    client = Client.of(args)
    items = client.get("audit", limit=args.n)["items"]
    rows = [[a["at"], a["by"], a["action"], a["subject"], a["status"]] for a in reversed(items)]
    code = emit(
        args,
        {"items": items},
        lambda: table(["AT", "BY", "ACTION", "SUBJECT", "STATUS"], rows, "nobody did anything"),
    )
    checked = client.get("audit", "check")
    if not checked["intact"]:
        print(f"the audit was tampered with, from entry {checked['broken']} on", file=sys.stderr)
        return 1
    return code


def _schema(args: argparse.Namespace) -> int:
    from olympus.kernel.resources import shipped  # noqa: PLC0415

    folder = shipped("schemas")
    if args.what == "write":
        target = Path(args.folder)
        for source in sorted(folder.rglob("*.json")):
            file = target / source.relative_to(folder)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(source.read_bytes())
        print(f"wrote {target}/olympus.json and {len(list(folder.rglob('*.json'))) - 1} others")
        return 0
    known = {file.stem.lower(): file for file in folder.glob("*.json")}
    wanted = known.get((args.what or "olympus").lower())
    if wanted is None:
        raise Invalid(f"there is no schema of {args.what!r}: there are {', '.join(sorted(known))}")
    print(wanted.read_text(), end="")
    return 0


def _init(args: argparse.Namespace) -> int:
    folder = Path(args.folder)
    if args.cluster:
        return _init_cluster(folder, args)
    if args.controller or args.node:
        raise Invalid("--controller and --node go with --cluster")
    if folder.exists() and any(folder.iterdir()):
        raise Invalid(f"{folder} is not empty")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "hello.yaml").write_text(_SAMPLE)
    (folder / ".olympusignore").write_text("# Files that are no specs, as in .gitignore.\n.schemas/\n")
    (folder / ".gitignore").write_text(".schemas/\n")
    _schema(argparse.Namespace(what="write", folder=str(folder / ".schemas")))
    if shutil.which("git"):
        subprocess.run(["git", "init", "--quiet", "-b", "main", str(folder)], check=False)  # noqa: S607 - the user's
    print(f"{folder} is a specs repository: commit, add Olympus as its remote, push")
    return 0


def _init_cluster(folder: Path, args: argparse.Namespace) -> int:
    from olympus.cli import cluster  # noqa: PLC0415 - few ever need it

    written = cluster.write(folder, args.controller, args.node)
    for file in written:
        print(f"wrote {file}")
    print(f"{folder / 'README.md'} says what to do with them" if written else "all files were there already")
    return 0


def _version(_args: argparse.Namespace) -> int:
    print(f"olympus {__version__}")
    return 0


def _completion(_args: argparse.Namespace) -> int:
    from olympus.cli.main import COMMANDS  # noqa: PLC0415 - it imports us

    print(f'complete -W "{" ".join(COMMANDS)}" olympus')
    return 0
