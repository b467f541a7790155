"""Each probe against the real thing."""

from __future__ import annotations

import asyncio
import os
import ssl
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from olympus.argos.check_core import Found, NotLooked, Unanswered
from olympus.argos.check_probes import MAX_OUTPUT, Tools, look
from olympus.host.http_aiohttp import HttpClient
from olympus.host.process import find_scope
from olympus.kernel.clock import SystemClock
from olympus.records.desired import CheckDesired
from olympus.testing.cluster import free_port


@pytest.fixture
async def tools(tmp_path):
    client = HttpClient()
    folder = tmp_path / "checks"
    folder.mkdir(mode=0o700)
    yield Tools(client, SystemClock(), folder)
    await client.close()


def check(probe, target="", **more):
    return CheckDesired(name="c", probe=probe, target=str(target), **more)


async def value(tools, probe, target="", **more):
    fact = await look(check(probe, target, **more), tools)
    assert isinstance(fact, Found), fact
    return fact.value


def certificate(days):
    key = Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "shop.example.org")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=400))
        .not_valid_after(now + timedelta(days=days))
        .sign(key, None)
    )
    return made.public_bytes(Encoding.PEM), key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )


async def serve(handler, **more):
    server = await asyncio.start_server(handler, "127.0.0.1", 0, **more)
    return server, server.sockets[0].getsockname()[1]


def answering(status):
    async def handler(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\nLocation: http://127.0.0.1:1/\r\n\r\n" % status)
        await writer.drain()
        writer.close()

    return handler


async def silent(reader, writer):
    await reader.read()
    writer.close()


# --- disk, load, memory ----------------------------------------------------------------------------------


async def test_a_disk_is_as_full_as_df_says(tools):
    found = await value(tools, "disk", "/")
    said = subprocess.run(["df", "--output=pcent", "/"], capture_output=True, text=True, check=True)
    # df rounds up, and others write meanwhile.
    assert abs(found["used_percent"] - int(said.stdout.split()[-1].rstrip("%"))) <= 1.5
    assert found["free_bytes"] > 0


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system")
async def test_a_file_system_that_is_filled_is_full(tools, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", disk], check=True)
    try:
        assert (await value(tools, "disk", disk))["used_percent"] == 0
        (disk / "file").write_bytes(bytes(768 * 1024))
        assert await value(tools, "disk", disk) == {"used_percent": 75.0, "free_bytes": 256 * 1024}
    finally:
        subprocess.run(["umount", disk], check=True)


async def test_a_disk_that_is_not_there_is_not_looked_at(tools, tmp_path):
    fact = await look(check("disk", tmp_path / "nowhere"), tools)
    assert fact == NotLooked(f"{tmp_path}/nowhere: No such file or directory")


async def test_load_and_memory_are_the_kernels(tools):
    assert (await value(tools, "load"))["fifteen"] == pytest.approx(os.getloadavg()[2], abs=0.5)
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    used = (await value(tools, "memory"))["used_percent"]
    mine = 100 * int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / total
    assert mine < used < 100


# --- file ------------------------------------------------------------------------------------------------


async def test_a_file_is_there_or_not(tools, tmp_path):
    file = tmp_path / "f"
    assert await value(tools, "file", file) == {"exists": False}
    assert await value(tools, "file", file / "below") == {"exists": False}
    file.write_bytes(b"12345")
    os.utime(file, (time.time() - 3600, time.time() - 3600))
    found = await value(tools, "file", file)
    assert (found["exists"], found["size"]) == (True, 5)
    assert found["age_seconds"] == pytest.approx(3600, abs=30)


async def test_a_file_that_can_not_be_looked_at_is_neither_there_nor_not(tools, tmp_path):
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    assert isinstance(await look(check("file", loop), tools), NotLooked)


# --- certificate -----------------------------------------------------------------------------------------


async def test_the_days_of_a_certificate_in_a_file(tools, tmp_path):
    file = tmp_path / "chain.pem"
    # A chain holds no longer than what in it ends first.
    file.write_bytes(certificate(90)[0] + certificate(10)[0])
    assert (await value(tools, "certificate", file))["days_left"] == pytest.approx(10, abs=0.1)


@pytest.mark.parametrize("content", [b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
async def test_a_file_without_a_certificate_is_not_looked_at(tools, tmp_path, content):
    file = tmp_path / "none.pem"
    file.write_bytes(content)
    assert isinstance(await look(check("certificate", file), tools), NotLooked)
    assert isinstance(await look(check("certificate", tmp_path / "gone.pem"), tools), NotLooked)


async def test_a_pipe_in_place_of_a_certificate_holds_up_nobody(tools, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert isinstance(await look(check("certificate", tmp_path / "pipe"), tools), NotLooked)


@pytest.mark.parametrize("days", [30, -3])
async def test_the_days_of_the_certificate_that_a_server_shows_also_when_it_has_ended(tools, tmp_path, days):
    shown, key = certificate(days)
    (tmp_path / "c.pem").write_bytes(shown + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "c.pem")
    server, port = await serve(silent, ssl=context)
    async with server:
        found = await value(tools, "certificate", f"127.0.0.1:{port}")
    assert found["days_left"] == pytest.approx(days, abs=0.1)


async def test_a_server_that_shows_no_certificate_is_not_looked_at(tools):
    server, port = await serve(silent)
    async with server:
        fact = await look(check("certificate", f"127.0.0.1:{port}", timeout=0.2), tools)
    assert isinstance(fact, NotLooked)
    assert isinstance(await look(check("certificate", f"127.0.0.1:{free_port()}"), tools), NotLooked)


# --- http, tcp -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 302, 503])
async def test_http_is_the_first_answer_of_a_real_server(tools, status):
    server, port = await serve(answering(status))
    async with server:
        found = await value(tools, "http", f"http://127.0.0.1:{port}/")
    assert found["status"] == status
    assert 0 < found["seconds"] < 10


async def test_a_server_that_does_not_answer_fails(tools):
    nobody = free_port()
    assert isinstance(await look(check("http", f"http://127.0.0.1:{nobody}/"), tools), Unanswered)
    assert isinstance(await look(check("tcp", f"127.0.0.1:{nobody}"), tools), Unanswered)
    server, port = await serve(silent)
    async with server:
        fact = await look(check("http", f"http://127.0.0.1:{port}/", timeout=0.2), tools)
        assert isinstance(fact, Unanswered)
        assert (await value(tools, "tcp", f"127.0.0.1:{port}"))["seconds"] < 10


async def test_no_request_goes_where_clouds_keep_their_credentials(tools):
    fact = await look(check("http", "http://169.254.169.254/latest/meta-data/"), tools)
    assert isinstance(fact, NotLooked)


@pytest.mark.parametrize("host", ["a" * 64 + ".example", "no-such-host.invalid"])
async def test_a_name_that_is_none_fails_and_stops_nobody(tools, host):
    assert isinstance(await look(check("tcp", f"{host}:80"), tools), Unanswered)


# --- command ---------------------------------------------------------------------------------------------


def shell(script, **more):
    return check("command", command=("/bin/sh", "-c", script), **more)


@pytest.mark.parametrize(
    ("script", "found"),
    [
        ("exit 3", {"exit": 3, "output": ""}),
        ("echo fine; echo more >&2", {"exit": 0, "output": "fine\nmore"}),
        ("echo looking; echo '{\"queue\": 7}'", {"exit": 0, "output": {"queue": 7}}),
        ("kill -9 $$", {"exit": -9, "output": ""}),
        ("printf '\\377x'", {"exit": 0, "output": "\N{REPLACEMENT CHARACTER}x"}),
    ],
)
async def test_a_command_has_an_exit_code_and_an_output(tools, script, found):
    fact = await look(shell(script), tools)
    assert fact == Found(found)
    assert list(tools.folder.iterdir()) == []


async def test_a_command_runs_unprivileged_with_an_empty_environment(tools):
    found = await look(
        shell("id -u; env | cut -d= -f1 | grep -v '^_$\\|^PWD$\\|^SHLVL$' | sort | xargs"), tools
    )
    user, names = found.value["output"].split("\n")
    assert user != "0"
    assert set(names.split()) == {"LANG", "OLY_SCOPE", "PATH"}


async def test_of_a_command_that_writes_without_end_the_end_is_kept(tools):
    script = "i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done"
    found = await look(shell(script), tools)
    assert found.value["output"].endswith("line 1999")
    assert len(found.value["output"]) <= MAX_OUTPUT
    endless = await look(shell("yes", timeout=30), tools)
    # It is killed by the limit of what it may write, long before its time is over.
    assert endless.value["exit"] != 0


async def test_a_command_that_has_no_end_is_unknown_and_leaves_nothing(tools):
    fact = await look(shell("setsid sleep 1000 & sleep 1000", timeout=0.3), tools)
    assert fact == NotLooked("no end within 0.3 s")
    assert find_scope(tools.scope("c")) == []


async def test_a_command_that_is_not_there_is_unknown(tools):
    fact = await look(check("command", command=("no-such-program",)), tools)
    assert isinstance(fact, NotLooked)
    assert "no-such-program" in fact.why
