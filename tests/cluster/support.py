"""Olympus on hosts of the lab, installed as docs/olympus.service has it."""

from __future__ import annotations

import base64
import http.client
import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from olympus.testing.cluster import OlympusApi, eventually
from olympus.testing.consul_agent import ConsulAgent
from olympus.testing.lab import Host, Lab

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
        self.host.run("systemctl", "enable", "--now", "olympus")
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


CONSUL = """
[Service]
ExecStart={binary} agent -node={name} -bind={address} -client=127.0.0.1 -data-dir=/var/lib/consul \
 -retry-join={gossip} -retry-interval=1s -disable-host-node-id -log-level=warn
Restart=always
RestartSec=1s
[Install]
WantedBy=multi-user.target
"""
ZONES = {"n1": "east", "n2": "west", "n3": "west"}
NODES = "".join(
    f"""
apiVersion: olympus/v1
kind: Node
metadata: {{name: {name}, labels: {{host: {name}, zone: {zone}}}}}
spec: {{}}
---
"""
    for name, zone in ZONES.items()
)


class Cluster:
    """Hosts that each run a Consul agent and Olympus beside it."""

    def __init__(self, lab: Lab, consul: ConsulAgent, binary: str) -> None:
        self._lab = lab
        self._consul = consul
        self._binary = binary
        self.hosts: dict[str, OlympusOnHost] = {}

    def up(self, *names: str) -> None:
        for name in names:
            host = self._lab.boot(name)
            unit = CONSUL.format(
                binary=self._binary, name=name, address=host.address, gossip=self._consul.gossip
            )
            host.path("/etc/systemd/system/consul.service").write_text(unit)
            host.run("systemctl", "daemon-reload")
            host.run("systemctl", "enable", "--now", "consul")
            self.hosts[name] = OlympusOnHost(host, "--hermes consul://127.0.0.1:8500")
        for one in self.hosts.values():
            one.host.run("systemctl", "enable", "--now", "olympus")
        self.mend()

    def mend(self) -> None:
        """Everybody is there, and has nothing to do."""
        for one in self.hosts.values():
            one.host.thaw()
            one.host.heal()
            one.host.on()
        for one in self.hosts.values():
            eventually(one.ready, within=60, what=f"Olympus on {one.host.name} is ready")
        eventually(lambda: self.alive() == sorted(self.hosts), within=60, what="all are alive")
        self.push("")
        eventually(lambda: not self.somebody().get("/api/v1/services")["items"], what="nothing is declared")

    def somebody(self, *but: str) -> OlympusOnHost:
        """One that is well."""
        return next(one for name, one in self.hosts.items() if name not in but)

    def alive(self, *but: str) -> list[str]:
        nodes = self.somebody(*but).get("/api/v1/nodes")["items"]
        return sorted(node["metadata"]["name"] for node in nodes if node["status"]["alive"])

    def leader(self, role: str = "zeus") -> str:
        """The node that leads."""
        return self.key(f"leases/{role}")[0].decode()

    def key(self, name: str) -> tuple[bytes, int]:
        """A key of Hermes, and the index of its last change."""
        (entry,) = json.loads(self._consul.call("GET", f"/v1/kv/olympus/{name}"))
        return base64.b64decode(entry["Value"] or ""), int(entry["ModifyIndex"])

    def desired(self, node: str) -> dict[str, Any]:
        """What the node was told last; a line with who signed it goes before."""
        told: dict[str, Any] = json.loads(self.key(f"nodes/{node}/desired")[0].partition(b"\n")[2])
        return told

    def push(self, specs: str, *but: str) -> None:
        """What is declared beside the hosts."""
        said = self.somebody(*but).push({"nodes.yaml": NODES, "specs.yaml": specs}, "-o", "prune=confirm")
        assert "olympus: " in said, said

    def where(self, service: str, *but: str) -> list[str]:
        """The nodes where it is said to run."""
        there = self.somebody(*but).instances(service)
        return sorted(one["node"] for one in there if one["state"] == "running" and one["healthy"])

    def runs(self, argument: str, *but: str) -> list[str]:
        """The nodes where a process with this argument is; one for each process."""
        found = []
        for name, one in self.hosts.items():
            if name not in but:
                lines = one.host.run("ps", "-eo", "args").splitlines()
                found += [name for line in lines if line.split()[-1] == argument]
        return found
