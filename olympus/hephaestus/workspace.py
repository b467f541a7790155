"""The private folder of a run on a node: made when its first step comes, with a checkout and files of the specs."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from olympus.hephaestus.artifacts import Artifacts
from olympus.hephaestus.checkout_git import clone
from olympus.hephaestus.orders import Artifact, Load, Order, Workspace
from olympus.host.users import account, own_name
from olympus.kernel.errors import Invalid, Refused
from olympus.records.desired import BlobRef

_READY: Final = ".olympus-ready"


def base_folder(state: Path) -> Path:
    """Where workspaces are: within the state, unless unprivileged users could not get there."""
    reachable = all(parent.stat().st_mode & stat.S_IXOTH for parent in state.resolve().parents)
    if reachable or os.geteuid() != 0:
        return _private(state / "work", 0o711)
    name = hashlib.sha256(str(state.resolve()).encode()).hexdigest()[:12]
    return _private(Path("/var/tmp") / f"olympus-{name}", 0o711)  # noqa: S108 - its owner is checked


def _private(folder: Path, mode: int) -> Path:
    folder.mkdir(mode=mode, exist_ok=True, parents=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise Refused(f"{folder} is not ours: remove it")
    folder.chmod(mode)
    return folder


class Workspaces:
    """`load` gets the content of a file of the specs' commit; `artifacts` keeps what is saved."""

    def __init__(self, base: Path, artifacts: Artifacts, load: Callable[[BlobRef], Awaitable[bytes]]) -> None:
        self._base = base
        self.artifacts = artifacts
        self._load = load

    async def prepare(self, wanted: Workspace, user: str) -> Path:
        """The folder, belonging to `user`. Raises Invalid, RetryLater (the checkout)."""
        folder = self._base / wanted.key
        if wanted.checkout is None and not wanted.files:
            # It is whole as soon as it is there.
            with suppress(FileExistsError):
                folder.mkdir(mode=0o700)
        elif not (folder / _READY).exists():
            await self._fill(folder, wanted)
        _give(folder, user)
        return folder

    async def _fill(self, folder: Path, wanted: Workspace) -> None:
        """Anew, where it was left half full."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        if wanted.checkout is not None:
            await clone(wanted.checkout.repo, wanted.checkout.ref, folder)
        for file in wanted.files:
            target = inside(folder, file.path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(await self._load(file.content))
            target.chmod(file.mode)
        (folder / _READY).touch()

    async def load_artifact(self, run: str, wanted: Load, folder: Path, user: str) -> None:
        """Raises Invalid where it cannot be had."""
        target = inside(folder, wanted.path)
        target.parent.mkdir(parents=True, exist_ok=True)
        await self.artifacts.load(run, wanted, target)
        _give(target, user)

    async def save_artifact(self, order: Order, name: str, path: str, folder: Path) -> Artifact:
        """Keep a file of the workspace. Raises Invalid where it is not there, or leads out of it."""
        source = inside(folder, path)
        return await self.artifacts.save(order.run, name, source, share=name in order.share)

    def remove_run(self, run: str) -> None:
        """The workspaces of a run on this node."""
        for folder in self._base.glob(f"{run}-*"):
            shutil.rmtree(folder, ignore_errors=True)

    def remove_older(self, seconds: float) -> None:
        """Workspaces that nothing was done with for so long."""
        for folder in self._base.iterdir():
            if time.time() - folder.lstat().st_mtime > seconds:
                shutil.rmtree(folder, ignore_errors=True)


def inside(folder: Path, path: str) -> Path:
    """`folder`/`path`, where no part of it leads elsewhere. Raises Invalid."""
    target = folder / path
    if target.is_absolute() and not target.is_relative_to(folder):
        raise Invalid(f"{path!r} is not within the workspace")
    if not Path(os.path.normpath(target)).is_relative_to(folder):
        raise Invalid(f"{path!r} would leave the workspace")
    if not target.parent.resolve().is_relative_to(folder.resolve()):
        raise Invalid(f"{path!r} leads out of the workspace by a symbolic link")
    return target


def _give(path: Path, user: str) -> None:
    """Make all of it `user`'s, without following links."""
    if os.geteuid() != 0 or user == own_name():
        return
    who = account(user)
    if path.lstat().st_uid == who.pw_uid:
        return
    os.lchown(path, who.pw_uid, who.pw_gid)
    if path.is_dir() and not path.is_symlink():
        for root, folders, files in os.walk(path, followlinks=False):
            for name in (*folders, *files):
                os.lchown(Path(root) / name, who.pw_uid, who.pw_gid)
