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
    config:   a file that says all that an operator would say; then `settings` are what differs in a test
    server:   whose client agent this one is
    host:     the address that it listens on, for clients and for other agents
    """

    def __init__(  # noqa: PLR0913 - what tests vary
        self,
        binary: str,
        data: Path | None = None,
        *,
        settings: Mapping[str, object] | None = None,
        token: str | None = None,
        config: Path | None = None,
        server: ConsulAgent | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        self._binary = binary
        self._data = data
        self._more = settings or {}
        self._host = host
        self._headers = {"X-Consul-Token": token} if token else {}
        self.ports = {name: free_port() for name in ("http", "server", "serf_lan", "serf_wan")}
        self._config = config
        self._server = server
        if server is not None:
            # Where a client looks for its server's RPC.
            self.ports["server"] = server.ports["server"]
        self._folder = Path(tempfile.mkdtemp(prefix="olympus-consul-"))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"{self._host}:{self.ports['http']}"

    @property
    def gossip(self) -> str:
        """Where other agents join."""
        return f"{self._host}:{self.ports['serf_lan']}"

    @property
    def port(self) -> int:
        return self.ports["http"]

    def start(self) -> None:
        """Returns when there is a leader."""
        ports = {**self.ports, "dns": -1, "grpc": -1, "grpc_tls": -1}
        settings: dict[str, object] = {"ports": ports, "disable_update_check": True}
        if self._data is not None:
            settings["data_dir"] = str(self._data)
        if self._server is not None:
            settings["retry_join"] = [self._server.gossip]
            settings["retry_interval"] = "1s"
        elif self._data is not None and self._config is None:
            settings |= {
                "server": True,
                "bootstrap": True,
                "performance": {"raft_multiplier": 1},
            }
        file, more = self._folder / "agent.json", self._folder / "more.json"
        file.write_text(json.dumps(settings))
        more.write_text(json.dumps(self._more))
        mode = ["-dev"] if self._data is None else []
        mode += ["-node=test"] if self._config is None else [f"-config-file={self._config}"]
        with (self._folder / "agent.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    self._binary,
                    "agent",
                    *mode,
                    f"-bind={self._host}",
                    f"-client={self._host}",
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
