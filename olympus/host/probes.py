"""Looking at what there is: whether a server answers, what a program says. Each look has an end in time.

Whoever asks decides what it means: a service's health check, or a Check of a host.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from olympus.host import cgroup
from olympus.host.http_aiohttp import HttpClient, HttpFailed
from olympus.host.process import PATH, Command, Identity, Limits, find_scope, kill, release, spawn, wait
from olympus.kernel.errors import OlympusError

T = TypeVar("T")

NOWHERE: Final = Path("/dev/null")


class Unreached(OlympusError):
    """Nobody answers there; the text says who and why."""


class NotInTime(OlympusError):
    """It had no end within its time, so that nothing is known."""


@dataclass(frozen=True, slots=True)
class Answered:
    """seconds: until the whole answer was there."""

    status: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Program:
    """user: whom it runs as; scope: names all that belongs to it, unique among what runs.

    output: gets what it writes, in place of what is in it.
    """

    argv: tuple[str, ...]
    user: str
    scope: str
    output: Path = NOWHERE
    limits: Limits = field(default_factory=Limits)


async def http(client: HttpClient, url: str, timeout: float) -> Answered:
    """The first answer: redirects are not followed. Raises Unreached, Refused (no request may go there)."""
    begun = time.monotonic()
    try:
        answer = await client.request("GET", url, timeout=timeout, redirects=False)
    except HttpFailed as error:
        raise Unreached(str(error)) from error
    return Answered(answer.status, time.monotonic() - begun)


async def tcp(address: str, timeout: float) -> float:
    """Seconds until `host:port` accepted the connection. Raises Unreached."""
    host, _, port = address.rpartition(":")
    begun = time.monotonic()
    try:
        async with asyncio.timeout(timeout):
            _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    except TimeoutError as error:
        raise Unreached(f"no connection to {address} within {timeout:g} s") from error
    except (OSError, UnicodeError) as error:
        raise Unreached(f"no connection to {address}: {getattr(error, 'strerror', None) or error}") from error
    seconds = time.monotonic() - begun
    writer.close()
    return seconds


async def command(program: Program, timeout: float) -> int:
    """The program's exit code (negative: the signal). Raises NotInTime, SpawnFailed, Refused, Invalid.

    Nothing of it is left afterwards, where there are control groups also nothing that called setsid.
    """
    if program.output != NOWHERE:
        program.output.unlink(missing_ok=True)
    identity = spawn(
        Command(
            argv=program.argv,
            stdout=program.output,
            scope=program.scope,
            env={"PATH": PATH, "LANG": "C.UTF-8"},
            user=program.user,
            limits=program.limits,
        )
    )
    return await _ended(program, identity, timeout)


async def _ended(program: Program, identity: Identity, timeout: float) -> int:
    try:
        async with asyncio.timeout(timeout):
            code = await wait(identity)
    except TimeoutError as error:
        await kill(identity, program.scope, grace=0.0)
        raise NotInTime(f"no end within {timeout:g} s") from error
    except asyncio.CancelledError:
        await asyncio.shield(kill(identity, program.scope, grace=0.0))
        raise
    if cgroup.members(program.scope):
        await kill(None, program.scope, grace=0.0)
    release(program.scope)
    # Without a status there was nobody to tell it: somebody else collected it.
    return -1 if code is None else code


async def clear(scope: str) -> None:
    """End what a look of ours before a restart left running."""
    if find_scope(scope):
        await kill(None, scope, grace=0.0)


async def in_time(look: Callable[[], T], timeout: float) -> T:
    """What `look` returns, in a thread of its own. Raises NotInTime, and what it raises.

    A look at a file system whose server is away hangs in the kernel: its thread is left to it, and holds up
    neither other looks nor our end.
    """
    loop = asyncio.get_running_loop()
    found: asyncio.Future[T] = loop.create_future()

    def work() -> None:
        settle: Callable[[], None]
        try:
            settle = partial(found.set_result, look())
        except Exception as error:  # noqa: BLE001 - it is the caller's, in his thread
            settle = partial(found.set_exception, error)
        with suppress(RuntimeError):
            # The loop is closed where we ended meanwhile.
            loop.call_soon_threadsafe(lambda: None if found.done() else settle())

    threading.Thread(target=work, name="look", daemon=True).start()
    try:
        async with asyncio.timeout(timeout):
            return await found
    except TimeoutError as error:
        if found.done() and not found.cancelled():
            raise
        raise NotInTime(f"no answer within {timeout:g} s") from error
