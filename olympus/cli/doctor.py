"""`olympus doctor`: looks for what would not work, or would not be safe, and says what to do."""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from olympus.cli.client import Client
from olympus.cli.output import Subparsers, add_output, add_server, emit, table
from olympus.config import HermesSettings, default_state, hermes_settings, node_name
from olympus.kernel.errors import OlympusError


class _Findings:
    def __init__(self) -> None:
        self.items: list[dict[str, Any]] = []

    def add(self, what: str, good: bool | None, advice: str = "") -> None:
        """good: None where it cannot be seen from here."""
        self.items.append({"check": what, "ok": good, "advice": "" if good else advice})


def register(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("doctor", help="looks for what would not work, and says what to do")
    parser.add_argument("--hermes", metavar="WHERE", default="embedded", help="as for olympus up")
    parser.add_argument("--hermes-token-file", metavar="FILE", help="as for olympus up")
    parser.add_argument("--hermes-ca", metavar="FILE", help="as for olympus up")
    parser.add_argument("--node", metavar="NAME", help="as for olympus up")
    add_output(parser)
    add_server(parser)
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    found = _Findings()
    state = Path(args.state).expanduser() if args.state else default_state(os.environ)
    hermes = hermes_settings(args)
    _tools(found)
    # A node without pages has nobody to ask, and says so by leaving no client.json.
    if hermes.consul is None or args.server or (state / "client.json").exists():
        _server(found, args)
    _files(found, state)
    if hermes.consul is not None:
        _private(found, args.hermes_token_file)
        _consul(found, hermes, node_name(args.node), controls=(state / "controller.key").exists())
    words = {True: "ok", False: "WRONG", None: "unseen"}
    rows = [[words[one["ok"]], one["check"], one["advice"]] for one in found.items]
    emit(args, {"items": found.items}, lambda: table(["", "CHECK", "WHAT TO DO"], rows, ""))
    return 1 if any(one["ok"] is False for one in found.items) else 0


def _tools(found: _Findings) -> None:
    git = shutil.which("git")
    version = (
        subprocess.run([git, "--version"], capture_output=True, text=True, check=False).stdout if git else ""
    )
    found.add(f"git is installed ({version.strip() or 'no'})", bool(git), "install git")
    for tool in ("setpriv", "prlimit"):
        advice = "install util-linux: steps can't change user without it"
        found.add(f"{tool} is installed", bool(shutil.which(tool)), advice)
    found.add("pidfd is there", hasattr(os, "pidfd_open"), "a kernel from 5.3 on is needed")


def _server(found: _Findings, args: argparse.Namespace) -> None:
    try:
        client = Client.of(args)
        status = client.get("status")
        found.add("Olympus answers", True)
        found.add(
            "nothing is wrong with what is declared", not status["problems"], "olympus status says what"
        )
        intact = client.get("audit", "check")["intact"]
        found.add("the audit is whole", intact, "olympus audit says from where on")
    except OlympusError as error:
        found.add("Olympus answers", False, str(error))


def _files(found: _Findings, state: Path) -> None:
    for name in ("client.json", "controller.key"):
        if (state / name).exists():
            _private(found, str(state / name))
    pins = state / "controllers.pub"
    if pins.exists():
        found.add(
            "controllers.pub may be written by its owner alone",
            not pins.stat().st_mode & 0o022,
            f"chmod go-w {pins}",
        )


def _private(found: _Findings, path: str | None) -> None:
    if path:
        file = Path(path).expanduser()
        found.add(f"{file.name} is private", not file.stat().st_mode & 0o077, f"chmod 600 {file}")


def _consul(found: _Findings, hermes: HermesSettings, node: str, *, controls: bool) -> None:
    # Its vendor takes a while to import.
    from olympus.hermes.consul_client import ConsulAddress  # noqa: PLC0415
    from olympus.hermes.inspect_consul import inspect  # noqa: PLC0415

    if hermes.consul is None:
        return
    address = ConsulAddress(
        hermes.consul.host, hermes.consul.port, tls=hermes.tls, token=hermes.token, ca=hermes.ca
    )
    try:
        for one in asyncio.run(inspect(address, node, controls=controls)):
            found.add(one.what, one.good, one.advice)
    except OlympusError as error:
        found.add("Consul answers", False, str(error))
