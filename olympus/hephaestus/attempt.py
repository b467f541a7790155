"""What is on disk of an attempt: `STATE/runs/RUN/STEP.TARGET.ATTEMPT.*`, so that it outlives this process.

log:    what people may read, masked        raw:  what the process writes, where it has secrets
exit:   its code, left by its wrapper       output: what it wrote to $OLY_OUTPUT
json:   that it was begun, and as which process
"""

from __future__ import annotations

import json
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
        folder = runs / order.run
        folder.mkdir(mode=0o711, exist_ok=True)
        return Attempt(folder / order.id.removeprefix(f"{order.run}."))

    def _with(self, suffix: str) -> Path:
        # Not with_suffix: the names of nodes and the numbers of attempts come behind dots too.
        return self.base.with_name(self.base.name + suffix)

    @property
    def log(self) -> Path:
        return self._with(".log")

    @property
    def raw(self) -> Path:
        return self._with(".raw")

    @property
    def exit(self) -> Path:
        return self._with(".exit")

    @property
    def output(self) -> Path:
        return self._with(".output")

    @property
    def record(self) -> Path:
        return self._with(".json")

    def begun(self) -> None:
        """To be said before anything is done: without it, nothing was done."""
        self._write({})

    def runs_as(self, identity: Identity) -> None:
        self._write(identity.to_json())

    def _write(self, content: dict[str, Any]) -> None:
        part = self._with(".part")
        part.write_text(json.dumps(content))
        part.rename(self.record)

    def read(self) -> tuple[bool, Identity | None]:
        """Whether it was begun, and as which process."""
        try:
            content = json.loads(self.record.read_text())
        except FileNotFoundError:
            return False, None
        return True, Identity.from_json(content) if content else None

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
