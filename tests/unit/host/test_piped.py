"""Programs whose output is read as it comes."""

from __future__ import annotations

import asyncio

import pytest

from olympus.host.piped import AHEAD, Failed, answer, piped
from olympus.host.process import SpawnFailed


async def test_output_is_read_to_its_end_with_the_exit_code():
    async with piped(["sh", "-c", "echo out; echo err >&2; exit 3"]) as program:
        text = b""
        while more := await program.read():
            text += more
        assert (text, await program.ended()) == (b"out\n", 3)
        assert program.said == "err\n"


async def test_a_program_that_is_not_read_has_to_wait():
    async with piped(["sh", "-c", "echo $$; exec yes"]) as program:
        pid = int((await program.read(20)).split(b"\n")[0])
        await asyncio.sleep(0.3)
        with open(f"/proc/{pid}/io") as file:  # noqa: PTH123
            written = int(next(line for line in file if line.startswith("wchar")).split()[1])
        assert written < 6 * AHEAD


async def test_it_is_gone_when_nobody_reads_any_more():
    async with piped(["sh", "-c", "sleep 1000 & wait"]) as program:
        process = program._process
        assert process.returncode is None
    assert process.returncode == -9


async def test_what_is_not_there_or_fails_says_so():
    with pytest.raises(SpawnFailed, match="there is no such program"):
        async with piped(["not-there"]):
            pass
    with pytest.raises(Failed, match="sh ended with 4: no luck"):
        await answer(["sh", "-c", "echo no luck >&2; exit 4"])
    assert await answer(["echo", "hi"]) == b"hi\n"
