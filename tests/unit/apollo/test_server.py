"""The web server beneath the app."""

from __future__ import annotations

import asyncio
from pathlib import Path

from olympus.apollo.server_hypercorn import listen, serve


async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})
        return
    while (message := await receive())["type"] != "lifespan.shutdown":
        await send({"type": f"{message['type']}.complete"})
    await send({"type": "lifespan.shutdown.complete"})


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def ask(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    writer.close()
    await writer.wait_closed()


async def test_a_connection_that_its_client_closed_is_let_go():
    sock, stop = listen("127.0.0.1", 0), asyncio.Event()
    serving = asyncio.create_task(serve(app, sock, stop=stop.wait))
    before = descriptors()
    for _ in range(50):
        await ask(sock.getsockname()[1])
    async with asyncio.timeout(20):
        while descriptors() > before + 5:
            await asyncio.sleep(0.02)
    stop.set()
    await serving
