"""Rotation loses no line of a process that writes on, nor one that is read behind it."""

from __future__ import annotations

import subprocess
import sys
import time

from olympus.host.service_output import KEPT, Output

WRITER = """
import sys, time
for i in range(int(sys.argv[1])):
    print(f"line {i:08d} " + "x" * 80, flush=True)
    if i % 500 == 0: time.sleep(0.005)
"""


def test_no_line_is_lost_or_doubled_while_a_process_writes(tmp_path):
    output = Output(tmp_path, max_bytes=400_000)
    output.begin()
    lines = 15_000
    with output.file.open("ab") as file:
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(lines)], stdout=file)
    rotations = 0
    while process.poll() is None:
        rotations += output.rotate()
        time.sleep(0.001)
    rotations += output.rotate()
    assert rotations > 0
    got = [int(line.split()[1]) for line in output.read().splitlines()]
    kept_from = got[0]
    assert got == list(range(kept_from, lines))
    assert kept_from == 0 or rotations >= KEPT
    # The blocks of what was moved away are given back: the file is long, and takes little room.
    assert output.file.stat().st_blocks * 512 < output.file.stat().st_size or rotations == 0


def test_a_reader_follows_over_rotations_and_a_new_start(tmp_path):
    output = Output(tmp_path, max_bytes=100)
    output.begin()
    with output.file.open("ab", buffering=0) as file:
        file.write(b"a" * 150 + b"\n")
        data, offset = output.read_from(0)
        assert len(data) == 151
        assert output.rotate()
        file.write(b"next\n")
        assert output.read_from(offset)[0] == b"next\n"
    output.begin()
    assert output.start == 0
    assert output.read(1) == b"next\n"
    with output.file.open("ab") as file:
        file.write(b"fresh\n")
    assert output.read_from(offset)[0] == b"fresh\n"
    assert output.read(2) == b"next\nfresh\n"


def written(output):
    """Generation → its bytes, as far as they are there, from the segment that begins it here."""
    found = {}
    for one in output.segments():
        with one.path.open("rb") as file:
            file.seek(one.at)
            begin, text = found.get(one.generation, (one.begin, b""))
            assert begin + len(text) == one.begin
            found[one.generation] = begin, text + file.read(one.end - one.begin)
    return list(found.values())


def test_segments_tell_where_everything_lies_over_rotations_and_starts(tmp_path):
    output = Output(tmp_path, max_bytes=100)
    assert output.segments() == []
    output.begin()
    expected = []
    for generation in range(2):
        whole = b""
        for number in range(2):
            text = f"{generation}.{number} ".encode() + b"x" * 150 + b"\n"
            append(output, text)
            assert output.rotate()
            whole += text
        append(output, b"rest without an end")
        expected.append((0, whole + b"rest without an end"))
        output.begin()
    # Of the first, what is older than the last parts is gone.
    (begin, first), second, third = written(output)
    assert first == expected[0][1][begin:]
    assert (second, third) == (expected[1], (0, b""))
    assert len(output.segments()) == KEPT + 1


def append(output, text):
    with output.file.open("ab") as file:
        file.write(text)


def test_being_killed_between_any_two_steps_of_a_new_start_loses_no_generation(tmp_path, monkeypatch):
    for step in ("rename", "_know"):
        folder = tmp_path / step
        folder.mkdir()
        output = Output(folder, max_bytes=10)
        output.begin()
        append(output, b"some lines of output\n")
        output.rotate()
        append(output, b"more\n")
        with monkeypatch.context() as patched:
            patched.setattr(Output, "_know", killed) if step == "_know" else patched.setattr(
                type(output.file), "rename", only_of(output._new)
            )
            try:
                output.begin()
            except KeyboardInterrupt:
                pass
            else:
                raise AssertionError("it was not killed")
        output.begin()
        append(output, b"fresh\n")
        assert written(output)[-1] == (0, b"fresh\n")
        assert output.read().endswith(b"more\nfresh\n")


def killed(*_):
    raise KeyboardInterrupt


def only_of(path):
    real = type(path).rename
    return lambda self, target: killed() if self == path else real(self, target)
