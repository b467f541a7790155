"""Is a service well? http: an answer of 2xx or 3xx; tcp: a connection; command: exit code 0."""

from __future__ import annotations

import asyncio
from pathlib import Path

from olympus.host.http_aiohttp import HttpClient, HttpFailed
from olympus.host.process import PATH, Command, kill, spawn, wait
from olympus.kernel.errors import OlympusError
from olympus.records.desired import HealthCheck


async def perform(check: HealthCheck, client: HttpClient, *, user: str, scope: str) -> tuple[bool, str]:
    """Whether it passes, and what was seen. Never raises but on cancellation."""
    try:
        if check.http is not None:
            return await _http(check, client)
        if check.tcp is not None:
            return await _tcp(check.tcp, check.timeout)
        return await _command(check, user, scope)
    except (OlympusError, OSError) as error:
        return False, str(error)


async def _http(check: HealthCheck, client: HttpClient) -> tuple[bool, str]:
    try:
        answer = await client.request("GET", check.http or "", timeout=check.timeout, redirects=False)
    except HttpFailed as error:
        return False, str(error)
    return 200 <= answer.status < 400, f"the answer is {answer.status}"


async def _tcp(address: str, timeout: float) -> tuple[bool, str]:
    host, _, port = address.rpartition(":")
    try:
        async with asyncio.timeout(timeout):
            _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    except TimeoutError:
        return False, f"no connection to {address} within {timeout:g} s"
    except OSError as error:
        return False, f"no connection to {address}: {error.strerror or error}"
    writer.close()
    return True, f"{address} accepts connections"


async def _command(check: HealthCheck, user: str, scope: str) -> tuple[bool, str]:
    command = Command(
        argv=check.command or (),
        stdout=Path("/dev/null"),
        scope=scope,
        env={"PATH": PATH, "LANG": "C.UTF-8"},
        user=user,
    )
    identity = spawn(command)
    try:
        async with asyncio.timeout(check.timeout):
            code = await wait(identity)
    except TimeoutError:
        await kill(identity, scope, grace=0.0)
        return False, f"no end within {check.timeout:g} s"
    except asyncio.CancelledError:
        await asyncio.shield(kill(identity, scope, grace=0.0))
        raise
    return code == 0, f"exit code {code}"
