"""Lines a CPU second from the journal and from syslog through a watch's five patterns, beside those who only read.

0.5 % of the lines match. The journal is that of a booted host (olympus/testing/lab.py; root), beside
`journalctl -o json | wc -l`; syslog is sent by another process, beside loops that only receive.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from pathlib import Path

from olympus.argos.patterns import compile_patterns
from olympus.argos.ports import Batch
from olympus.argos.source_journal import JournalSource
from olympus.argos.source_syslog import SyslogSource
from olympus.kernel.clock import SystemClock
from olympus.spec.kinds.logwatch import Match, Syslog
from olympus.testing.cluster import free_port
from olympus.testing.lab import Lab, missing

LINES = int(os.environ.get("OLYMPUS_BENCH_LINES", "200000"))
INSIDE = "inside"
PATTERNS = [
    r"Failed password for (?P<user>\S+) from (?P<ip>\S+)",
    r"Out of memory: Killed process (?P<pid>\d+)",
    r"segfault at (?P<at>\S+)",
    r"(?P<unit>\S+): Main process exited",
    r"backup of (?P<what>\S+) done",
]
SENDER = """
import socket, sys, time
scheme, port, lines = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
head = b"<38>1 2026-11-26T10:00:00.000Z web-1 sshd 4711 - - "
def line(n):
    if n % 200 == 0:
        return head + b"Failed password for u%d from 203.0.113.7 port 22 ssh2" % n
    return head + b"Connection closed by authenticating user u%d 198.51.100.4 port 50022 [preauth]" % n
if scheme == "udp":
    sock = socket.socket(type=socket.SOCK_DGRAM)
    for n in range(lines):
        sock.sendto(line(n), ("127.0.0.1", port))
    # The buffer may be full: it has to come all the same.
    for n in range(100):
        time.sleep(0.05)
        sock.sendto(b"<13>end", ("127.0.0.1", port))
else:
    sock = socket.create_connection(("127.0.0.1", port))
    for n in range(0, lines, 500):
        sock.sendall(b"".join(line(m) + b"\\n" for m in range(n, n + 500)))
    sock.sendall(b"<13>end\\n")
"""


def main() -> None:
    for scheme in ("udp", "tcp"):
        _show(f"syslog over {scheme}, only received", *_sent(scheme, _received))
        _show(f"syslog over {scheme}, Argos", *_sent(scheme, _watched))
    why = missing()
    if why is not None:
        print(f"  no journal: {why}")
        return
    with tempfile.TemporaryDirectory() as folder, Lab(Path(folder)) as lab:
        host = lab.boot("h1")
        host.path("/etc/systemd/journald.conf").write_text("[Journal]\nRateLimitBurst=0\nSystemMaxUse=4G\n")
        host.run("systemctl", "restart", "systemd-journald")
        write = (
            f"import sys\nfor n in range({LINES}):\n"
            "    print(f'Failed password for u{n} from 203.0.113.7 port 22' if n % 200 == 0 else"
            " f'Connection closed by authenticating user u{n} 198.51.100.4 port 50022 [preauth]')"
        )
        host.run("systemd-run", "--quiet", "--wait", "--unit", "talker", sys.executable, "-c", write)
        host.run("journalctl", "--sync")
        where = f"PYTHONPATH={Path.cwd()}"
        found = host.run("env", where, sys.executable, "-m", "tests.bench.bench_sources", INSIDE, str(LINES))
        for name, *numbers in json.loads(found):
            _show(name, *numbers)


def _show(name: str, lines: int, cpu: float, wall: float, hits: int) -> None:
    print(
        f"  {name:<32} {lines / cpu:>10,.0f} lines a CPU second {lines / wall:>10,.0f} a second"
        f"  ({lines / LINES:.1%} of them came, {hits:,} matched)",
        flush=True,
    )


class _Looked:
    """What a watch does with batches, before it decides."""

    def __init__(self) -> None:
        matches = [Match(name=f"m{n}", pattern=pattern) for n, pattern in enumerate(PATTERNS)]
        self._patterns = compile_patterns(matches)
        self.lines = self.hits = 0
        self.ended = False

    async def at(
        self, batches: AsyncGenerator[Batch, None], enough: Callable[[_Looked, Batch], bool]
    ) -> None:
        async with aclosing(batches):
            async for batch in batches:
                for chunk in batch.chunks:
                    self.lines += chunk.text.count(b"\n")
                    self.hits += sum(1 for _ in self._patterns.scan(chunk.text))
                    self.ended = self.ended or chunk.text.endswith(b"end\n")
                if enough(self, batch):
                    return


def _sent(
    scheme: str, receive: Callable[[str, int, Callable[[], None]], tuple[int, int]]
) -> tuple[int, float, float, int]:
    port = free_port()
    sender: list[subprocess.Popen[bytes]] = []

    def send() -> None:
        sender.append(subprocess.Popen([sys.executable, "-c", SENDER, scheme, str(port), str(LINES)]))

    cpu, wall = time.process_time(), time.perf_counter()
    lines, hits = receive(scheme, port, send)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    sender[0].kill()
    sender[0].wait()
    return lines, cpu, wall, hits


def _watched(scheme: str, port: int, send: Callable[[], None]) -> tuple[int, int]:
    async def read() -> _Looked:
        looked = _Looked()

        def enough(_: _Looked, batch: Batch) -> bool:
            if batch.caught_up:
                send()
            return looked.ended

        source = SyslogSource(Syslog(listen=f"{scheme}://127.0.0.1:{port}"), SystemClock())
        await looked.at(source.batches(None), enough)
        return looked

    looked = asyncio.run(read())
    return looked.lines, looked.hits


def _received(scheme: str, port: int, send: Callable[[], None]) -> tuple[int, int]:
    lines = 0
    if scheme == "udp":
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            sock.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)
            sock.bind(("127.0.0.1", port))
            send()
            while not sock.recv(65536).endswith(b"end"):
                lines += 1
        return lines, 0
    with socket.create_server(("127.0.0.1", port)) as server:
        send()
        sock, _ = server.accept()
        with sock:
            while data := sock.recv(1 << 18):
                lines += data.count(b"\n")
    return lines, 0


def inside(lines: int) -> None:
    """On the host: what there is in its journal, by us and by wc."""
    wanted = ["--unit=talker.service", "--output=json", "--no-pager", "--all"]
    fields = "--output-fields=MESSAGE,_SYSTEMD_UNIT,_SYSTEMD_USER_UNIT,UNIT,_PID,_TRANSPORT"
    rates = []
    for name, more in (("journalctl -o json | wc", []), ("… with our fields", [fields])):
        cpu, wall = _children(), time.perf_counter()
        subprocess.run(
            ["sh", "-c", 'exec journalctl "$@" | wc -l', "sh", *wanted, *more],
            check=True,
            stdout=subprocess.PIPE,
        )
        rates.append((name, lines, _children() - cpu, time.perf_counter() - wall, 0))
    cpu, wall = time.process_time() + _children(), time.perf_counter()

    async def read() -> _Looked:
        looked = _Looked()
        source = JournalSource(["talker.service"], SystemClock(), at_end=False)
        await looked.at(source.batches(None), lambda seen, _: seen.lines >= lines)
        return looked

    looked = asyncio.run(read())
    cpu, wall = time.process_time() + _children() - cpu, time.perf_counter() - wall
    print(json.dumps([*rates, ("the journal, Argos", looked.lines, cpu, wall, looked.hits)]))


def _children() -> float:
    times = os.times()
    return times.children_user + times.children_system


if __name__ == "__main__" and sys.argv[1:2] == [INSIDE]:
    inside(int(sys.argv[2]))
