"""Syslog over real sockets: datagrams, connections and TLS; senders that are many, slow or hostile."""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
from contextlib import aclosing, asynccontextmanager, suppress

import pytest

from olympus.argos import syslog_connections, syslog_datagrams
from olympus.argos.source_syslog import SyslogSource, chunks_of
from olympus.argos.syslog_listening import FULL
from olympus.kernel.clock import SystemClock
from olympus.kernel.errors import RetryLater
from olympus.spec.kinds.logwatch import Syslog
from olympus.testing.cluster import free_port

NEW = b'<38>1 2026-11-26T10:00:00Z gw-1 sshd 7 ID4 [from@1 ip="203.0.113.7"] '
OLD = b"<38>Nov 26 10:00:00 gw-1 sshd[7]: "


@asynccontextmanager
async def a_source(scheme, **more):
    """The port, and what gives batch by batch what came."""
    port = free_port()
    source = SyslogSource(Syslog(listen=f"{scheme}://127.0.0.1:{port}", **more), SystemClock())
    async with aclosing(source.batches(None)) as batches:
        first = await anext(batches)
        assert first.caught_up
        yield port, batches, source


async def lines(batches, count):
    """(source, line, fields) of so many lines."""
    found = []
    async with asyncio.timeout(10):
        while len(found) < count:
            for chunk in (await anext(batches)).chunks:
                start = 0
                for line in chunk.text.split(b"\n")[:-1]:
                    found.append((chunk.stream, line, chunk.about(start)))
                    start += len(line) + 1
    return found


async def test_a_datagram_is_a_message_of_either_form_and_what_it_says_of_itself_is_kept():
    async with a_source("udp") as (port, batches, _):
        with socket.socket(type=socket.SOCK_DGRAM) as sender:
            for message in (NEW + b"one\n", OLD + b"two\xff\0", b"three: bare", b"", b"<38>"):
                sender.sendto(message, ("127.0.0.1", port))
        found = await lines(batches, 3)
    head = {
        "peer": "127.0.0.1",
        "host": "gw-1",
        "app": "sshd",
        "pid": "7",
        "facility": "auth",
        "severity": "info",
    }
    new = {**head, "id": "ID4", "at": "2026-11-26T10:00:00Z", "data": {"from@1": {"ip": "203.0.113.7"}}}
    assert found == [
        ("syslog/127.0.0.1/sshd", b"one", new),
        ("syslog/127.0.0.1/sshd", b"two\xff", {**head, "at": "Nov 26 10:00:00"}),
        ("syslog/127.0.0.1/-", b"three: bare", {"peer": "127.0.0.1"}),
    ]


async def test_datagrams_that_the_kernel_had_no_room_for_are_counted(monkeypatch):
    monkeypatch.setattr(syslog_datagrams, "_BUFFER", 64 * 1024)
    async with a_source("udp") as (port, batches, _):
        with socket.socket(type=socket.SOCK_DGRAM) as sender:
            for number in range(2000):
                sender.sendto(OLD + b"%d" % number, ("127.0.0.1", port))
        batch = await anext(batches)
        came = sum(chunk.text.count(b"\n") for chunk in batch.chunks)
    assert 0 < came < 2000
    assert [one.reason.split(" datagrams")[0] for one in batch.lost] == [str(2000 - came)]


async def test_over_a_connection_messages_have_a_length_or_an_end():
    async with a_source("tcp") as (port, batches, _):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        counted = NEW + b"one\n  and more"
        writer.write(b"%d %b" % (len(counted), counted) + OLD + b"two\n" + OLD + b"three, without an end")
        writer.close()
        found = await lines(batches, 4)
    assert [line for _, line, _ in found] == [b"one", b"  and more", b"two", b"three, without an end"]
    # What follows in the message has its head too.
    assert found[0][2] == found[1][2]


async def test_who_sends_more_than_is_taken_has_to_wait_and_loses_nothing():
    total, message = 0, OLD + b"x" * 900 + b"\n"
    async with a_source("tcp") as (port, batches, source):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        while True:
            writer.write(message)
            total += 1
            try:
                await asyncio.wait_for(writer.drain(), 0.3)
            except TimeoutError:
                break
        assert source._listener._size < FULL + (1 << 20)
        writer.close()
        assert len(await lines(batches, total)) == total
    assert total * len(message) > FULL


async def test_a_crowd_of_one_address_gives_up_its_most_silent_connection(monkeypatch):
    monkeypatch.setattr(syslog_connections, "CONNECTIONS", 3)
    async with a_source("tcp") as (port, batches, source):
        opened = []
        for _ in range(5):
            opened.append(await asyncio.open_connection("127.0.0.1", port))
            opened[-1][1].write(OLD + b"here\n")
            await lines(batches, 1)
        assert source.complaints() == ["more than 3 connections are kept open: the most silent are closed"]
        for reader, _ in opened[:2]:
            assert await asyncio.wait_for(reader.read(), 5) == b""
        for _, writer in opened[2:]:
            writer.write(OLD + b"still here\n")
        assert len(await lines(batches, 3)) == 3
        for _, writer in opened:
            writer.close()


async def test_hostile_senders_cost_no_memory_and_keep_nobody_else_from_being_heard():
    async with a_source("tcp") as (port, batches, source):
        hostile = []
        for text in (
            b"999999999 <" + b"x" * (1 << 20),
            b"<" + b"y" * (1 << 20),
            b"\n" * (1 << 20),
            b"12345678",
        ):
            hostile.append((await asyncio.open_connection("127.0.0.1", port))[1])
            hostile[-1].write(text)
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(OLD + b"heard\n")
        found = await lines(batches, 3)
        assert b"heard" in [line for _, line, _ in found]
        assert max(len(line) for _, line, _ in found) <= 64 * 1024
        for one in source._listener._there:
            assert len(one._framing._rest) <= 64 * 1024 + 16
        for one in (*hostile, writer):
            one.close()


async def test_an_address_that_is_taken_is_an_error_with_what_to_do():
    async with a_source("udp") as (port, _, _):
        second = SyslogSource(Syslog(listen=f"udp://127.0.0.1:{port}"), SystemClock())
        with pytest.raises(RetryLater, match=r"Address already in use: another LogWatch .* listens there"):
            await anext(second.batches(None))


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pem")
    make(folder)
    return folder


def make(folder, name="127.0.0.1"):
    words = f"req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN={name}"
    files = ["-keyout", folder / "key.pem", "-out", folder / "cert.pem"]
    subprocess.run(
        ["openssl", *words.split(), "-addext", "subjectAltName=IP:127.0.0.1", *files],
        check=True,
        capture_output=True,
    )


async def test_tls_asks_for_a_certificate_where_it_should_and_takes_a_renewed_one(pair, tmp_path):
    make(tmp_path, "first")
    cert, key = str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")
    async with a_source("tls", cert=cert, key=key, clients=str(pair / "cert.pem")) as (port, batches, _):
        # Plain text and silence are no handshake.
        _, plain = await asyncio.open_connection("127.0.0.1", port)
        plain.write(OLD + b"plain\n")
        nobody = ssl.create_default_context(cafile=cert)
        reader, stranger = await asyncio.open_connection("127.0.0.1", port, ssl=nobody)
        stranger.write(OLD + b"stranger\n")
        with suppress(OSError):
            assert await asyncio.wait_for(reader.read(), 5) == b""
        for name in ("first", "renewed"):
            make(tmp_path, name)
            known = ssl.create_default_context(cafile=cert)
            known.load_cert_chain(pair / "cert.pem", pair / "key.pem")
            _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=known)
            assert dict(pairs[0] for pairs in writer.get_extra_info("peercert")["subject"]) == {
                "commonName": name
            }
            writer.write(OLD + name.encode() + b"\n")
            assert [line for _, line, _ in await lines(batches, 1)] == [name.encode()]
            writer.close()
        plain.close()
        stranger.close()


async def test_who_is_silent_instead_of_a_handshake_keeps_nobody_out(pair, monkeypatch):
    monkeypatch.setattr(syslog_connections, "CONNECTIONS", 3)
    files = {"cert": str(pair / "cert.pem"), "key": str(pair / "key.pem")}
    async with a_source("tls", **files) as (port, batches, source):
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(20)]
        _, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=ssl.create_default_context(cafile=files["cert"])
        )
        writer.write(OLD + b"heard\n")
        assert [line for _, line, _ in await lines(batches, 1)] == [b"heard"]
        assert len(source._listener._there) <= 3
        for _, one in silent:
            one.close()
        writer.close()


async def test_a_certificate_that_cannot_be_used_is_an_error_that_names_it(tmp_path):
    file = str(tmp_path / "cert.pem")
    spec = Syslog(listen=f"tls://127.0.0.1:{free_port()}", cert=file, key=file)
    with pytest.raises(RetryLater, match=r"has no certificate to show: .*No such file"):
        await anext(SyslogSource(spec, SystemClock()).batches(None))


def test_lines_of_many_senders_keep_their_heads_and_their_order():
    messages = [
        (f"10.0.0.{n % 3}", b"<13>Nov 26 10:00:00 h app%d[%d]: line %d" % (n % 2, n, n)) for n in range(60)
    ]
    chunks = chunks_of(messages, 7)
    assert len(chunks) == 6
    assert [one.offset for one in chunks] == [7 + sum(len(c.text) for c in chunks[:n]) for n in range(6)]
    for chunk in chunks:
        start, numbers = 0, []
        for line in chunk.text.split(b"\n")[:-1]:
            numbers.append(int(line.split()[1]))
            assert chunk.about(start)["pid"] == str(numbers[-1])
            start += len(line) + 1
        assert numbers == sorted(numbers)
        assert len(numbers) == 10
