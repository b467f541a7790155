"""What the hooks do while no Olympus runs here: validate by ourselves; what is valid applies at its start.

Run by `hook_script` as a process of its own: the hook's message comes on stdin, lines for the push go out.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from olympus.host.repository_git import MAIN
from olympus.kernel.errors import OlympusError
from olympus.zeus.push import Push, printable, push_from_json
from olympus.zeus.repo_git import SpecRepository
from olympus.zeus.validation import Judge, Validator, refusal


def main(judge: Judge = lambda _: ()) -> int:
    """argv: the state directory."""
    try:
        push = push_from_json(json.load(sys.stdin))
        repository = SpecRepository(Path(sys.argv[1]) / "specs.git")
        return _check(push, repository, judge) if push.hook == "pre-receive" else _received(push, repository)
    except (OlympusError, ValueError) as exc:
        _say(f"refused: {exc}")
        return 1


def _check(push: Push, repository: SpecRepository, judge: Judge) -> int:
    validator = Validator(repository, judge)
    objections: list[str] = []
    for update in push.updates:
        lines = refusal(update)
        if not lines and not update.deletes and update.ref.startswith("refs/heads/"):
            lines = validator.check(update.new, push.quarantine).lines()
        objections += lines
    for line in objections:
        _say(f"refused: {line}")
    return 1 if objections else 0


def _received(push: Push, repository: SpecRepository) -> int:
    for update in push.updates:
        if update.ref != MAIN:
            continue
        if not update.creates and not repository.contains(update.new, update.old):
            kept = repository.keep_replaced(update.old)
            _say(f"history of main was replaced; its old head is kept as {kept}")
        _say(f"valid: {update.new[:7]} applies when Olympus starts")
    return 0


def _say(line: str) -> None:
    sys.stdout.write(f"olympus: {printable(line)}\n")
    sys.stdout.flush()
