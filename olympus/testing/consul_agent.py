"""A real Consul for tests: a dev server on loopback ports of its own, or one on disk that can be killed."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from olympus.testing.cluster import free_port

VERSION = "1.22.0"


def find_consul() -> str | None:
    """`$OLYMPUS_CONSUL`, `consul` on PATH, or the one that `make consul` built."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    built = cache / "olympus" / f"consul-{VERSION}" / "consul"
    return (
        os.environ.get("OLYMPUS_CONSUL") or shutil.which("consul") or (str(built) if built.exists() else None)
    )


class ConsulAgent:
    """`data` None: a dev server, in memory; else a single server whose data survive `kill` and `start`.

    settings: more of Consul's configuration. token: one that may write, where `settings` turn ACLs on.
    host: the address that it listens on, for clients and for other agents
    """

    def __init__(
        self,
        binary: str,
        data: Path | None = None,
        *,
        settings: Mapping[str, object] | None = None,
        token: str | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        self._binary = binary
        self._data = data
        self._more = settings or {}
        self._host = host
        self._headers = {"X-Consul-Token": token} if token else {}
        self._ports = {name: free_port() for name in ("http", "server", "serf_lan", "serf_wan")}
        self._folder = Path(tempfile.mkdtemp(prefix="olympus-consul-"))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"{self._host}:{self._ports['http']}"

    @property
    def gossip(self) -> str:
        """Where other agents join."""
        return f"{self._host}:{self._ports['serf_lan']}"

    @property
    def port(self) -> int:
        return self._ports["http"]

    def start(self) -> None:
        """Returns when there is a leader."""
        ports = {**self._ports, "dns": -1, "grpc": -1, "grpc_tls": -1}
        settings: dict[str, object] = {"ports": ports, "disable_update_check": True}
        if self._data is not None:
            settings |= {
                "data_dir": str(self._data),
                "server": True,
                "bootstrap": True,
                "performance": {"raft_multiplier": 1},
            }
        file, more = self._folder / "agent.json", self._folder / "more.json"
        file.write_text(json.dumps(settings))
        more.write_text(json.dumps(self._more))
        mode = ["-dev"] if self._data is None else []
        with (self._folder / "agent.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    self._binary,
                    "agent",
                    *mode,
                    f"-bind={self._host}",
                    f"-client={self._host}",
                    "-node=test",
                    f"-config-file={file}",
                    f"-config-file={more}",
                ],
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + 40
        while not self._leads():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError((self._folder / "agent.log").read_text()[-3000:])
            time.sleep(0.05)

    def _leads(self) -> bool:
        with contextlib.suppress(OSError, ValueError):
            with urllib.request.urlopen(f"http://{self.address}/v1/status/leader", timeout=2) as answer:
                if len(answer.read()) <= 4:
                    return False
            # The leader has to have taken over its store, too.
            return self.call("PUT", "/v1/kv/ready", b"x").strip() == b"true"
        return False

    def call(self, method: str, path: str, data: bytes | None = None) -> bytes:
        """A plain request with `token`, as an operator would make it."""
        request = urllib.request.Request(
            f"http://{self.address}{path}", data=data, method=method, headers=self._headers
        )
        with urllib.request.urlopen(request, timeout=5) as answer:
            return bytes(answer.read())

    def kill(self) -> None:
        """SIGKILL, as a power cut for it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        del kind, error, trace
        self.close()
