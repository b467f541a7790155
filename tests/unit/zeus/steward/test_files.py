"""Files are written whole, healed, never through links."""

from __future__ import annotations

import hashlib

import pytest

from olympus.kernel.errors import Refused
from olympus.records.desired import BlobRef, FileSpec
from olympus.zeus.steward.files import differs, write


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
