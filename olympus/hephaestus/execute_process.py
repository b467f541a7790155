"""`run` and `script` steps: a process of an unprivileged user, in a private folder, with an empty environment.

The process outlives us. What it writes goes to a file; where it has secrets, to a raw one that is copied masked.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import orjson

from olympus.hephaestus.attempt import Attempt
from olympus.hephaestus.mask import MaskedCopy, Masker
from olympus.hephaestus.orders import Artifact, Order, Outcome, RunAction, ScriptAction
from olympus.hephaestus.secrets import SecretReader
from olympus.hephaestus.workspace import Workspaces
from olympus.host.process import PATH, Command, Identity, Limits, alive, find_scope, kill, spawn, wait
from olympus.host.users import account, own_name, resolve_user
from olympus.kernel.clock import Clock
from olympus.kernel.errors import Conflict, OlympusError

MAX_LOG: Final = 10 * 1024 * 1024
MAX_TASKS: Final = 4096
MAX_MEMORY: Final = 8 * 1024**3
_LOOK: Final = 0.1

State: TypeAlias = Literal["succeeded", "failed", "cancelled", "unknown"]


@dataclass(frozen=True, slots=True)
class Tools:
    """What executing needs of this node."""

    runs: Path
    workspaces: Workspaces
    secrets: SecretReader
    clock: Clock
    max_log: int = MAX_LOG


class _Ended(Exception):
    """It has to end; the text says why."""

    def __init__(self, state: State, why: str) -> None:
        super().__init__(why)
        self.state = state


async def execute(order: Order, cancel: asyncio.Event, tools: Tools) -> Outcome:
    """Start it and wait for its end, however that comes. Raises OlympusError where it can't be started."""
    started = tools.clock.now()
    attempt = Attempt.of(order, tools.runs)
    user = resolve_user(order.user, order.allow_users)
    values = {name: tools.secrets.read(ref.secret, ref.source) for name, ref in order.secrets.items()}
    masker = Masker(values.values())
    folder = await tools.workspaces.prepare(order.workspace, user)
    for load in order.load:
        await tools.workspaces.load_artifact(order.run, load, folder, user)
    written = attempt.raw if masker else attempt.log
    command = Command(
        argv=_argv(order),
        stdout=written,
        scope=order.id,
        env=_environment(order, folder, user, values),
        cwd=folder,
        user=user,
        exit_file=attempt.record,
        limits=_limits(order, user),
    )
    # What is said to be begun and has no process is looked for by its scope.
    attempt.begun()
    identity = spawn(command)
    attempt.runs_as(identity)
    return await _accompany(order, identity, attempt, _Watch(masker, cancel, started, folder), tools)


async def adopt(order: Order, cancel: asyncio.Event, tools: Tools) -> Outcome | None:
    """The outcome of what was begun before we were restarted; None where it was not begun.

    What was begun, is gone and left no exit code is `unknown`.
    """
    attempt = Attempt.of(order, tools.runs)
    begun, identity = attempt.read()
    if not begun:
        return None
    if identity is None:
        found = find_scope(order.id)
        identity = found[0] if found else Identity("", 0, 0)
    with suppress(OlympusError):
        masker = Masker(tools.secrets.read(ref.secret, ref.source) for ref in order.secrets.values())
        user = resolve_user(order.user, order.allow_users)
        folder = await tools.workspaces.prepare(order.workspace, user)
        watch = _Watch(masker, cancel, order.started_at or tools.clock.now(), folder)
        if masker:
            # The masked copy is made anew from the raw one.
            attempt.log.unlink(missing_ok=True)
        return await _accompany(order, identity, attempt, watch, tools)
    return Outcome(state="unknown", error="Olympus was restarted, and what it needs to go on is gone")


@dataclass(slots=True)
class _Watch:
    """What is needed while it runs."""

    masker: Masker
    cancel: asyncio.Event
    started: datetime
    folder: Path


async def _accompany(
    order: Order, identity: Identity, attempt: Attempt, watch: _Watch, tools: Tools
) -> Outcome:
    written = attempt.raw if watch.masker else attempt.log
    copy = _Copy(written, attempt.log, watch.masker) if watch.masker else None
    forced: _Ended | None = None
    try:
        code = await _until_ended(order, identity, attempt, watch, tools, copy)
    except _Ended as ended:
        forced = ended
        await kill(identity if alive(identity) else None, order.id, grace=order.grace)
        code = await wait(identity, attempt.record)
    if copy is not None:
        copy.finish()
        written.unlink(missing_ok=True)
    _cut(attempt.log, order.limits.log_bytes or tools.max_log)
    said = _state(code, forced)
    artifacts: tuple[Artifact, ...] = ()
    if said[0] == "succeeded":
        try:
            saved = [
                await tools.workspaces.save_artifact(order, name, path, watch.folder)
                for name, path in order.save.items()
            ]
            artifacts = tuple(saved)
        except OlympusError as error:
            said = ("failed", str(error))
    _take_output(_output_file(order, watch.folder), attempt, watch.masker)
    return Outcome(
        state=said[0],
        exit=code,
        output=watch.masker.json(attempt.result(attempt.log)),
        error=watch.masker.text(said[1]),
        started_at=watch.started,
        finished_at=tools.clock.now(),
        artifacts=artifacts,
    )


def _state(code: int | None, forced: _Ended | None) -> tuple[State, str]:
    if forced is not None:
        return forced.state, str(forced)
    if code is None:
        return "unknown", "it was begun, and how it ended is not known: Olympus was restarted meanwhile"
    if code == 0:
        return "succeeded", ""
    return "failed", f"killed by signal {-code}" if code < 0 else f"exit code {code}"


async def _until_ended(  # noqa: PLR0913, PLR0917 - what may end it
    order: Order, identity: Identity, attempt: Attempt, watch: _Watch, tools: Tools, copy: _Copy | None
) -> int | None:
    """Its exit code. Raises _Ended when it has to be killed."""
    written = attempt.raw if watch.masker else attempt.log
    limit = order.limits.log_bytes or tools.max_log
    ending = asyncio.ensure_future(wait(identity, attempt.record))
    cancelled = asyncio.ensure_future(watch.cancel.wait())
    try:
        while True:
            left = _time_left(order, watch.started, tools.clock.now())
            pause = _LOOK if left is None else max(0.0, min(_LOOK, left[0]))
            await asyncio.wait((ending, cancelled), timeout=pause, return_when=asyncio.FIRST_COMPLETED)
            if ending.done():
                return ending.result()
            if cancelled.done():
                raise _Ended("cancelled", "cancelled")
            if left is not None and _time_left(order, watch.started, tools.clock.now()) == (0.0, left[1]):
                raise _Ended("failed", left[1])
            if copy is not None:
                copy.go_on()
            if _size(written) > limit:
                raise _Ended("failed", f"its output went over {limit} bytes: it was cut, and the step killed")
    finally:
        for task in (ending, cancelled):
            task.cancel()


def _time_left(order: Order, started: datetime, now: datetime) -> tuple[float, str] | None:
    """Seconds, and what to say when they are over."""
    limits = []
    if order.timeout is not None:
        left = order.timeout - (now - started).total_seconds()
        limits.append((max(0.0, left), f"timed out after {order.timeout:g} s"))
    if order.deadline is not None:
        limits.append((max(0.0, (order.deadline - now).total_seconds()), "the run's time is over"))
    return min(limits) if limits else None


def _argv(order: Order) -> tuple[str, ...]:
    match order.action:
        case RunAction():
            return order.action.argv
        case ScriptAction():
            return ("/bin/sh", "-e", "-c", order.action.text, order.step)
    raise Conflict(f"{order.action.do} steps are no processes")


def _environment(order: Order, folder: Path, user: str, secrets: dict[str, str]) -> dict[str, str]:
    home = account(user).pw_dir if user != own_name() else os.path.expanduser("~")  # noqa: PTH111 - of this user
    return {
        "PATH": PATH,
        "HOME": home if Path(home).is_dir() else str(folder),
        "LANG": "C.UTF-8",
        "OLY_RUN_ID": order.run,
        "OLY_STEP": order.step,
        "OLY_NODE": order.node,
        "OLY_ATTEMPT": str(order.attempt),
        "OLY_OUTPUT": str(_output_file(order, folder)),
        **{f"OLY_PARAM_{name.upper()}": _as_text(value) for name, value in order.params.items()},
        **order.env,
        **secrets,
    }


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _output_file(order: Order, folder: Path) -> Path:
    """In the workspace, where the step begins: the only place that its user can surely reach. Of this attempt
    alone, so that steps that run together keep apart, and by its name the mark of what the step begot."""
    return folder / f".olympus-output.{order.id}"


def _take_output(written: Path, attempt: Attempt, masker: Masker) -> None:
    with suppress(OSError):
        descriptor = os.open(written, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            attempt.output.write_bytes(masker.data(file.read(1 << 20)))
        written.unlink()


def _limits(order: Order, user: str) -> Limits:
    if user == own_name() and order.limits.memory_bytes is None and order.limits.tasks is None:
        return Limits()
    return Limits(
        memory_bytes=min(order.limits.memory_bytes or MAX_MEMORY, MAX_MEMORY),
        tasks=min(order.limits.tasks or MAX_TASKS, MAX_TASKS),
    )


class _Copy:
    """Follows what a process writes and keeps a masked copy of it."""

    def __init__(self, source: Path, target: Path, masker: Masker) -> None:
        self._source = source
        self._target = target
        self._masked = MaskedCopy(masker)
        self._at = 0

    def go_on(self) -> None:
        with suppress(FileNotFoundError), self._source.open("rb") as source:
            source.seek(self._at)
            while data := source.read(1 << 20):
                self._at += len(data)
                self._append(self._masked.feed(data))

    def finish(self) -> None:
        self.go_on()
        self._append(self._masked.end())

    def _append(self, data: bytes) -> None:
        with self._target.open("ab") as target:
            target.write(data)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _cut(path: Path, limit: int) -> None:
    if _size(path) > limit:
        os.truncate(path, limit)
        with path.open("ab") as file:
            file.write(f"\n[olympus: the output went over {limit} bytes and was cut here]\n".encode())
