"""Olympus on a host of the lab, installed as docs/olympus.service has it."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from olympus.testing.cluster import OlympusApi, eventually
from olympus.testing.lab import Host

STATE = "/var/lib/olympus"
REPOSITORY = Path(__file__).parents[2]
PROGRAM = f'#!/bin/sh\nexec env PYTHONPATH={REPOSITORY} {sys.executable} -m olympus.cli.main "$@"\n'
UNIT = REPOSITORY / "docs/olympus.service"


class HostConnection(http.client.HTTPConnection):
    """To a loopback port of a host."""

    def __init__(self, host: Host, port: int) -> None:
        super().__init__("127.0.0.1", port, timeout=30)
        self._host = host

    def connect(self) -> None:
        self.sock = self._host.connect(self.port)


class OlympusOnHost(OlympusApi):
    """`olympus up` as a unit of the host's systemd; `up` is what /etc/default/olympus says."""

    def __init__(self, host: Host, up: str = "") -> None:
        self.host = host
        for path, content in (
            ("/usr/local/bin/olympus", PROGRAM),
            ("/etc/systemd/system/olympus.service", UNIT.read_text()),
            ("/etc/default/olympus", f"OLYMPUS_UP=--node {host.name} {up}\n"),
        ):
            host.path(path).write_text(content)
        host.path("/usr/local/bin/olympus").chmod(0o755)
        host.run("systemctl", "daemon-reload")

    def start(self, *, within: float = 30.0) -> None:
        """Returns when it is ready."""
        self.host.run("systemctl", "start", "olympus")
        eventually(self.ready, within=within, what=f"Olympus on {self.host.name} is ready")

    def stop(self) -> None:
        """What it runs goes on."""
        self.host.run("systemctl", "stop", "olympus")

    def ready(self) -> bool:
        try:
            return self.ask("GET", "/readyz", token=None).status == 200
        except (OSError, http.client.HTTPException, ValueError, KeyError):
            return False

    @property
    def client(self) -> dict[str, str]:
        content: dict[str, str] = json.loads(self.host.path(f"{STATE}/client.json").read_text())
        return content

    def _connection(self) -> http.client.HTTPConnection:
        return HostConnection(self.host, urlsplit(self.client["server"]).port or 80)

    def cli(self, *words: str) -> str:
        """What `olympus WORDS` prints there."""
        return self.host.run("olympus", *words, env={"OLYMPUS_STATE": STATE})

    def log(self) -> str:
        """All that it wrote to the journal."""
        return self.host.run("journalctl", "-u", "olympus", "-o", "cat", "--no-pager")

    def push(self, files: Mapping[str, str], *options: str) -> str:
        """Commit `files` as the whole tree and push to main, with the host's git; what it printed."""
        clone = self.host.path("/root/specs")
        if not clone.exists():
            self._git("clone", "--quiet", f"{STATE}/specs.git", "/root/specs", cwd="/")
        for old in clone.iterdir():
            if old.name != ".git":
                self.host.run("rm", "-rf", f"/root/specs/{old.name}")
        for name, text in files.items():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            (clone / name).write_text(text)
        self._git("add", "-A")
        self._git("commit", "--quiet", "--allow-empty", "-m", "specs")
        return self._git("push", *options, "origin", "HEAD:main")

    def _git(self, *words: str, cwd: str = "/root/specs") -> str:
        who = ("-c", "user.name=Operator", "-c", "user.email=operator@example.org", "-c", "safe.directory=*")
        done = self.host.ask("git", "-C", cwd, *who, *words)
        if done.returncode:
            raise subprocess.CalledProcessError(
                done.returncode, words, done.stdout, done.stdout + done.stderr
            )
        return done.stdout + done.stderr

    def instances(self, service: str) -> list[dict[str, Any]]:
        answer = self.ask("GET", f"/api/v1/services/{service}")
        return [] if answer.status == 404 else answer.json["status"]["instances"]

    def instance(
        self, service: str, when: Callable[[dict[str, Any]], Any], *, within: float = 30.0, what: str = ""
    ) -> dict[str, Any]:
        """The one on this host, once `when` says yes of it."""

        def found() -> dict[str, Any] | None:
            one = next((i for i in self.instances(service) if i["node"] == self.host.name), None)
            return one if one and when(one) else None

        return eventually(
            found, within=within, what=what or f"{service} on {self.host.name}: {self.instances(service)}"
        )
