"""Push and fetch over HTTP: `git http-backend` behind whatever web server asks, request and answer streamed.

Protocol: git-scm.com/docs/http-protocol; the CGI is git-scm.com/docs/git-http-backend. Who may
push or fetch is decided before this is called; the pusher's name reaches the hooks as REMOTE_USER.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

from olympus.kernel.errors import NotFound, Refused

Stream = TypeVar("Stream", asyncio.StreamReader, asyncio.StreamWriter)

_CHUNK: Final = 64 * 1024
_MAX_HEAD: Final = 16 * 1024
_PATHS: Final = re.compile(r"info/refs|git-upload-pack|git-receive-pack")
_SERVICES: Final = ("service=git-upload-pack", "service=git-receive-pack")


@dataclass(frozen=True, slots=True)
class GitRequest:
    """path: what follows `/git/NAME.git/`; headers: lower-case names; query: without the `?`."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    address: str = ""

    @property
    def pushes(self) -> bool:
        """Whether the right to push is needed (also to list refs for a push)."""
        return "git-receive-pack" in (self.path, self.query.removeprefix("service="))


@dataclass(frozen=True, slots=True)
class GitAnswer:
    status: int
    headers: tuple[tuple[str, str], ...]
    body: AsyncIterator[bytes]


@asynccontextmanager
async def serve_git(
    repository: Path, request: GitRequest, body: AsyncIterator[bytes]
) -> AsyncIterator[GitAnswer]:
    """Run one request against the bare `repository`. git is killed when the context is left before its end.

    Raises NotFound for a path that is none of the smart protocol's (the dumb one would show any file),
    Refused where the method does not fit.
    """
    _check(request)
    process = await asyncio.create_subprocess_exec(
        "git",
        "http-backend",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=_environment(repository, request),
        limit=_CHUNK,
    )
    feeding = asyncio.ensure_future(_feed(process, body))
    try:
        stdout = _pipe(process.stdout)
        status, headers = await _head(stdout)
        yield GitAnswer(status, headers, _rest(stdout))
    finally:
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)
        if process.returncode is None:
            # It ends by itself soon after its answer; what lingers belongs to a client that went away.
            try:
                async with asyncio.timeout(1.0):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()


def _check(request: GitRequest) -> None:
    if not _PATHS.fullmatch(request.path):
        raise NotFound(f"no such thing in a repository: {request.path!r}")
    if request.path == "info/refs":
        if request.method != "GET" or request.query not in _SERVICES:
            raise Refused("only git's smart protocol is spoken here: GET info/refs?service=git-…-pack")
    elif request.method != "POST":
        raise Refused(f"{request.path} is to be posted")


def _environment(repository: Path, request: GitRequest) -> dict[str, str]:
    headers = request.headers
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "GIT_PROJECT_ROOT": str(repository.parent),
        "GIT_HTTP_EXPORT_ALL": "1",
        "GIT_HTTP_MAX_REQUEST_BUFFER": "100M",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "PATH_INFO": f"/{repository.name}/{request.path}",
        "REQUEST_METHOD": request.method,
        "QUERY_STRING": request.query,
        "CONTENT_TYPE": headers.get("content-type", ""),
        "REMOTE_USER": request.user or "anonymous",
        "REMOTE_ADDR": request.address or "127.0.0.1",
        "LC_ALL": "C",
    }
    for header, variable in (
        ("content-length", "CONTENT_LENGTH"),
        ("content-encoding", "HTTP_CONTENT_ENCODING"),
        ("git-protocol", "GIT_PROTOCOL"),
    ):
        if header in headers:
            environment[variable] = headers[header]
    return environment


def _pipe(stream: Stream | None) -> Stream:
    if stream is None:
        raise OSError("git was started without pipes")
    return stream


async def _feed(process: asyncio.subprocess.Process, body: AsyncIterator[bytes]) -> None:
    stdin = _pipe(process.stdin)
    try:
        async for piece in body:
            stdin.write(piece)
            await stdin.drain()
    except (BrokenPipeError, ConnectionResetError):
        return  # git has seen enough and answers
    finally:
        stdin.close()


async def _head(stdout: asyncio.StreamReader) -> tuple[int, tuple[tuple[str, str], ...]]:
    headers: list[tuple[str, str]] = []
    status, size = 200, 0
    while True:
        line = await stdout.readline()
        size += len(line)
        if not line or size > _MAX_HEAD:
            raise Refused("git gave no answer")
        text = line.decode("latin-1").rstrip("\r\n")
        if not text:
            return status, tuple(headers)
        name, _, value = text.partition(":")
        if name.lower() == "status":
            status = int(value.split()[0])
        else:
            headers.append((name, value.strip()))


async def _rest(stdout: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while piece := await stdout.read(_CHUNK):
        yield piece
