"""The only logging set-up: one line an event on stderr, facts as key=value, control characters escaped.

Elsewhere: `log = logging.getLogger("olympus.zeus")`, `log.info("applied", extra={"revision": sha})`.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Final, TextIO

from olympus.kernel.clock import rfc3339

_OWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class FactsFormatter(logging.Formatter):
    """`2026-11-24T09:30:00.000000Z info zeus applied revision=3f2c1ab`"""

    def format(self, record: logging.LogRecord) -> str:
        moment = rfc3339(datetime.fromtimestamp(record.created, UTC))
        name = record.name.removeprefix("olympus.")
        words = [moment, record.levelname.lower(), name, _plain(record.getMessage())]
        words += [f"{k}={_value(v)}" for k, v in vars(record).items() if k not in _OWN]
        line = " ".join(words)
        if record.exc_info:
            line += "\n" + _plain(self.formatException(record.exc_info), keep="\n")
        return line


def set_up(level: str = "INFO", stream: TextIO | None = None) -> None:
    """Send the program's log lines to `stream` (stderr); what libraries say only from warnings on."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(FactsFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("olympus").setLevel(level.upper())


def _value(value: object) -> str:
    text = str(value)
    return _plain(text) if text and not set(text) & set(' "=\n') else json.dumps(text)


def _plain(text: str, keep: str = "") -> str:
    """What could steer a terminal is shown as an escape."""
    return "".join(c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in text)
