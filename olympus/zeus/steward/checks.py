"""Is a service well? http: an answer of 2xx or 3xx; tcp: a connection; command: exit code 0."""

from __future__ import annotations

from olympus.host import probes
from olympus.host.http_aiohttp import HttpClient
from olympus.kernel.errors import OlympusError
from olympus.records.desired import HealthCheck


async def perform(check: HealthCheck, client: HttpClient, *, user: str, scope: str) -> tuple[bool, str]:
    """Whether it passes, and what was seen. Never raises but on cancellation."""
    try:
        if check.http is not None:
            answer = await probes.http(client, check.http, check.timeout)
            return 200 <= answer.status < 400, f"the answer is {answer.status}"
        if check.tcp is not None:
            await probes.tcp(check.tcp, check.timeout)
            return True, f"{check.tcp} accepts connections"
        code = await probes.command(probes.Program(check.command or (), user, scope), check.timeout)
    except (OlympusError, OSError) as error:
        return False, str(error)
    return code == 0, f"exit code {code}"
