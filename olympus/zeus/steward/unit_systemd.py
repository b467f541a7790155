"""Units that systemd runs: we start, stop and watch them through systemctl(1)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from typing import Final

from olympus.host.process import Identity, boot_id, wait
from olympus.kernel.errors import Invalid, Stalled
from olympus.records.desired import BlobRef, InstanceSpec, SystemdRun

_UNITS: Final = Path("/etc/systemd/system")
_TIMEOUT: Final = 100.0


class SystemdUnit:
    """`load` gets the content of a unit's file."""

    def __init__(self, load: Callable[[BlobRef], Awaitable[bytes]]) -> None:
        self._load = load

    async def find(self, spec: InstanceSpec) -> Identity | None:
        return await self._main(_unit(spec).unit)

    async def start(self, spec: InstanceSpec, allow_users: Collection[str]) -> Identity | None:
        del allow_users
        run = _unit(spec)
        if run.file is not None:
            content = await self._load(run.file)
            file = _UNITS / run.unit
            if not file.exists() or file.read_bytes() != content:
                file.write_bytes(content)
                await _systemctl("daemon-reload")
        if run.enable:
            await _systemctl("enable", "--", run.unit)
        await _systemctl("restart", "--", run.unit)
        return await self._main(run.unit)

    async def stop(self, spec: InstanceSpec, identity: Identity | None) -> None:
        del identity
        await _systemctl("stop", "--", _unit(spec).unit)

    async def reload(self, spec: InstanceSpec, identity: Identity | None) -> None:
        del identity
        await _systemctl("reload-or-restart", "--", _unit(spec).unit)

    async def ended(self, spec: InstanceSpec, identity: Identity) -> int | None:
        del spec
        return await wait(identity)

    async def forget(self, service: str) -> None:
        """The unit was stopped; its file stays, as a package's would."""

    async def _main(self, unit: str) -> Identity | None:
        said = await _systemctl("show", "--property=MainPID,ActiveState", "--", unit)
        values = dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
        pid = int(values.get("MainPID") or 0)
        if not pid or values.get("ActiveState") not in ("active", "reloading", "activating"):
            return None
        try:
            stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        return Identity(boot_id(), pid, int(stat[19]))


def _unit(spec: InstanceSpec) -> SystemdRun:
    if spec.systemd is None:
        raise Invalid(f"service '{spec.service}' is no unit of systemd's")
    return spec.systemd


async def _systemctl(*words: str) -> str:
    if not Path("/run/systemd/system").is_dir():
        raise Stalled("systemd is not running on this node: use run.process, or another node")
    process = await asyncio.create_subprocess_exec(
        "systemctl",
        "--no-ask-password",
        *words,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(_TIMEOUT):
        said, _ = await process.communicate()
    text = said.decode(errors="replace").strip()
    if process.returncode:
        raise Stalled(f"systemctl {' '.join(words)}: {text or process.returncode}")
    return text
