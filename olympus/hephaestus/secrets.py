"""Where secrets come from: a file that only its owner reads, the environment, a systemd credential."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from olympus.kernel.errors import Refused

_MAX: Final = 64 * 1024


class SecretReader:
    """Reads on the node that needs it, when it is needed; nothing is kept.

    environ:     of Olympus itself (`env`)
    credentials: systemd's folder of credentials, if it gave one (`systemd`)
    """

    def __init__(self, environ: Mapping[str, str], credentials: Path | None = None) -> None:
        self._environ = environ
        self._credentials = credentials

    def read(self, name: str, source: Mapping[str, Any]) -> str:
        """The secret, without the line's end that its file may have. Raises Refused, never with the value."""
        given = [(kind, value) for kind, value in source.items() if value is not None]
        kind, where = given[0] if given else ("nothing", "")
        match kind:
            case "file":
                return self._file(name, Path(where))
            case "env":
                value = self._environ.get(where)
                if value is None:
                    raise Refused(f"secret '{name}': Olympus's environment on this node has no {where}")
                return value
            case "systemd":
                if self._credentials is None or "/" in where:
                    raise Refused(
                        f"secret '{name}': systemd gave Olympus no credential '{where}' on this node"
                    )
                return self._file(name, self._credentials / where, credential=True)
        raise Refused(
            f"secret '{name}': this version can't read secrets from {kind}: use file, env or systemd"
        )

    def _file(self, name: str, path: Path, *, credential: bool = False) -> str:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            raise Refused(f"secret '{name}': {path}: {error.strerror}") from error
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise Refused(f"secret '{name}': {path} is no regular file")
            if found.st_mode & 0o077 and not credential:
                raise Refused(f"secret '{name}': others may read {path}: chmod 600 {path}")
            content = file.read(_MAX + 1)
        if len(content) > _MAX:
            raise Refused(f"secret '{name}': {path} is over {_MAX} bytes")
        try:
            return content.decode().removesuffix("\n")
        except UnicodeDecodeError:
            raise Refused(f"secret '{name}': {path} is not UTF-8") from None
