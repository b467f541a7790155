"""What services write, read over rotations and new starts: each line once, and what was rotated away is told."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, asynccontextmanager, suppress

import pytest

from olympus.argos.notices_watchdog import Notices
from olympus.argos.source_service import ServiceSource
from olympus.host.service_output import Output


class Reading:
    """A source that is begun anew from what was kept, as after a restart."""

    def __init__(self, folder, *, at_end=False):
        self._folder = folder
        self._at_end = at_end
        self._places = None
        self.lines = []
        self.lost = []
        self.caught_up = 0

    async def all(self):
        """What there is, and no more comes."""
        async with self._batches() as batches, asyncio.timeout(10):
            caught_up = self.caught_up
            async for batch in batches:
                self._take(batch)
                if self.caught_up > caught_up:
                    break
        return self.lines

    async def batch(self):
        """One that has lines; then it is as if we were killed."""
        async with self._batches() as batches, asyncio.timeout(10):
            async for batch in batches:
                self._take(batch)
                if batch.chunks:
                    return

    @asynccontextmanager
    async def _batches(self):
        notices = Notices()
        try:
            source = ServiceSource("web", self._folder, notices, at_end=self._at_end)
            async with aclosing(source.batches(self._places and list(self._places.values()))) as batches:
                yield batches
        finally:
            notices.close()

    def _take(self, batch):
        self._places = self._places or {}
        for chunk in batch.chunks:
            assert chunk.stream == "service/web"
            self.lines += chunk.text.decode().splitlines()
        self._places |= {(one.stream, one.part): one for one in (*batch.opened, *batch.places)}
        for key in batch.closed:
            self._places.pop(key, None)
        self.lost += batch.lost
        self.caught_up += batch.caught_up


def append(output, *lines):
    with output.file.open("ab") as file:
        file.write("".join(f"{line}\n" for line in lines).encode())


async def test_what_was_there_is_passed_over_and_what_comes_is_read(tmp_path):
    output = Output(tmp_path)
    output.begin()
    append(output, "before")
    reading = Reading(tmp_path, at_end=True)
    assert await reading.all() == []
    append(output, "after")
    assert await reading.all() == ["after"]
    assert await reading.all() == ["after"]


async def test_a_service_that_is_started_later_is_read_from_its_beginning(tmp_path):
    folder = tmp_path / "web"
    source = ServiceSource("web", folder, Notices(), at_end=True)
    async with aclosing(source.batches(None)) as batches:
        while not (await anext(batches)).caught_up:
            pass
        coming = asyncio.create_task(anext(batches))
        await asyncio.sleep(0.05)
        folder.mkdir()
        output = Output(folder)
        output.begin()
        append(output, "first")
        # The folder is found by the sweep, what comes then is told by the kernel.
        batch = await asyncio.wait_for(coming, 10)
        assert [chunk.text for chunk in batch.chunks] == [b"first\n"]
        coming = asyncio.create_task(anext(batches))
        await asyncio.sleep(0.05)
        append(output, "second")
        assert (await asyncio.wait_for(coming, 1)).chunks[0].text == b"second\n"


@pytest.mark.parametrize("killed", [False, True])
async def test_over_rotations_and_new_starts_each_line_is_read_once(tmp_path, killed):
    output = Output(tmp_path, max_bytes=1000)
    reading = Reading(tmp_path)
    written = []
    for number in range(60):
        if number % 7 == 0:
            output.begin()
        lines = [f"{number}.{one} " + "x" * 60 for one in range(5)]
        append(output, *lines)
        written += lines
        output.rotate()
        if number % 3 == 2:
            await (reading.batch() if killed else reading.all())
    assert await reading.all() == written
    assert reading.lost == []


async def test_a_last_line_without_an_end_is_a_line_when_the_service_is_started_anew(tmp_path):
    output = Output(tmp_path, max_bytes=10)
    output.begin()
    append(output, "whole line that is rotated")
    output.rotate()
    with output.file.open("ab") as file:
        file.write(b"killed while")
    reading = Reading(tmp_path)
    assert await reading.all() == ["whole line that is rotated"]
    output.begin()
    append(output, "new")
    assert await reading.all() == ["whole line that is rotated", "killed while", "new"]


async def test_what_was_rotated_away_before_it_was_read_is_told(tmp_path):
    output = Output(tmp_path, max_bytes=100)
    output.begin()
    append(output, "read")
    reading = Reading(tmp_path)
    await reading.all()
    for number in range(8):
        append(output, f"{number} " + "y" * 120)
        assert output.rotate()
    got = [line.split()[0] for line in await reading.all()]
    assert got == ["read", "4", "5", "6", "7"]
    assert [(one.size, one.reason) for one in reading.lost] == [
        (4 * 123, "it was rotated away before it was read")
    ]
    # More new starts than are remembered.
    for number in range(8):
        append(output, f"{number} " + "z" * 120)
        output.rotate()
        output.begin()
    await reading.all()
    assert len(reading.lost) == 2


async def test_while_a_process_writes_and_we_are_killed_each_line_is_read_once(tmp_path):
    output = Output(tmp_path, max_bytes=50_000)
    output.begin()
    reading = Reading(tmp_path)
    with output.file.open("ab") as file:
        process = await asyncio.create_subprocess_exec(
            "sh", "-c", "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done", stdout=file
        )
    while process.returncode is None:
        with suppress(TimeoutError):
            await asyncio.wait_for(reading.batch(), 0.05)
        output.rotate()
    await process.wait()
    got = [int(line.split()[1]) for line in await reading.all()]
    assert got == list(range(20000))
