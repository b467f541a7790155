"""What a syslog message says: RFC 5424, and what else is sent under that name (RFC 3164 and its kin). Pure.

Only the frame is taken off: a message that keeps to no form is text from its first byte on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, cast

FACILITIES: Final = (
    *("kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp"),
    *("ntp", "audit", "alert", "clock", *(f"local{number}" for number in range(8))),
)
SEVERITIES: Final = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")

_PRI: Final = rb"<(?P<pri>\d{1,3})>"
_DATA: Final = rb'\[[^\s=\]"]++(?: ++[^\s=\]"]++="(?:[^"\\]|\\.)*+")*+ *+\]'
# RFC 5424, 6. What is longer than it allows is taken as well.
_NEW: Final = re.compile(
    _PRI
    + rb"1 (?P<at>\S++) (?P<host>\S++) (?P<app>\S++) (?P<pid>\S++) (?P<id>\S++) "
    + rb"(?:(?P<data>-|(?:"
    + _DATA
    + rb")++)(?: (?:\xef\xbb\xbf)?+|$))?+",
    re.DOTALL,
)
# RFC 3164, 4.1, with the times that today's senders write. A host is a word that is no tag.
_OLD: Final = re.compile(
    rb"(?:" + _PRI + rb" ?+)?+"
    rb"(?:(?P<at>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|\d{4}-\d\d-\d\dT[\d:.]++(?:Z|[+-]\d\d:?+\d\d)?+) "
    rb"(?:(?P<host>[^\s:\[\]]++|[0-9A-Fa-f:.]++(?=\s)) )?+"
    rb"(?:(?P<app>[^\s:\[\]]{1,64}+)(?:\[(?P<pid>[^\]\s]{1,64}+)\])?+:(?: |$))?+)?+"
)
_PARAMETER: Final = re.compile(rb'([^\s=\]"]++)="((?:[^"\\]|\\.)*+)"', re.DOTALL)
_ELEMENT: Final = re.compile(_DATA, re.DOTALL)
_NAME: Final = re.compile(rb'\A\[([^\s=\]"]++)')
_ESCAPED: Final = re.compile(rb'\\(["\\\]])')
_SAFE: Final = re.compile(rb"[\w.@+-]{1,48}+\Z")
_LONGEST: Final = 1024
_NOTHING: Final = (None, b"-")


def head_of(message: bytes) -> re.Match[bytes]:
    """What stands before the text; the text begins at its `end()`."""
    return _NEW.match(message) or cast("re.Match[bytes]", _OLD.match(message))


def app_of(head: re.Match[bytes]) -> str:
    """Who sent it, as it says itself; `-` where it says nothing that may stand in a name."""
    app = head["app"]
    return app.decode() if app is not None and _SAFE.match(app) else "-"


def fields_of(head: re.Match[bytes]) -> Mapping[str, Any]:
    """host app pid id at facility severity: what is there of these; and data: `{element: {parameter: value}}`.

    All of it is what the sender says. Texts are cut at 1,024 characters.
    """
    found: dict[str, Any] = {
        name: _text(value)
        for name, value in head.groupdict().items()
        if name not in ("pri", "data") and value not in _NOTHING
    }
    if head["pri"] is not None and (pri := int(head["pri"])) < len(FACILITIES) * 8:
        found |= {"facility": FACILITIES[pri // 8], "severity": SEVERITIES[pri % 8]}
    if head.re is _NEW and head["data"] not in _NOTHING:
        found["data"] = {
            _text(_NAME.findall(one)[0]): {
                _text(name): _text(_ESCAPED.sub(rb"\1", value)) for name, value in _PARAMETER.findall(one)
            }
            for one in _ELEMENT.findall(head["data"])
        }
    return found


def _text(value: bytes) -> str:
    return value[:_LONGEST].decode(errors="replace")
