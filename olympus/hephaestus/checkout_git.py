"""A git repository into a workspace. Its hooks, filters, submodules and settings do nothing here.

git is run as a program of its own: a clone takes as long as it takes, and the event loop must not wait for it.
"""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path
from typing import Final

from olympus.kernel.errors import Invalid, RetryLater

_TIMEOUT: Final = 600.0
_URL = re.compile(r"(https|ssh|file)://[^\s\0]+|[A-Za-z0-9._-]+@[A-Za-z0-9.-]+:[^\s\0:][^\s\0]*")
_REF = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/+@-]*")

_ENVIRONMENT: Final = {
    "GIT_ALLOW_PROTOCOL": "https:ssh:file",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "true",
    "GIT_SSH_COMMAND": "ssh -o BatchMode=yes",
    "GIT_LFS_SKIP_SMUDGE": "1",
    "LC_ALL": "C",
}
_SETTINGS: Final = (
    *("-c", f"core.hooksPath={os.devnull}"),
    *("-c", "safe.directory=*"),
    *("-c", "core.symlinks=true"),
    *("-c", "protocol.ext.allow=never"),
    *("-c", "advice.detachedHead=false"),
)


async def clone(repo: str, ref: str, folder: Path) -> None:
    """The files of `ref` into `folder`. Raises Invalid (the words are wrong), RetryLater (git could not)."""
    if not _URL.fullmatch(repo):
        raise Invalid(f"{repo!r} is no repository: write https://…, ssh://… or file://…")
    if not _REF.fullmatch(ref) or ".." in ref:
        raise Invalid(f"{ref!r} is no branch, tag or commit")
    await _git(folder, "init", "--quiet")
    await _git(folder, "fetch", "--quiet", "--depth=1", "--no-tags", "--", repo, ref)
    await _git(folder, "checkout", "--quiet", "--detach", "FETCH_HEAD")


async def _git(folder: Path, *words: str) -> None:
    environ = {name: os.environ[name] for name in ("PATH", "HOME", "SSH_AUTH_SOCK") if name in os.environ}
    process = await asyncio.create_subprocess_exec(
        "git",
        *_SETTINGS,
        *words,
        cwd=folder,
        env={**environ, **_ENVIRONMENT},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(_TIMEOUT):
            said, _ = await process.communicate()
    except TimeoutError as error:
        process.kill()
        raise RetryLater(f"git {words[0]} took longer than {_TIMEOUT:g} s") from error
    if process.returncode:
        lines = said.decode(errors="replace").strip().splitlines()
        raise RetryLater(f"git {words[0]}: {lines[-1] if lines else process.returncode}")
