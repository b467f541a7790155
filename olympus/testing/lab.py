"""Real hosts on one machine: each a booted systemd with its own root file system (an overlay of this machine's),
network address, journal, D-Bus and boot id. They can be cut off, frozen, and powered off and on.

with Lab(tmp_path) as lab:
    web = lab.boot("web-1")
    web.run("systemctl", "is-system-running")
    web.cut()

Needs root, systemd, overlayfs, cgroup2, and the tools of util-linux and iproute2; `missing()` says what is not
there. Nothing of this machine is changed but for a bridge `olabN`, which goes with the lab.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from olympus.testing.cluster import eventually

_TOOLS: Final = ("ip", "unshare", "nsenter", "setpriv", "mount", "umount", "pivot_root", "systemctl", "git")
_SYSTEMD: Final = Path("/lib/systemd/systemd")
_CLONE_NEWNET: Final = 0x40000000
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Of what every systemd starts. What this machine has enabled for itself is not started either.
_MASKED: Final = ("getty.target", "systemd-logind.service", "systemd-user-sessions.service")

# $1 the host's control group, $2 what follows in its own namespaces, $3 its folder, $4 its name, $5… what is bound.
_LAUNCH: Final = """
echo $$ >"$1/cgroup.procs" && shift || exit 1
exec setpriv --pdeathsig KILL unshare --mount --pid --fork --uts --ipc --cgroup --net --kill-child sh -ec "$@"
"""
_BOOT: Final = """
dir=$0 name=$1; shift
mount --make-rprivate /
mount -t overlay overlay -o "lowerdir=/,upperdir=$dir/disk,workdir=$dir/work" "$dir/root"
cd "$dir/root"
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
for one in run tmp dev dev/shm; do mkdir -p $one; mount -t tmpfs -o mode=1777 tmpfs $one; done
chmod 755 run dev
for one; do
  mkdir -p "./$one"
  mount --bind "$one" "./$one"
  mount -o remount,bind,ro "./$one"
done
mkdir dev/pts run/old
for one in null zero full random urandom tty; do touch dev/$one; mount --bind /dev/$one dev/$one; done
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts dev/pts
touch dev/console; mount --bind /dev/null dev/console
ln -s pts/ptmx dev/ptmx; ln -s /proc/self/fd dev/fd
ln -s fd/0 dev/stdin; ln -s fd/1 dev/stdout; ln -s fd/2 dev/stderr
cat /proc/sys/kernel/random/uuid >run/boot-id
mount --bind run/boot-id proc/sys/kernel/random/boot_id
if [ ! -e "$dir/machine-id" ]; then
  tr -d - </proc/sys/kernel/random/uuid >"$dir/machine-id"
  rm -rf etc/systemd/system/*.wants etc/rc?.d
fi
cat "$dir/machine-id" >etc/machine-id
echo "$name" >etc/hostname; hostname "$name"
: >etc/fstab
pivot_root . run/old
umount -l /run/old
exec setpriv --bounding-set=-sys_module,-sys_time,-sys_boot env -i container=lab "PATH=$PATH" \\
  /lib/systemd/systemd systemd.unit=multi-user.target
"""


def missing() -> str | None:
    """Why there can be no lab here; None where there can."""
    if os.geteuid() != 0:
        return "not root"
    tools = [tool for tool in _TOOLS if shutil.which(tool, path=_PATH) is None]
    if tools or not _SYSTEMD.exists():
        return f"not installed: {', '.join(tools) or 'systemd'}"
    script = "mount -t cgroup2 cgroup2 /mnt && mount -t sysfs sysfs /mnt && mount -t overlay o -o lowerdir=/:/mnt /mnt"
    tried = _tried("unshare", "--mount", "--pid", "--fork", "--cgroup", "--net", "sh", "-ec", script)
    return tried and f"namespaces, cgroup2 or overlayfs are not to be had: {tried}"


class Lab:
    """A network of hosts; this machine is on it as `gateway`. `folder` holds their disks, in memory.

    bind: this machine's folders that are the same on every host, read-only, beside Olympus and its Python
    """

    def __init__(self, folder: Path, *, bind: Sequence[Path] = ()) -> None:
        self._folder = folder
        own = (Path(sys.prefix), Path(sys.base_prefix), Path(__file__).parents[2])
        self._bind = sorted({str(path.resolve()) for path in (*own, *bind)})
        self._groups = folder / "cgroup"
        self._number = _free_network()
        self._bridge = f"olab{self._number}"
        self.hosts: dict[str, Host] = {}
        self.gateway = f"10.77.{self._number}.254"
        _call("ip", "link", "add", self._bridge, "type", "bridge")
        _call("ip", "addr", "add", f"{self.gateway}/24", "dev", self._bridge)
        _call("ip", "link", "set", self._bridge, "up")
        self._groups.mkdir()
        _call("mount", "-t", "cgroup2", "cgroup2", str(self._groups))

    def boot(self, name: str) -> Host:
        """A new host, once it has come up."""
        number = len(self.hosts) + 1
        host = Host(
            name,
            f"10.77.{self._number}.{number}",
            folder=self._folder / name,
            bind=self._bind,
            group=self._groups / f"{self._bridge}-{name}",
            cable=(self._bridge, f"{self._bridge}-{number}"),
        )
        self.hosts[name] = host
        host.on()
        return host

    def close(self) -> None:
        """Power everything off, and leave nothing."""
        for host in self.hosts.values():
            host.remove()
        _tried("umount", str(self._groups))
        _tried("ip", "link", "del", self._bridge)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        del kind, error, trace
        self.close()


class Host:
    """One of them. Its disk outlives `off`; it is the same machine after `on`, with a new boot id."""

    def __init__(  # noqa: PLR0913 - what a host is made of
        self,
        name: str,
        address: str,
        *,
        folder: Path,
        bind: Sequence[str],
        group: Path,
        cable: tuple[str, str],
    ) -> None:
        self.name = name
        self.address = address
        self._bind = bind
        self._folder = folder
        self._group = group
        self._bridge, self._cable = cable
        self._namespaces: subprocess.Popen[bytes] | None = None
        self._init = 0
        folder.mkdir()
        _call("mount", "-t", "tmpfs", "-o", "size=2g", "lab", str(folder))
        for part in ("disk", "work", "root"):
            (folder / part).mkdir()
        masked = folder / "disk/etc/systemd/system"
        masked.mkdir(parents=True)
        for unit in _MASKED:
            (masked / unit).symlink_to("/dev/null")

    def on(self) -> None:
        """Returns when systemd has reached multi-user.target and the cable is plugged in; nothing where it is on."""
        if self._namespaces is not None:
            return
        self._group.mkdir(exist_ok=True)
        with (self._folder / "console").open("ab") as console:
            self._namespaces = subprocess.Popen(
                [
                    *("sh", "-c", _LAUNCH, "lab", str(self._group), _BOOT, str(self._folder), self.name),
                    *self._bind,
                ],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
                env={"PATH": _PATH},
            )
        eventually(self._booted, within=30, what=f"{self.name} has booted")
        _call(
            *(
                "ip",
                "link",
                "add",
                self._cable,
                "type",
                "veth",
                "peer",
                "name",
                "eth0",
                "netns",
                str(self._init),
            )
        )
        _call("ip", "link", "set", self._cable, "master", self._bridge, "up")
        self.run("ip", "link", "set", "lo", "up")
        self.run("ip", "addr", "add", f"{self.address}/24", "dev", "eth0")
        self.run("ip", "link", "set", "eth0", "up")

    def _booted(self) -> bool:
        assert self._namespaces is not None
        if self._namespaces.poll() is not None:
            raise AssertionError(
                f"{self.name} did not boot:\n{(self._folder / 'console').read_text()[-4000:]}"
            )
        outer = self._namespaces.pid
        children = Path(f"/proc/{outer}/task/{outer}/children").read_text().split()
        if not children:
            return False
        self._init = int(children[0])
        return self.ask("systemctl", "is-active", "multi-user.target").returncode == 0

    def off(self) -> None:
        """As a power cut: nothing gets to say goodbye."""
        if self._namespaces is None:
            return
        with suppress(ProcessLookupError):
            os.kill(self._init or self._namespaces.pid, signal.SIGKILL)
        self._namespaces.wait(20)
        self._namespaces = None
        _tried("ip", "link", "del", self._cable)

    def cut(self) -> None:
        """Pull the cable."""
        _call("ip", "link", "set", self._cable, "down")

    def heal(self) -> None:
        """Plug it in again."""
        _call("ip", "link", "set", self._cable, "up")

    def freeze(self) -> None:
        """Everything on it stands still, as on a paused virtual machine; its clock goes on."""
        (self._group / "cgroup.freeze").write_text("1")
        eventually(lambda: "frozen 1" in (self._group / "cgroup.events").read_text(), what="frozen")

    def thaw(self) -> None:
        """It goes on, and knows nothing of the time between."""
        (self._group / "cgroup.freeze").write_text("0")

    def remove(self) -> None:
        """Off, and its disk is gone."""
        self.off()
        for group in sorted((path for path in self._group.rglob("*") if path.is_dir()), reverse=True):
            group.rmdir()
        if self._group.exists():
            self._group.rmdir()
        _call("umount", str(self._folder))

    def ask(self, *argv: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command on it, as root; how it went."""
        given = [f"{name}={value}" for name, value in {"PATH": _PATH, "HOME": "/root", **(env or {})}.items()]
        return subprocess.run(
            ["nsenter", "--target", str(self._init), "--all", "env", "-i", *given, *argv],  # noqa: S607
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def run(self, *argv: str, env: Mapping[str, str] | None = None) -> str:
        """What the command said; AssertionError unless it went well."""
        done = self.ask(*argv, env=env)
        assert done.returncode == 0, f"{self.name}: {' '.join(argv)}: {done.stdout}{done.stderr}"
        return done.stdout

    def path(self, path: str) -> Path:
        """A file of the host, for this process to read and write."""
        return Path(f"/proc/{self._init}/root") / path.lstrip("/")

    def connect(self, port: int) -> socket.socket:
        """A connection to a port of the host's own loopback address."""

        def dial() -> socket.socket:
            with Path(f"/proc/{self._init}/ns/net").open("rb") as network:
                assert ctypes.CDLL(None).setns(network.fileno(), _CLONE_NEWNET) == 0
            return socket.create_connection(("127.0.0.1", port), timeout=30)

        # A thread may be in a network of its own, and a socket stays where it was made.
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(dial).result()


def _free_network() -> int:
    taken = _call("ip", "-4", "-o", "addr")
    return next(n for n in (1 + (os.getpid() + i) % 250 for i in range(250)) if f" 10.77.{n}." not in taken)


def _call(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(argv)}: {done.stderr}"
    return done.stdout


def _tried(*argv: str) -> str | None:
    """What it complained of; None where it went well."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else done.stderr.strip() or f"exit code {done.returncode}"
