"""A minimal web server around `serve_git`: for tests of git over HTTP without the whole of Apollo."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from olympus.zeus.smart_http import GitRequest, serve_git


async def _body(reader: asyncio.StreamReader, headers: dict[str, str]) -> AsyncIterator[bytes]:
    if headers.get("transfer-encoding") == "chunked":
        while size := int((await reader.readline()).strip(), 16):
            yield await reader.readexactly(size)
            await reader.readline()
        return
    left = int(headers.get("content-length", "0"))
    while left:
        piece = await reader.read(min(left, 65536))
        left -= len(piece)
        yield piece


@asynccontextmanager
async def git_server(repository: Path, *, user: str = "ada") -> AsyncIterator[str]:
    """Its URL; whoever comes is `user`."""

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        method, target, _ = (await reader.readline()).decode().split()
        headers = {}
        while line := (await reader.readline()).decode().strip():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        path, _, query = target.partition("?")
        request = GitRequest(method, path.removeprefix("/git/specs.git/"), query, headers, user=user)
        async with serve_git(repository, request, _body(reader, headers)) as answer:
            lines = [f"HTTP/1.0 {answer.status} x", *(f"{name}: {value}" for name, value in answer.headers)]
            writer.write("\r\n".join([*lines, "", ""]).encode())
            async for piece in answer.body:
                writer.write(piece)
            await writer.drain()
        writer.close()

    listening = await asyncio.start_server(one, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/git/specs.git"
    finally:
        listening.close()
