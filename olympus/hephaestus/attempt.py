"""What is on disk of an attempt: `STATE/runs/RUN/STEP.TARGET.ATTEMPT.*`, so that it outlives this process.

log:    what people may read, masked        raw:  what the process writes, where it has secrets
output: what it wrote to $OLY_OUTPUT
json:   a line each that it was begun, as which process, and with which code it ended, left by its wrapper. One
        file, only appended to: making files and removing them is most of what a quick step costs a file system
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from olympus.hephaestus.orders import MAX_OUTPUT, Order
from olympus.host.process import Identity

_TAIL: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Attempt:
    """The files of one attempt."""

    base: Path

    @staticmethod
    def of(order: Order, runs: Path) -> Attempt:
        return Attempt(runs / order.run / order.id.removeprefix(f"{order.run}."))

    def _with(self, suffix: str) -> Path:
        # Not with_suffix: the names of nodes and the numbers of attempts come behind dots too.
        return Path(f"{self.base}{suffix}")

    @property
    def log(self) -> Path:
        return self._with(".log")

    @property
    def raw(self) -> Path:
        return self._with(".raw")

    @property
    def output(self) -> Path:
        return self._with(".output")

    @property
    def record(self) -> Path:
        return self._with(".json")

    def begun(self) -> None:
        """To be said before anything is done: without it, nothing was done."""
        try:
            self._append({})
        except FileNotFoundError:
            self.base.parent.mkdir(mode=0o711, exist_ok=True)
            self._append({})

    def runs_as(self, identity: Identity) -> None:
        self._append(identity.to_json())

    def _append(self, content: dict[str, Any]) -> None:
        descriptor = os.open(self.record, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            os.write(descriptor, orjson.dumps(content) + b"\n")
        finally:
            os.close(descriptor)

    def read(self) -> tuple[bool, Identity | None]:
        """Whether it was begun, and as which process."""
        try:
            *lines, _ = self.record.read_bytes().split(b"\n")
        except FileNotFoundError:
            return False, None
        said = [orjson.loads(line) for line in lines]
        known = [one for one in said if isinstance(one, dict) and one]
        return True, Identity.from_json(known[-1]) if known else None

    def result(self, written: Path) -> Any:
        """Its output: the file's content, else the last line of `written` if that is JSON, else None."""
        said = _read_end(self.output, MAX_OUTPUT + 1, from_start=True)
        if said.strip():
            return _json_or(said, said.decode(errors="replace").strip())
        lines = _read_end(written, _TAIL).strip().splitlines()
        return _json_or(lines[-1], None) if lines else None


def _json_or(raw: bytes, otherwise: Any) -> Any:
    if len(raw) > MAX_OUTPUT:
        return None
    try:
        return orjson.loads(raw)
    except ValueError:
        return otherwise


def _read_end(path: Path, size: int, *, from_start: bool = False) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return b""
    with os.fdopen(descriptor, "rb") as file:
        if not from_start:
            file.seek(max(0, os.fstat(descriptor).st_size - size))
        return file.read(size)
