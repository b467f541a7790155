"""The rest: schedule next, token, audit, doctor, schema, init, version, completion."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from olympus import __version__
from olympus.cli.client import Client
from olympus.cli.output import Subparsers, add_output, add_server, emit, table
from olympus.kernel.errors import Invalid, OlympusError

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


def register_doctor(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("doctor", help="looks for what would not work, and says what to do")
    add_output(parser)
    add_server(parser)
    parser.set_defaults(run=_doctor)


def register_schema(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("schema", help="JSON Schemas: print one, or write all")
    parser.add_argument("what", metavar="KIND|write", nargs="?", help="nothing: the one of all kinds")
    parser.add_argument("folder", metavar="DIR", nargs="?", default=".schemas")
    parser.set_defaults(run=_schema)


def register_init(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("init", help="a new specs repository that validates")
    parser.add_argument("folder", metavar="DIR")
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


def _doctor(args: argparse.Namespace) -> int:
    found: list[dict[str, Any]] = []

    def look(what: str, good: bool, advice: str) -> None:
        found.append({"check": what, "ok": good, "advice": "" if good else advice})

    git = shutil.which("git")
    version = (
        subprocess.run([git, "--version"], capture_output=True, text=True, check=False).stdout if git else ""
    )
    look(f"git is installed ({version.strip() or 'no'})", bool(git), "install git")
    for tool in ("setpriv", "prlimit"):
        look(
            f"{tool} is installed",
            bool(shutil.which(tool)),
            "install util-linux: steps can't change user without it",
        )
    look("pidfd is there", hasattr(os, "pidfd_open"), "a kernel from 5.3 on is needed")
    try:
        client = Client.of(args)
        status = client.get("status")
        look("Olympus answers", True, "")
        look("nothing is wrong with what is declared", not status["problems"], "olympus status says what")
        look("the audit is whole", client.get("audit", "check")["intact"], "olympus audit says from where on")
    except OlympusError as error:
        look("Olympus answers", False, str(error))
    state = Path(os.environ.get("OLYMPUS_STATE") or args.state or "")
    client_file = state / "client.json"
    if client_file.is_file():
        look("client.json is private", not client_file.stat().st_mode & 0o077, f"chmod 600 {client_file}")
    rows = [["ok" if one["ok"] else "WRONG", one["check"], one["advice"]] for one in found]
    emit(args, {"items": found}, lambda: table(["", "CHECK", "WHAT TO DO"], rows, ""))
    return 0 if all(one["ok"] for one in found) else 1


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


def _version(_args: argparse.Namespace) -> int:
    print(f"olympus {__version__}")
    return 0


def _completion(_args: argparse.Namespace) -> int:
    from olympus.cli.main import COMMANDS  # noqa: PLC0415 - it imports us

    print(f'complete -W "{" ".join(COMMANDS)}" olympus')
    return 0
