"""Units that systemd runs: we start, stop and watch them through systemctl(1).

A unit's state is known by its main process, watched as ours are. One without (a timer, a oneshot that remains)
is watched by the link that systemd keeps in /run/systemd/units while it is active: looking at it costs nothing.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from typing import Any, Final

from olympus.host.process import Identity, boot_id, identify, wait
from olympus.kernel.errors import Invalid, Stalled
from olympus.records.desired import BlobRef, FileSpec, InstanceSpec, SystemdRun
from olympus.zeus.steward import files
from olympus.zeus.steward.ports import Ended

_UNITS: Final = Path("/etc/systemd/system")
_INVOCATIONS: Final = Path("/run/systemd/units")
_TIMEOUT: Final = 100.0
_LOOK: Final = 1.0
_SETTLED: Final = 0.05
_LOOKS: Final = 200
_ACTIVE: Final = ("active", "reloading", "refreshing")
# systemd.exec(5), "Process Exit Codes": what the program itself never said.
_CODES: Final = {
    200: "its folder can not be entered",
    203: "its program can not be executed",
    216: "its group is not known",
    217: "its user is not known",
}


class SystemdUnit:
    """`folder` is `STATE/services`; `load` gets the content of a unit's file."""

    def __init__(self, folder: Path, load: Callable[[BlobRef], Awaitable[bytes]]) -> None:
        self._folder = folder
        self._load = load

    def knows(self, service: str) -> bool:
        return self._note_file(service).exists()

    def known(self) -> list[str]:
        return sorted(path.parent.name for path in self._folder.glob("*/unit.json"))

    async def find(self, spec: InstanceSpec) -> Identity | None:
        return await _identity(_unit(spec).unit)

    async def start(self, spec: InstanceSpec, allow_users: Collection[str]) -> Identity:
        del allow_users
        run = _unit(spec)
        await self._replace(spec.service, run)
        await self.install(spec)
        if run.enable:
            await _systemctl("enable", "--", run.unit)
        # We count its failures ourselves.
        await _systemctl("reset-failed", "--", run.unit, unless_loaded=True)
        try:
            await _systemctl("start", "--", run.unit)
        except Stalled as error:
            raise Stalled(f"{error} ({await _why(run.unit)})") from error
        identity = await _identity(run.unit)
        if identity is None:
            raise Stalled(await _why(run.unit))
        return identity

    async def stop(self, spec: InstanceSpec, identity: Identity | None) -> None:
        del identity
        await _systemctl("stop", "--", _unit(spec).unit, unless_loaded=True)

    async def reload(self, spec: InstanceSpec, identity: Identity | None) -> None:
        del identity
        await _systemctl("reload-or-restart", "--", _unit(spec).unit)

    async def ended(self, spec: InstanceSpec, identity: Identity) -> Ended:
        unit = _unit(spec).unit
        if identity.pid:
            await wait(identity)
        else:
            await _inactive(unit)
        for _ in range(_LOOKS):
            now = await _identity(unit)
            if now is None:
                break
            if now != identity:
                return Ended(None, "it ended, and was started by somebody else")
            # systemd has not looked yet.
            await asyncio.sleep(_SETTLED)
        return await _end(unit, identity)

    async def forget(self, service: str) -> None:
        """Stopped and disabled; a unit file that we brought is taken away again."""
        noted = self._noted(service)
        if noted is None:
            return
        run = SystemdRun.model_validate(noted["run"])
        await _systemctl("stop", "--", run.unit, unless_loaded=True)
        await _systemctl("reset-failed", "--", run.unit, unless_loaded=True)
        if run.enable:
            await _systemctl("disable", "--", run.unit, unless_loaded=True)
        if run.file is not None:
            await _remove(run)
        self._note_file(service).unlink()

    async def install(self, spec: InstanceSpec) -> tuple[str, ...]:
        """Write the unit's file where it is not as declared; its path where it was not."""
        run = _unit(spec)
        if run.file is None or self.is_as_declared(spec):
            return ()
        file = _file(run, run.file)
        files.write(file, await self._load(run.file))
        await _systemctl("daemon-reload")
        return (file.path,)

    def is_as_declared(self, spec: InstanceSpec) -> bool:
        """Whether the unit's file is what the specs bring, or they bring none."""
        run = _unit(spec)
        return run.file is None or not files.differs(_file(run, run.file))

    async def _replace(self, service: str, run: SystemdRun) -> None:
        """Undo what was done for the service and is not declared any more; note what will be done."""
        noted = self._noted(service)
        if noted is not None:
            before = SystemdRun.model_validate(noted["run"])
            if before.unit != run.unit:
                await self.forget(service)
            else:
                if before.enable and not run.enable:
                    await _systemctl("disable", "--", run.unit)
                if before.file is not None and run.file is None:
                    await _remove(before)
        note = self._note_file(service)
        note.parent.mkdir(exist_ok=True, mode=0o700)
        part = note.with_suffix(".part")
        part.write_text(json.dumps({"run": run.to_json()}))
        part.rename(note)

    def _note_file(self, service: str) -> Path:
        return self._folder / service / "unit.json"

    def _noted(self, service: str) -> Any:
        try:
            return json.loads(self._note_file(service).read_text())
        except (FileNotFoundError, ValueError):
            return None


def _unit(spec: InstanceSpec) -> SystemdRun:
    if spec.systemd is None:
        raise Invalid(f"service '{spec.service}' is no unit of systemd's")
    return spec.systemd


def _file(run: SystemdRun, content: BlobRef) -> FileSpec:
    return FileSpec(path=str(_UNITS / run.unit), content=content)


async def _remove(run: SystemdRun) -> None:
    (_UNITS / run.unit).unlink(missing_ok=True)
    await _systemctl("daemon-reload")


async def _identity(unit: str) -> Identity | None:
    """Of an active unit's main process; without one: pid 0 and since when it is active."""
    shown = await _show(unit, "ActiveState", "MainPID", "ActiveEnterTimestampMonotonic")
    if shown.get("ActiveState") not in _ACTIVE:
        return None
    pid = int(shown.get("MainPID") or 0)
    return identify(pid) if pid else Identity(boot_id(), 0, int(shown["ActiveEnterTimestampMonotonic"]))


async def _inactive(unit: str) -> None:
    """Until it may have become inactive."""
    link = _INVOCATIONS / f"invocation:{unit}"
    before = _invocation(link)
    same = True
    while same:
        await asyncio.sleep(_LOOK)
        same = before is not None and _invocation(link) == before


def _invocation(link: Path) -> Path | None:
    try:
        return link.readlink()
    except OSError:
        return None


async def _end(unit: str, identity: Identity) -> Ended:
    shown = await _show(unit, "ExecMainPID", "ExecMainCode", "ExecMainStatus")
    if identity.pid == 0 or int(shown.get("ExecMainPID") or 0) != identity.pid:
        return Ended(None, await _why(unit))
    status = int(shown["ExecMainStatus"])
    # CLD_EXITED of siginfo_t; else it was a signal.
    return Ended(status if shown["ExecMainCode"] == "1" else -status, await _why(unit))


async def _why(unit: str) -> str:
    """What systemd knows of its end, for people."""
    shown = await _show(unit, "ActiveState", "Result", "ExecMainCode", "ExecMainStatus")
    status = int(shown.get("ExecMainStatus") or 0)
    result = shown.get("Result") or "unknown"
    if result in ("exit-code", "success") and shown.get("ExecMainCode") == "1":
        said = f"exit code {status}" + (f": {_CODES[status]}" if status in _CODES else "")
    elif result == "signal":
        said = f"killed by signal {status}"
    elif result == "success":
        said = f"it is {shown.get('ActiveState')}"
    else:
        said = f"systemd says {result}"
    return f"{said}; see journalctl -u {unit}"


async def _show(unit: str, *properties: str) -> dict[str, str]:
    said = await _systemctl("show", f"--property={','.join(properties)}", "--", unit)
    return dict(line.split("=", 1) for line in said.splitlines() if "=" in line)


async def _systemctl(*words: str, unless_loaded: bool = False) -> str:
    """What it said. unless_loaded: that there is no such unit is no error."""
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
    try:
        async with asyncio.timeout(_TIMEOUT):
            said, _ = await process.communicate()
    except TimeoutError as error:
        raise Stalled(f"systemctl {' '.join(words)}: no end within {_TIMEOUT:g} s") from error
    finally:
        if process.returncode is None:
            process.kill()
    text = said.decode(errors="replace").strip()
    if process.returncode and not (unless_loaded and ("not loaded" in text or "does not exist" in text)):
        raise Stalled(f"systemctl {' '.join(words)}: {text or process.returncode}")
    return text
