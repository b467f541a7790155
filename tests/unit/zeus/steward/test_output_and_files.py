"""Rotation loses no line of a process that writes on; files are written whole, healed, never through links."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time

import pytest

from olympus.kernel.errors import Refused
from olympus.records.desired import BlobRef, FileSpec
from olympus.zeus.steward.files import differs, write
from olympus.zeus.steward.output import KEPT, Output

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


def spec(path, content: bytes, **more) -> FileSpec:
    blob = BlobRef(digest=hashlib.sha256(content).hexdigest(), size=len(content))
    return FileSpec(path=str(path), content=blob, **more)


def test_a_file_is_written_with_its_mode_and_drift_is_seen(tmp_path):
    file = spec(tmp_path / "deep" / "conf", b"hello", mode=0o640)
    assert differs(file)
    write(file, b"hello")
    assert not differs(file)
    target = tmp_path / "deep" / "conf"
    assert (target.read_bytes(), target.stat().st_mode & 0o777) == (b"hello", 0o640)
    target.write_bytes(b"other")
    assert differs(file)
    write(file, b"hello")
    target.chmod(0o777)
    assert differs(file)
    assert [path.name for path in target.parent.iterdir()] == ["conf"]


def test_a_link_is_never_followed(tmp_path):
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    link = tmp_path / "link"
    link.symlink_to(victim)
    file = spec(link, b"new")
    assert differs(file)
    write(file, b"new")
    assert victim.read_bytes() == b"precious"
    assert not link.is_symlink()
    (tmp_path / "real").mkdir()
    (tmp_path / "way").symlink_to(tmp_path / "real")
    with pytest.raises(Refused, match="symbolic link"):
        write(spec(tmp_path / "way" / "f", b"x"), b"x")
    with pytest.raises(Refused, match="no user"):
        write(spec(tmp_path / "g", b"x", owner="no-such-user"), b"x")
