"""Writes the hooks of the specs repository: each runs `hook_script` with our interpreter."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import Final

HOOKS: Final = ("pre-receive", "post-receive")
_SCRIPT: Final = "olympus_hook.py"


def write_hooks(repository: Path, state: Path, *, python: str = sys.executable) -> None:
    """Make, or renew, the hooks of the bare `repository`; `state` is where the running Olympus listens.

    Renewed at each start, because the interpreter or Olympus itself may have moved.
    """
    hooks = repository / "hooks"
    hooks.mkdir(exist_ok=True)
    source = Path(__file__).with_name("hook_script.py").read_text()
    script = hooks / _SCRIPT
    _replace(script, source, 0o644)
    packages = Path(__file__).resolve().parent.parent.parent
    for hook in HOOKS:
        words = (python, "-I", "-S", str(script.resolve()), hook, str(state.resolve()), str(packages))
        _replace(hooks / hook, f"#!/bin/sh\nexec {shlex.join(words)}\n", 0o755)


def _replace(path: Path, text: str, mode: int) -> None:
    if path.is_file() and path.read_text() == text and path.stat().st_mode & 0o777 == mode:
        return
    # A push may run the old one at this moment: never write into it.
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_text(text)
    fresh.chmod(mode)
    fresh.replace(path)
