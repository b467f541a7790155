"""A whole Olympus as a process: started, pushed to, asked, killed and started again.

with OlympusProcess(tmp_path / "state", node="n1") as olympus:
    olympus.push({"a.yaml": "…"})
    run = olympus.post("/api/v1/pipelines/greet/runs", {"params": {}})
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

from olympus.host.process import find_scope
from olympus.zeus.steward.unit_process import ProcessUnit

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said; `json` is None where the body is no JSON."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text) if self.text else None


def free_port() -> int:
    """A loopback port that nobody listens on just now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def eventually(probe: Callable[[], T], *, within: float = 20.0, what: str = "") -> T:
    """What `probe` returns once it is truthy; AssertionError, with its last answer, after `within` s."""
    deadline = time.monotonic() + within
    while True:
        got = probe()
        if got:
            return got
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within} s: {what or probe}; the last answer was {got!r}")
        time.sleep(0.02)


class OlympusApi:
    """What one asks of a running Olympus over HTTP."""

    @property
    def client(self) -> dict[str, str]:
        """What `client.json` holds: server and token."""
        raise NotImplementedError

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(urlsplit(self.client["server"]).netloc, timeout=30)

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = "",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request; `token` "" is the admin's of client.json, None is nobody's. Bytes go as they are."""
        given = dict(headers or {})
        if token is not None:
            given["Authorization"] = f"Bearer {token or self.client['token']}"
        raw = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        if raw is not None:
            given.setdefault("Content-Type", "application/json")
        connection = self._connection()
        try:
            connection.request(method, path, raw, given)
            response = connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read().decode())
        finally:
            connection.close()

    def get(self, path: str) -> Any:
        """The JSON of a GET; AssertionError unless 200."""
        answer = self.ask("GET", path)
        assert answer.status == 200, f"GET {path}: {answer.status} {answer.text}"
        return answer.json

    def post(self, path: str, body: Any = None) -> Any:
        """The JSON of a POST; AssertionError unless 2xx."""
        answer = self.ask("POST", path, {} if body is None else body)
        assert 200 <= answer.status < 300, f"POST {path}: {answer.status} {answer.text}"
        return answer.json

    def run(self, pipeline: str, params: Mapping[str, Any] | None = None, *, within: float = 30.0) -> Any:
        """Start a pipeline and wait for its end: the run."""
        started = self.post(f"/api/v1/pipelines/{pipeline}/runs", {"params": dict(params or {})})
        return self.finished(started["id"], within=within)

    def finished(self, run: str, *, within: float = 30.0) -> Any:
        """The run, once it has ended."""

        def ended() -> Any:
            got = self.get(f"/api/v1/runs/{run}")
            return got if got["finishedAt"] else None

        return eventually(ended, within=within, what=f"the end of run {run}")

    def events(self, query: str = "") -> list[Any]:
        """The history, newest first."""
        items: list[Any] = self.get(f"/api/v1/events?{query}")["items"]
        return items


class OlympusProcess(OlympusApi):
    """`olympus up` with its state in `state`; output goes to `state.log` beside it."""

    def __init__(
        self,
        state: Path,
        *,
        node: str = "n1",
        hermes: str = "embedded",
        args: tuple[str, ...] = (),
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.state = state
        self.log = state.with_suffix(".log")
        self._argv = [
            *(sys.executable, "-m", "olympus.cli.main", "up", "--state", str(state), "--node", node),
            *("--listen", f"127.0.0.1:{free_port()}", "--hermes", hermes, *args),
        ]
        self._env = {**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})}
        self._node = node
        self._said = 0
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        del kind, error, trace
        self.stop()

    def start(self, *, within: float = 30.0) -> None:
        """Returns when `/readyz` says yes; without Apollo, when it says that it runs."""
        self._said = len(self.output())
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self._argv, env=self._env, stdout=log, stderr=log)
        eventually(self._ready, within=within, what="ready")

    def _ready(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(f"olympus up ended with {self.process.returncode}:\n{self.output()[-4000:]}")
        if f"node    {self._node} runs" in self.output()[self._said :]:
            return True
        try:
            return self.ask("GET", "/readyz", token=None).status == 200
        except (OSError, http.client.HTTPException, ValueError, KeyError):
            return False

    @property
    def client(self) -> dict[str, str]:
        content: dict[str, str] = json.loads((self.state / "client.json").read_text())
        return content

    def output(self) -> str:
        """All that it printed so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def stop(self, *, within: float = 20.0) -> int:
        """As Ctrl-C does it; the exit code. Services go on."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(within)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)
            self.process.wait(5)
            raise AssertionError(f"it did not stop on SIGINT:\n{self.output()[-4000:]}") from None
        finally:
            self.process = None

    def kill(self) -> None:
        """SIGKILL: as a power cut for the program, while its services go on."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.process = None

    def end_services(self) -> None:
        """SIGKILL the processes of all services: a stop leaves them."""
        folder = self.state / "services"
        ours = ProcessUnit(folder)
        names = [one.name for one in folder.iterdir() if one.is_dir()] if folder.exists() else []
        for identity in (one for name in names for one in find_scope(ours.scope(name))):
            with contextlib.suppress(ProcessLookupError):
                os.kill(identity.pid, signal.SIGKILL)

    def push(self, files: Mapping[str, str], *options: str, remote: str | None = None) -> str:
        """Commit `files` as the whole tree of a clone of the specs and push it to main; what git printed.

        Raises subprocess.CalledProcessError, its `stderr` being what git printed, where the push is refused.
        """
        clone = self.state.with_suffix(".clone")
        origin = remote or str(self.state / "specs.git")
        if not clone.exists():
            self.git("clone", "--quiet", origin, str(clone), cwd=self.state.parent)
        for old in clone.rglob("*"):
            if old.is_file() and ".git" not in old.relative_to(clone).parts:
                old.unlink()
        for name, text in files.items():
            file = clone / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        self.git("add", "-A", cwd=clone)
        self.git("commit", "--quiet", "--allow-empty", "-m", "specs", cwd=clone)
        try:
            return self.git("push", *options, origin, "HEAD:main", cwd=clone)
        except subprocess.CalledProcessError:
            self.git("reset", "--quiet", "--soft", "HEAD~1", cwd=clone, check=False)
            raise

    def git(self, *args: str, cwd: Path, check: bool = True) -> str:
        """Real git, as a user with a name; both of its outputs as one text."""
        who = ("-c", "user.name=Operator", "-c", "user.email=operator@example.org")
        done = subprocess.run(
            ["git", *who, "-c", "init.defaultBranch=main", *args],  # noqa: S607 - the user's git
            cwd=cwd,
            env={**os.environ, "GIT_TERMINAL_PROMPT": "0"},
            check=False,
            capture_output=True,
            text=True,
        )
        if check and done.returncode:
            raise subprocess.CalledProcessError(done.returncode, args, done.stdout, done.stdout + done.stderr)
        return done.stdout + done.stderr
