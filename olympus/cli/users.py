"""user add, list, remove, password: people who log in with a name and a password."""

from __future__ import annotations

import argparse
import getpass
import sys

from olympus.cli.client import Client
from olympus.cli.output import Subparsers, add_output, add_server, emit, table
from olympus.kernel.errors import Invalid


def register(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "user",
        help="user add, list, remove, password",
        description="Passwords are asked for, or read from stdin.",
    )
    verbs = parser.add_subparsers(metavar="add|list|remove|password", required=True)
    add = verbs.add_parser("add", help="a new user")
    add.add_argument("name", metavar="NAME")
    add.add_argument(
        "--role", choices=["viewer", "operator", "admin"], help="at most; without it, Access alone gives one"
    )
    add.add_argument("--group", action="append", default=[], metavar="GROUP", help="that Access may name")
    add.set_defaults(run=_add)
    listed = verbs.add_parser("list")
    listed.set_defaults(run=_list)
    remove = verbs.add_parser("remove", help="his sessions end with it")
    remove.add_argument("name", metavar="NAME")
    remove.set_defaults(run=_remove)
    password = verbs.add_parser("password", help="a new one; sessions begun with the old one end")
    password.add_argument("name", metavar="NAME")
    password.set_defaults(run=_password)
    for one in (add, listed, remove, password):
        add_output(one)
        add_server(one)


def _add(args: argparse.Namespace) -> int:
    body = {"name": args.name, "password": _asked(), "role": args.role, "groups": args.group}
    made = Client.of(args).post("users", body=body)
    return emit(args, made, lambda: print(f"user {args.name} may log in"))


def _list(args: argparse.Namespace) -> int:
    items = Client.of(args).all("users")
    rows = [[u["name"], u["role"] or "as Access says", ", ".join(u["groups"]), u["createdAt"]] for u in items]
    return emit(
        args, {"items": items}, lambda: table(["NAME", "ROLE", "GROUPS", "CREATED"], rows, "no users")
    )


def _remove(args: argparse.Namespace) -> int:
    Client.of(args).delete("users", args.name)
    print(f"user {args.name} is removed")
    return 0


def _password(args: argparse.Namespace) -> int:
    Client.of(args).post("users", args.name, "password", body={"password": _asked()})
    print(f"user {args.name} has a new password")
    return 0


def _asked() -> str:
    """Never an argument: those are seen by every user of the machine."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    first = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != first:
        raise Invalid("the two passwords differ")
    return first
