"""Processes that outlive us: spawned, recognised after our own death, watched, and killed with all they begot.

They write to files, never to pipes of ours, and a step leaves its exit code in a file. A process is known by
boot id, pid and start time, so that a pid that was given away again is not mistaken for it. What leaves its
session (setsid, double fork) is found by its control group, else by the scope in its environment.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import shutil
import signal
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from olympus.host import cgroup
from olympus.host.users import account, own_name
from olympus.kernel.errors import Invalid, OlympusError, Refused

PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SCOPE: Final = "OLY_SCOPE"
OUTPUT: Final = "OLY_OUTPUT"

_PR_SET_CHILD_SUBREAPER: Final = 36
_TICK: Final = 0.02
_SWEEPS: Final = 50
_SIGNALS: Final = 64
_MAX_STAT: Final = 4096
# Constant text: what varies comes as arguments. $0 is the exit file, $1 the folder, $2 the number of cgroups.
# A trap keeps the shell alive for the exit code when the whole group is signalled; its child's signals are default.
_WRAPPER: Final = """
folder=$1 groups=$2; shift 2
while [ "$groups" -gt 0 ]; do echo 0 >"$1" || exit 126; shift; groups=$((groups - 1)); done
cd "$folder" || exit 126
unset OLDPWD PWD
if [ "$0" = - ]; then exec "$@"; fi
trap : TERM INT HUP
"$@"
code=$?
echo "$code" >>"$0"
exit "$code"
"""


@dataclass(frozen=True, slots=True)
class Limits:
    """Of the whole scope where there are control groups, else of each process. Bytes and numbers."""

    memory_bytes: int | None = None
    tasks: int | None = None
    file_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Command:
    """What to start. `env` is all that the program sees, but for the mark of its scope (OLY_SCOPE), which it is
    given unless the file in OLY_OUTPUT ends with `.SCOPE`; `stdout` gets both outputs, appended.

    user:      None: as Olympus itself
    scope:     names all that belongs to it, unique among what runs
    exit_file: where the exit code is left, appended as a line of its own (what else stands there is no number);
               None: the program takes the place of the wrapper, and only its parent learns how it ended
    """

    argv: tuple[str, ...]
    stdout: Path
    scope: str
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    user: str | None = None
    exit_file: Path | None = None
    limits: Limits = Limits()


@dataclass(frozen=True, slots=True)
class Identity:
    """A process, also after a restart of ours. `start_time` is in clock ticks since boot (proc(5), field 22)."""

    boot_id: str
    pid: int
    start_time: int

    def to_json(self) -> dict[str, Any]:
        return {"bootId": self.boot_id, "pid": self.pid, "startTime": self.start_time}

    @staticmethod
    def from_json(raw: Mapping[str, Any]) -> Identity:
        return Identity(raw["bootId"], raw["pid"], raw["startTime"])


class SpawnFailed(OlympusError):
    """The program could not be started; the text says why."""


# Our own children, whose status only one may collect; true: it is the wrapper's, which passes on another's.
_lock = threading.Lock()
_children: dict[int, bool] = {}


def become_subreaper() -> None:
    """From now on, orphans below us become our children, so that they can be found and reaped (prctl(2))."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def keep_descriptors() -> None:
    """What we were given beside standard input and output is not for what we spawn."""
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - names alone
        if int(name) > 2:
            with suppress(OSError):
                os.set_inheritable(int(name), False)


def spawn(command: Command) -> Identity:
    """Start it in a session of its own. Raises SpawnFailed, Refused (the user), Invalid (the command)."""
    if not command.argv or any("\0" in word for word in command.argv):
        raise Invalid("a command needs a program, and no argument may hold a NUL byte")
    env = _environ(command)
    program = find_program(command.argv[0], command.env.get("PATH", PATH), command.cwd)
    limits = command.limits
    # Moving into a group costs a millisecond: only where there is a limit to hold.
    wanted = limits.memory_bytes is not None or limits.tasks is not None
    groups = cgroup.make(command.scope, limits.memory_bytes, limits.tasks) if wanted else ()
    tail = [*_limited(limits, with_groups=bool(groups)), program, *command.argv[1:]]
    argv = [
        *(
            "/bin/sh",
            "-c",
            _WRAPPER,
            str(command.exit_file or "-"),
            str(command.cwd or "/"),
            str(len(groups)),
        ),
        *(str(group) for group in groups),
        *_switched(command.user),
        *tail,
    ]
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(command.stdout), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    try:
        with _lock:
            pid = os.posix_spawn(
                "/bin/sh",
                argv,
                env,
                file_actions=actions,
                setsid=True,
                setsigmask=[],
                setsigdef=[signal.SIGPIPE, signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD],
            )
            _children[pid] = command.exit_file is not None
    except OSError as error:
        cgroup.remove(command.scope)
        raise SpawnFailed(f"{command.argv[0]}: {error.strerror}") from error
    except UnicodeEncodeError as error:
        cgroup.remove(command.scope)
        raise Invalid(f"an argument or variable is no text: {error.reason}") from error
    return identify(pid)


def _environ(command: Command) -> dict[str, str]:
    for name, value in command.env.items():
        if not name or "=" in name or "\0" in name or "\0" in value:
            raise Invalid(
                f"environment variable {name!r}: no name may hold '=', and neither may hold a NUL byte"
            )
    if command.env.get(OUTPUT, "").endswith(f".{command.scope}"):
        return dict(command.env)
    return {**command.env, SCOPE: command.scope}


def find_program(name: str, path: str = PATH, cwd: Path | None = None) -> str:
    """Where it is. Raises SpawnFailed."""
    if "/" in name:
        # Relative to the folder that it is started in, as a shell has it.
        found = Path(cwd or "/") / name
        if not found.is_file():
            raise SpawnFailed(f"{name}: there is no such program")
        if not os.access(found, os.X_OK):
            raise SpawnFailed(f"{name}: it is not executable")
        return name
    where = shutil.which(name, path=path)
    if where is None:
        raise SpawnFailed(f"{name}: there is no such program in {path}")
    return where


def _switched(user: str | None) -> list[str]:
    """The words before a command that make it run as `user`, without a way to more privileges."""
    setpriv = _tool("setpriv")
    if user is None or user == own_name():
        return [setpriv, "--no-new-privs", "--"] if user is not None and setpriv and os.geteuid() else []
    if os.geteuid() != 0:
        raise Refused(f"Olympus runs as '{own_name()}' here, so that it can't run programs as '{user}'")
    if not setpriv:
        raise Refused("setpriv (of util-linux) is not installed: programs can't be run as another user")
    who = account(user)
    return [
        *(setpriv, f"--reuid={who.pw_uid}", f"--regid={who.pw_gid}", "--init-groups"),
        *("--inh-caps=-all", "--no-new-privs", "--"),
    ]


def _limited(limits: Limits, *, with_groups: bool) -> list[str]:
    words = []
    if limits.file_bytes is not None:
        words.append(f"--fsize={limits.file_bytes}")
    if not with_groups:
        # Without a control group only each process by itself, and the user's number of tasks, can be held.
        words += [f"--as={limits.memory_bytes}"] if limits.memory_bytes is not None else []
        words += [f"--nproc={limits.tasks}"] if limits.tasks is not None else []
    prlimit = _tool("prlimit")
    return [prlimit, *words, "--"] if words and prlimit else []


@lru_cache(maxsize=8)
def _tool(name: str) -> str:
    return shutil.which(name, path=PATH) or ""


@lru_cache(maxsize=1)
def boot_id() -> str:
    """Of this boot of this machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def identify(pid: int) -> Identity:
    """A process by its pid as of now; one that is gone is nobody, and not alive."""
    return Identity(boot_id(), pid, _start_time(pid) or 0)


def alive(identity: Identity) -> bool:
    """Whether just this process is there and not a zombie."""
    if identity.boot_id != boot_id():
        return False
    stat = _stat(identity.pid)
    return stat is not None and stat[0] != "Z" and int(stat[19]) == identity.start_time


async def wait(identity: Identity, exit_file: Path | None = None) -> int | None:
    """Until it has ended: its exit code, negative for a signal; None where nobody can know it."""
    await _gone(identity)
    code = _collected(identity.pid)
    if code is None and exit_file is not None:
        code = read_exit(exit_file)
    return code


def read_exit(exit_file: Path) -> int | None:
    """The code that the wrapper left; None where it was killed before it could."""
    try:
        # What comes behind the last end of a line was cut off by a kill.
        *lines, _ = exit_file.read_bytes().split(b"\n")
    except FileNotFoundError:
        return None
    codes = [int(line) for line in lines if line.isdigit()]
    return _signalled(codes[-1]) if codes else None


def _signalled(code: int) -> int:
    # A shell says 128 + the signal; what is beyond is the program's own code, as ssh's 255.
    return 128 - code if 128 < code <= 128 + _SIGNALS else code


async def _gone(identity: Identity) -> None:
    # A child's pid is its own until its status is collected; another's may be given away while we look.
    ours = identity.pid in _children
    if not ours and not alive(identity):
        return
    try:
        descriptor = os.pidfd_open(identity.pid)
    except ProcessLookupError:
        return
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    try:
        loop.add_reader(descriptor, ended.set)
        if ours or alive(identity):
            await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def _collected(pid: int) -> int | None:
    """The status of a child of ours, collected once."""
    with _lock:
        if pid not in _children:
            return None
        try:
            done, status = os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            del _children[pid]
            return None
        if not done:
            return None
        code = os.waitstatus_to_exitcode(status)
        return _signalled(code) if _children.pop(pid) else code


def reap() -> None:
    """Collect orphans that became ours and have ended; our own children are left to who waits for them."""
    me = os.getpid()
    for pid, stat in _all_stats():
        if stat[0] == "Z" and int(stat[1]) == me and pid not in _children:
            _zombies[pid] = _zombies.get(pid, 0) + 1
            # Another part of this process may be about to collect its own child: give it time.
            if _zombies[pid] > 2:
                with suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)
                _zombies.pop(pid, None)


_zombies: dict[int, int] = {}


def find_scope(scope: str) -> list[Identity]:
    """All that runs in `scope`: of its control group, or with its mark in the environment."""
    pids = set(cgroup.members(scope))
    sought = scope.encode()
    for pid, _ in _all_stats():
        if pid not in pids:
            with suppress(OSError):
                environ = Path(f"/proc/{pid}/environ").read_bytes()
                if sought in environ and _marks(environ, sought):
                    pids.add(pid)
    return [
        Identity(boot_id(), pid, start) for pid in sorted(pids) if (start := _start_time(pid)) is not None
    ]


_MARK: Final = f"{SCOPE}=".encode()
_OUTPUT_MARK: Final = f"{OUTPUT}=".encode()


def _marks(environ: bytes, scope: bytes) -> bool:
    return any(
        one == _MARK + scope or (one.startswith(_OUTPUT_MARK) and one.endswith(b"." + scope))
        for one in environ.split(b"\0")
    )


def release(scope: str) -> None:
    """Its process has ended: give back what was made for it, unless something of it still runs."""
    cgroup.remove(scope)


def tree(identity: Identity | None, scope: str) -> set[int]:
    """The pids of the process, its descendants, its session, and its scope, as far as they are alive."""
    stats = dict(_all_stats())
    marked = {one.pid for one in find_scope(scope)}
    roots = set(marked)
    if identity is not None and alive(identity):
        roots.add(identity.pid)
    found = {pid for pid in roots if pid in stats}
    if identity is not None and _is_its_session(identity, stats):
        found |= {pid for pid, stat in stats.items() if int(stat[3]) == identity.pid}
    grown = True
    while grown:
        more = {pid for pid, stat in stats.items() if int(stat[1]) in found and pid not in found}
        found |= more
        grown = bool(more)
    return {pid for pid in found if stats[pid][0] != "Z" and pid != os.getpid()}


def _is_its_session(identity: Identity, stats: Mapping[int, list[str]]) -> bool:
    # While somebody is in a session its number is not given to a new process; later it may lead another one.
    leader = stats.get(identity.pid)
    return identity.boot_id == boot_id() and (leader is None or int(leader[19]) == identity.start_time)


async def kill(identity: Identity | None, scope: str, *, grace: float) -> None:
    """SIGTERM to the whole tree, then, after `grace` seconds, SIGKILL until nothing of it is left."""
    _signal(tree(identity, scope), signal.SIGTERM)
    deadline = time.monotonic() + grace
    while time.monotonic() < deadline:
        if not tree(identity, scope):
            break
        await asyncio.sleep(_TICK)
    sweeps = 0
    while pids := tree(identity, scope):
        # First everything stands still: a fork bomb would run from a sweep that kills.
        _signal(pids, signal.SIGSTOP)
        _signal(pids | tree(identity, scope), signal.SIGKILL)
        # Who is still there after so many is in the kernel's hands, which may take its time.
        sweeps += 1
        await asyncio.sleep(0 if sweeps < _SWEEPS else _TICK)
    reap()
    cgroup.remove(scope)


def _signal(pids: set[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def _start_time(pid: int) -> int | None:
    stat = _stat(pid)
    return None if stat is None else int(stat[19])


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat from the third on: state, parent, group, session …"""
    try:
        descriptor = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        raw = os.read(descriptor, _MAX_STAT)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    # The second field is the program's name, in brackets, and may hold brackets and spaces itself.
    return raw.rpartition(b")")[2].decode().split()


def _all_stats() -> list[tuple[int, list[str]]]:
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208 - a thousand paths cost
    return [(pid, stat) for pid in pids if (stat := _stat(pid)) is not None]
