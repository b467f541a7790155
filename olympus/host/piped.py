"""A program whose output is read as it comes, and which goes with us: its pipe ends when we do."""

from __future__ import annotations

import asyncio
import fcntl
from asyncio.subprocess import DEVNULL, PIPE, Process, SubprocessStreamProtocol
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

from olympus.host.process import PATH, SpawnFailed, find_program
from olympus.kernel.errors import OlympusError

AHEAD: Final = 1 << 20
"""Bytes that are taken before they are asked for; then the program has to wait."""

_COMPLAINT: Final = 2048
_PATIENCE: Final = 10.0


class Failed(OlympusError):
    """It ended, or did not end in time; the text is what it said of that."""


class Piped:
    """`read` until it returns nothing; `said` is the end of what it wrote to its standard error."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._listening = asyncio.create_task(self._listen())
        self.said = ""

    async def read(self, size: int = AHEAD) -> bytes:
        """What there is, at least a byte; empty at its end."""
        return await self._process.stdout.read(size) if self._process.stdout is not None else b""

    async def ended(self) -> int:
        """Its exit code, negative for a signal; by then `said` is whole."""
        code = await self._process.wait()
        await self._listening
        return code

    async def leave(self) -> None:
        """Its transport was closed."""
        self._listening.cancel()
        await asyncio.wait([self._listening])
        await self._process.wait()

    async def _listen(self) -> None:
        while self._process.stderr is not None and (text := await self._process.stderr.read(_COMPLAINT)):
            self.said = (self.said + text.decode(errors="replace"))[-_COMPLAINT:]


@asynccontextmanager
async def piped(argv: Sequence[str]) -> AsyncIterator[Piped]:
    """Started; at the end it is killed. Raises SpawnFailed."""
    program = find_program(argv[0])
    loop = asyncio.get_running_loop()
    try:
        transport, protocol = await loop.subprocess_exec(
            lambda: SubprocessStreamProtocol(AHEAD, loop),
            program,
            *argv[1:],
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
            env={"PATH": PATH, "LANG": "C.UTF-8"},
        )
    except OSError as error:
        raise SpawnFailed(f"{argv[0]}: {error.strerror}") from error
    _widen(transport)
    found = Piped(Process(transport, protocol, loop))
    try:
        yield found
    finally:
        # Its pipes are closed too: what it begot and left behind must not keep us waiting.
        transport.close()
        await asyncio.shield(found.leave())


def _widen(transport: asyncio.SubprocessTransport) -> None:
    """Fewer turns for much output; where that many bytes are not allowed, it is as it was."""
    pipe = transport.get_pipe_transport(1)
    # Closed: it has ended already.
    with suppress(OSError, ValueError):
        fcntl.fcntl(pipe.get_extra_info("pipe").fileno(), fcntl.F_SETPIPE_SZ, AHEAD)  # type: ignore[union-attr]


async def answer(argv: Sequence[str], most: int = AHEAD) -> bytes:
    """What a program writes that ends soon. Raises SpawnFailed, Failed."""
    try:
        async with asyncio.timeout(_PATIENCE), piped(argv) as program:
            text = b""
            while (more := await program.read()) and len(text) <= most:
                text += more
            if code := await program.ended():
                raise Failed(f"{argv[0]} ended with {code}: {program.said.strip() or 'it did not say why'}")
    except TimeoutError as error:
        raise Failed(f"{argv[0]} did not answer within {_PATIENCE:g} s") from error
    return text
