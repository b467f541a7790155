"""Requests to elsewhere: never to where clouds keep their credentials, whatever the name or the redirect."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from olympus.host.http_aiohttp import AddressPolicy, HttpClient, HttpFailed
from olympus.kernel.errors import Refused


@asynccontextmanager
async def server(answer):
    """`answer(path) -> bytes`: what is sent back, status line and all."""
    seen = []

    async def handle(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        path = head.split()[1].decode()
        seen.append(head.decode())
        writer.write(answer(path))
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield listening.sockets[0].getsockname()[1], seen
    finally:
        listening.close()


def ok(body=b"hello", head=b"200 OK"):
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (head, len(body), body)


def redirect(to):
    return f"HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()


@pytest.fixture
async def client():
    found = HttpClient()
    yield found
    await found.close()


async def test_an_answer_is_whole(client):
    async with server(lambda _: ok()) as (port, _):
        answer = await client.request("GET", f"http://127.0.0.1:{port}/x")
        assert (answer.status, answer.body) == (200, b"hello")


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254", "[fe80::1]", "[::ffff:169.254.169.254]", "0.0.0.0", "224.0.0.1", "2852039166",
        "0xa9.0xfe.0xa9.0xfe", "0251.0376.0251.0376", "[fd00:ec2::254]", "100.100.100.200",
    ],
)  # fmt: skip
async def test_metadata_in_every_spelling_is_refused(client, host):
    # Spellings that are no addresses are refused as such.
    with pytest.raises((Refused, HttpFailed), match=r"no request may go there|not a canonical"):
        await client.request("GET", f"http://{host}/latest/meta-data", timeout=3)


async def test_a_name_that_leads_there_is_refused_and_one_that_changes_is_pinned():
    answers = iter([["127.0.0.1"], ["169.254.169.254"]])

    async def rebinding(_host, _port):
        return next(answers)

    client = HttpClient(resolve_name=rebinding)
    async with server(lambda _: ok()) as (port, seen):
        await client.request("GET", f"http://rebind.example:{port}/")
        with pytest.raises((Refused, HttpFailed)):
            await client.request("GET", f"http://rebind.example:{port}/again", timeout=3)
        assert len(seen) == 1
    await client.close()


async def test_a_redirect_into_it_is_refused_and_secrets_stay_with_their_host(client):
    async with server(lambda _: redirect("http://169.254.169.254/")) as (port, _):
        with pytest.raises(Refused):
            await client.request("GET", f"http://127.0.0.1:{port}/", timeout=3)
    async with (
        server(lambda _: ok()) as (other, seen),
        server(lambda _: redirect(f"http://127.0.0.1:{other}/")) as (port, first),
    ):
        given = {"Authorization": "Bearer s3cret", "X-Api-Key": "s3cret", "Accept": "text/plain"}
        await client.request("GET", f"http://127.0.0.1:{port}/", headers=given)
        assert first[0].count("s3cret") == 2
        assert "s3cret" not in seen[0]
        assert "text/plain" in seen[0]


async def test_loops_sizes_and_silence_end(client):
    async with server(redirect) as (port, _):
        with pytest.raises(HttpFailed, match="redirects"):
            await client.request("GET", f"http://127.0.0.1:{port}/")
    async with server(lambda _: ok(b"x" * 2000)) as (port, _):
        with pytest.raises(HttpFailed, match="over 1000 bytes"):
            await client.request("GET", f"http://127.0.0.1:{port}/", max_body=1000)
    async with server(lambda _: b"") as (port, _):
        with pytest.raises(HttpFailed):
            await client.request("GET", f"http://127.0.0.1:{port}/", timeout=2)
    for url in ("file:///etc/passwd", "gopher://x/", "http:///x"):
        with pytest.raises(Refused):
            await client.request("GET", url)


async def test_private_and_loopback_can_be_refused_as_well():
    client = HttpClient(AddressPolicy(private=False, loopback=False))
    for url in ("http://10.0.0.1/", "http://192.168.1.1/", "http://127.0.0.1/", "http://localhost/"):
        with pytest.raises(Refused):
            await client.request("GET", url, timeout=3)
    await client.close()
