"""The last desired state that was taken, on disk: what is older is refused, and it holds while no better one comes."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from olympus.kernel.errors import Invalid, Refused
from olympus.records.desired import NodeDesired

log = logging.getLogger("olympus.records")


class Kept:
    """`desired` is None before the first."""

    def __init__(self, file: Path, node: str) -> None:
        self._file = file
        self._node = node
        self.desired: NodeDesired | None = None
        try:
            found = NodeDesired.from_bytes(file.read_bytes())
        except FileNotFoundError:
            return
        except Invalid as exc:
            log.warning("kept_desired_not_read", extra={"why": str(exc)})
            return
        if found.node == node:
            self.desired = found

    def keep(self, desired: NodeDesired) -> None:
        """Raises Refused where it is for another node, or older than the one that is kept."""
        if desired.node != self._node:
            raise Refused(f"it is for node {desired.node}")
        before = self.desired
        if before is not None and desired.order < before.order:
            raise Refused(
                f"it is older (epoch {desired.epoch}, sequence {desired.sequence}) than what was taken (epoch "
                f"{before.epoch}, sequence {before.sequence}). If Hermes was restored from a backup or made anew, "
                f"remove {self._file}"
            )
        if before is not None and desired.order == before.order and desired != before:
            raise Refused(f"it is another one of epoch {desired.epoch}, sequence {desired.sequence}")
        self._write(desired.to_bytes())
        self.desired = desired

    def _write(self, raw: bytes) -> None:
        part = self._file.with_suffix(".part")
        part.unlink(missing_ok=True)
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as content:
            content.write(raw)
        part.rename(self._file)
