"""Processes of our own: found again after our restart, by what was noted of them or by their scope."""

from __future__ import annotations

import hashlib
import json
import os
import signal
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from olympus.host.process import PATH, Command, Identity, Limits, alive, find_scope, kill, spawn, wait
from olympus.host.service_output import Output
from olympus.host.users import account, own_name, resolve_user
from olympus.kernel.errors import Invalid
from olympus.records.desired import InstanceSpec, ProcessRun
from olympus.zeus.steward.ports import Ended


class ProcessUnit:
    """`folder` is `STATE/services`; each service has a folder of its own in it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # Another Olympus on this machine may have services of the same names.
        self._mark = hashlib.blake2b(str(folder.absolute()).encode(), digest_size=6).hexdigest()
        folder.mkdir(parents=True, exist_ok=True, mode=0o711)

    def scope(self, service: str) -> str:
        """What marks all that belongs to the service, on this machine."""
        return f"service/{self._mark}/{service}"

    def output(self, service: str) -> Output:
        return Output(self._folder / service)

    def knows(self, service: str) -> bool:
        return self._note_file(service).exists()

    def known(self) -> list[str]:
        return sorted(path.parent.name for path in self._folder.glob("*/identity.json"))

    async def find(self, spec: InstanceSpec) -> Identity | None:
        noted = self._noted(spec.service)
        if noted is not None and alive(noted):
            return noted
        # The note was lost, or never written: what is left of the service must not run beside a second one.
        if find_scope(self.scope(spec.service)):
            await kill(None, self.scope(spec.service), grace=_grace(spec))
        return None

    async def start(self, spec: InstanceSpec, allow_users: Collection[str]) -> Identity:
        run = _process(spec)
        user = resolve_user(run.user, allow_users)
        folder = self._folder / spec.service
        folder.mkdir(exist_ok=True, mode=0o700)
        output = self.output(spec.service)
        output.begin()
        command = Command(
            argv=run.command,
            stdout=output.file,
            scope=self.scope(spec.service),
            env={"PATH": PATH, "HOME": _home(user), "LANG": "C.UTF-8", **run.env},
            cwd=Path(run.workdir) if run.workdir else None,
            user=user,
            limits=Limits(memory_bytes=run.memory_bytes, tasks=run.tasks),
        )
        identity = spawn(command)
        self._note(spec.service, identity)
        return identity

    async def stop(self, spec: InstanceSpec, identity: Identity | None) -> None:
        await kill(identity, self.scope(spec.service), grace=_grace(spec))

    async def reload(self, spec: InstanceSpec, identity: Identity | None) -> None:
        del spec
        if identity is not None and alive(identity):
            with suppress(ProcessLookupError):
                os.kill(identity.pid, signal.SIGHUP)

    async def ended(self, spec: InstanceSpec, identity: Identity) -> Ended:
        code = await wait(identity)
        # What it begot must not outlive it: the next start would meet it.
        await kill(None, self.scope(spec.service), grace=_grace(spec))
        return Ended(code)

    async def forget(self, service: str) -> None:
        if find_scope(self.scope(service)):
            await kill(self._noted(service), self.scope(service), grace=10.0)
        self._note_file(service).unlink(missing_ok=True)

    def _note_file(self, service: str) -> Path:
        return self._folder / service / "identity.json"

    def _note(self, service: str, identity: Identity) -> None:
        file = self._note_file(service)
        part = file.with_suffix(".part")
        part.write_text(json.dumps(identity.to_json()))
        part.rename(file)

    def _noted(self, service: str) -> Identity | None:
        try:
            return Identity.from_json(json.loads(self._note_file(service).read_text()))
        except (FileNotFoundError, ValueError, KeyError):
            return None


def _process(spec: InstanceSpec) -> ProcessRun:
    if spec.process is None:
        raise Invalid(f"service '{spec.service}' is no process")
    return spec.process


def _grace(spec: InstanceSpec) -> float:
    return spec.process.stop_grace if spec.process else 10.0


def _home(user: str) -> str:
    home = str(Path("~").expanduser()) if user == own_name() else account(user).pw_dir
    return home if Path(home).is_dir() else "/"
