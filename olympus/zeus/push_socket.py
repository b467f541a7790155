"""Where the hooks of the specs repository find the running Olympus: the unix socket `STATE/push.sock`.

One JSON line comes in (see `hook_script`), lines `{"line": "…"}` go out as they are known, the last is
`{"exit": 0}`. Only the owner of the state directory can connect.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, Protocol, TypeAlias

import orjson

from olympus.kernel.errors import OlympusError
from olympus.zeus.push import Push, printable, push_from_json

log = logging.getLogger("olympus.zeus")

SOCKET: Final = "push.sock"
_MAX_MESSAGE: Final = 16 * 1024 * 1024

Say: TypeAlias = Callable[[str], Awaitable[None]]


class PushHandler(Protocol):
    """What a push asks of Olympus. `say` sends a line to whoever pushes."""

    async def check(self, push: Push, say: Say) -> bool:
        """Whether git may take the push; what was wrong was said."""
        ...

    async def received(self, push: Push, say: Say) -> None:
        """Git has taken the push."""
        ...


@asynccontextmanager
async def push_socket(state: Path, handler: PushHandler) -> AsyncIterator[None]:
    """Listen while the context is open."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await _answer(reader, writer, handler)
        except ConnectionError:
            log.info("push_connection_lost")
        finally:
            writer.close()

    path = state / SOCKET
    path.unlink(missing_ok=True)
    directory = os.open(state, os.O_RDONLY | os.O_DIRECTORY)
    mask = os.umask(0o177)
    try:
        # A socket's path may have 107 bytes; through the descriptor, the state directory's may have more.
        short = f"/proc/self/fd/{directory}/{SOCKET}"
        server = await asyncio.start_unix_server(answer, path=short, limit=_MAX_MESSAGE)
    finally:
        os.umask(mask)
    try:
        yield
    finally:
        server.close()
        path.unlink(missing_ok=True)
        os.close(directory)


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, handler: PushHandler) -> None:
    async def say(line: str) -> None:
        writer.write(orjson.dumps({"line": printable(line)}) + b"\n")
        await writer.drain()

    raw = await reader.readline()
    agreed = False
    try:
        push = push_from_json(orjson.loads(raw))
        if push.hook == "pre-receive":
            agreed = await handler.check(push, say)
        else:
            await handler.received(push, say)
            agreed = True
    except (OlympusError, ValueError) as exc:
        await say(f"refused: {exc}")
    except Exception as exc:
        log.exception("push_failed")
        await say(f"refused: internal error: {exc!r}")
    writer.write(orjson.dumps({"exit": 0 if agreed else 1}) + b"\n")
    await writer.drain()
