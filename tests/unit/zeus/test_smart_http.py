"""Smart HTTP with a real git client against a minimal server: what is claimed of `serve_git`."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from olympus.kernel.errors import NotFound, Refused
from olympus.testing.git_http import git_server
from olympus.zeus.repo_git import SpecRepository
from olympus.zeus.smart_http import GitRequest, serve_git


async def git(*arguments: str, cwd: Path) -> str:
    done = await asyncio.to_thread(
        subprocess.run,
        ["git", "-c", "user.name=t", "-c", "user.email=t@t", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


async def test_a_clone_and_a_large_push_go_through(tmp_path: Path):
    seed = tmp_path / "seed"
    seed.mkdir()
    (seed / "a.yaml").write_text("a: 1\n")
    repository = SpecRepository.open_or_create(
        tmp_path / "specs.git", seed=seed, author="t", now=datetime.now(UTC)
    )
    async with git_server(repository.path) as url:
        await git("clone", "-q", url, "work", cwd=tmp_path)
        work = tmp_path / "work"
        assert (work / "a.yaml").read_text() == "a: 1\n"
        # Over git's post buffer of 1 MiB the client sends chunks.
        (work / "big.bin").write_bytes(bytes(range(256)) * 20_000 + tmp_path.name.encode())
        (work / "noise.bin").write_bytes(__import__("os").urandom(3_000_000))
        await git("add", ".", cwd=work)
        await git("commit", "-qm", "more", cwd=work)
        await git("push", "-q", "origin", "HEAD:main", cwd=work)
        assert repository.head() == (await git("rev-parse", "HEAD", cwd=work)).strip()


@pytest.mark.parametrize("path", ["HEAD", "objects/info/packs", "../secret", "config", ""])
async def test_the_dumb_protocol_is_not_spoken(tmp_path: Path, path: str):
    async def nothing() -> AsyncIterator[bytes]:
        return
        yield b""

    with pytest.raises(NotFound):
        async with serve_git(tmp_path, GitRequest("GET", path), nothing()):
            pass
    with pytest.raises(Refused):
        async with serve_git(tmp_path, GitRequest("GET", "info/refs"), nothing()):
            pass


def test_listing_refs_for_a_push_needs_the_right_to_push():
    assert GitRequest("GET", "info/refs", "service=git-receive-pack").pushes
    assert GitRequest("POST", "git-receive-pack").pushes
    assert not GitRequest("GET", "info/refs", "service=git-upload-pack").pushes
    assert not GitRequest("POST", "git-upload-pack").pushes
