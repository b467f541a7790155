"""What there is to be found: one function for each probe, each against the real thing, each with its end in time.

What `value` holds is said by `spec.kinds.check.VALUES`.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from olympus.argos.check_core import Fact, Found, NotLooked, Unanswered
from olympus.host import certificates, probes
from olympus.host.http_aiohttp import HttpClient
from olympus.host.process import Limits
from olympus.host.users import default_user
from olympus.kernel.clock import Clock
from olympus.kernel.errors import OlympusError
from olympus.records.desired import CheckDesired

MAX_OUTPUT: Final = 4096
"""Of what a command writes, from its end: the rest is not looked at."""

_LIMITS: Final = Limits(memory_bytes=1024**3, tasks=256, file_bytes=16 * 1024 * 1024)
_DAY: Final = 86400.0


@dataclass(frozen=True, slots=True)
class Tools:
    """folder: `STATE/checks`, where commands leave what they write."""

    client: HttpClient
    clock: Clock
    folder: Path

    def scope(self, name: str) -> str:
        """What marks all that a check's command begets; another Olympus on this machine has others."""
        mark = hashlib.blake2b(str(self.folder.absolute()).encode(), digest_size=6).hexdigest()
        return f"check/{mark}/{name}"


async def look(check: CheckDesired, tools: Tools) -> Fact:
    """Never raises but on cancellation."""
    try:
        return Found(await _PROBES[check.probe](check, tools))
    except probes.Unreached as error:
        return Unanswered(str(error))
    except OSError as error:
        where = f"{check.target}: " if check.target else ""
        return NotLooked(f"{where}{error.strerror or error}")
    except (OlympusError, ValueError) as error:
        # A host's name may be none that can be asked for: the resolver says so by a ValueError.
        return NotLooked(str(error))


async def _disk(check: CheckDesired, _: Tools) -> dict[str, Any]:
    found = await probes.in_time(lambda: os.statvfs(check.target), check.timeout)
    used = found.f_blocks - found.f_bfree
    # As df has it: what is reserved for root is neither used nor free.
    size = used + found.f_bavail
    return {
        "used_percent": 100.0 * used / size if size else 0.0,
        "free_bytes": found.f_bavail * found.f_frsize,
    }


async def _load(_check: CheckDesired, _: Tools) -> dict[str, Any]:
    return dict(zip(("one", "five", "fifteen"), os.getloadavg(), strict=True))


async def _memory(_check: CheckDesired, _: Tools) -> dict[str, Any]:
    sizes = {}
    for line in Path("/proc/meminfo").read_text().splitlines():
        name, _colon, rest = line.partition(":")
        sizes[name] = int(rest.split()[0])
    # What the kernel would give back when asked is not used.
    return {"used_percent": 100.0 * (1 - sizes["MemAvailable"] / sizes["MemTotal"])}


async def _certificate(check: CheckDesired, tools: Tools) -> dict[str, Any]:
    if check.target.startswith("/"):
        end = await certificates.end_of_file(Path(check.target), check.timeout)
    else:
        end = await certificates.end_of_server(check.target, check.timeout)
    return {"days_left": (end - tools.clock.now()).total_seconds() / _DAY}


async def _file(check: CheckDesired, tools: Tools) -> dict[str, Any]:
    try:
        found = await probes.in_time(lambda: os.stat(check.target), check.timeout)  # noqa: PTH116 - one call
    except (FileNotFoundError, NotADirectoryError):
        return {"exists": False}
    age = tools.clock.now().timestamp() - found.st_mtime
    return {"exists": True, "size": found.st_size, "age_seconds": max(0.0, age)}


async def _http(check: CheckDesired, tools: Tools) -> dict[str, Any]:
    answer = await probes.http(tools.client, check.target, check.timeout)
    return {"status": answer.status, "seconds": answer.seconds}


async def _tcp(check: CheckDesired, _: Tools) -> dict[str, Any]:
    return {"seconds": await probes.tcp(check.target, check.timeout)}


async def _command(check: CheckDesired, tools: Tools) -> dict[str, Any]:
    output = tools.folder / f"{check.name}.out"
    program = probes.Program(check.command, default_user(), tools.scope(check.name), output, _LIMITS)
    try:
        code = await probes.command(program, check.timeout)
        return {"exit": code, "output": _said(output)}
    finally:
        output.unlink(missing_ok=True)


def _said(output: Path) -> Any:
    """The last line where it is JSON, as of a step; else the text."""
    try:
        descriptor = os.open(output, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return ""
    with os.fdopen(descriptor, "rb") as file:
        size = os.fstat(descriptor)
        if not stat.S_ISREG(size.st_mode):
            return ""
        file.seek(max(0, size.st_size - MAX_OUTPUT))
        raw = file.read(MAX_OUTPUT).strip()
    try:
        return orjson.loads(raw.rpartition(b"\n")[2])
    except ValueError:
        return raw.decode(errors="replace")


_PROBES: Final[Mapping[str, Callable[[CheckDesired, Tools], Awaitable[dict[str, Any]]]]] = {
    "disk": _disk,
    "load": _load,
    "memory": _memory,
    "certificate": _certificate,
    "file": _file,
    "http": _http,
    "tcp": _tcp,
    "command": _command,
}
