"""What a group is that was declared to be an address, a number or a name; and whether all of it was taken."""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

GUARDED: Final = frozenset({"ip", "host"})
"""Types that others are judged by: where the line can be read in two ways that differ in one, it is refused."""

_INT = re.compile(r"[+-]?[0-9]{1,18}")
_FLOAT = re.compile(r"[+-]?([0-9]{1,30}(\.[0-9]{0,30})?|\.[0-9]{1,30})([eE][+-]?[0-9]{1,3})?")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@\\+-]{0,63}\$?")
_LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(\.{_LABEL})*\.?")
_OCTET = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = re.compile(rf"{_OCTET}(\.{_OCTET}){{3}}")
_ZONE = re.compile(r"[A-Za-z0-9._-]{1,32}")

_WORD: Final = rb"[0-9A-Za-z_]"
_JOINED: Final = rb"[0-9A-Za-z_]|[.-][0-9A-Za-z_]"
_AFTER: Final[Mapping[str, re.Pattern[bytes]]] = {
    # 1.2.3.4:22 is an address with a port, 1.2.3.4.example.org and 1.2.3.4-pool are names.
    "ip": re.compile(_JOINED),
    "ip6": re.compile(_JOINED + rb"|:|%"),
    "host": re.compile(_JOINED),
    "user": re.compile(_JOINED),
    "int": re.compile(rb"[0-9]|\.[0-9]"),
    "port": re.compile(rb"[0-9]|\.[0-9]"),
    "float": re.compile(rb"[0-9]|\.[0-9]"),
}
_BEFORE: Final[Mapping[str, re.Pattern[bytes]]] = {
    "ip": re.compile(rb"([0-9A-Za-z_]|[0-9A-Za-z_][.-])\Z"),
    "ip6": re.compile(rb"([0-9A-Za-z_]|[0-9A-Za-z_][.-]|[0-9A-Fa-f:]:)\Z"),
    "host": re.compile(rb"([0-9A-Za-z_]|[0-9A-Za-z_][.-])\Z"),
    "user": re.compile(rb"([0-9A-Za-z_]|[0-9A-Za-z_][.-])\Z"),
    "int": re.compile(rb"[0-9]\Z"),
    "port": re.compile(rb"[0-9]\Z"),
    "float": re.compile(rb"[0-9]\Z"),
}


def _ip(text: str) -> str | None:
    """As it is usually written; an IPv4 address in an IPv6 one is the IPv4 address."""
    if _IPV4.fullmatch(text):
        # Written in one way only: no need to take it apart.
        return text
    address, percent, zone = text.partition("%")
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    if percent and not _ZONE.fullmatch(zone):
        return None
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return str(mapped or parsed) + percent + zone


def _int(text: str) -> int | None:
    return int(text) if _INT.fullmatch(text) else None


def _float(text: str) -> float | None:
    value = float(text) if _FLOAT.fullmatch(text) else math.inf
    return value if math.isfinite(value) else None


def _port(text: str) -> int | None:
    number = _int(text) if len(text) <= 5 else None
    return number if number is not None and 0 < number < 65536 else None


def _matching(pattern: re.Pattern[str]) -> Callable[[str], str | None]:
    return lambda text: text if pattern.fullmatch(text) else None


PARSERS: Final[Mapping[str, Callable[[str], Any]]] = {
    "ip": _ip,
    "int": _int,
    "float": _float,
    "port": _port,
    "user": _matching(_USER),
    "host": lambda text: _ip(text) or _matching(_HOST)(text),
    "word": _matching(re.compile(r"\S+")),
    "path": _matching(re.compile(r"/[^\x00-\x1f\x7f]*")),
}
"""Type → the value of a text; None: it is none of that type. All take linear time."""


def whole(kind: str, line: bytes, span: tuple[int, int]) -> bool:
    """Whether a value of this type ends where its group does: `1.2.3.4` in `1.2.3.45` is no address."""
    start, end = span
    if kind in ("ip", "host") and b":" in line[start:end]:
        kind = "ip6"
    if kind not in _AFTER:
        return True
    return not _AFTER[kind].match(line, end) and not _BEFORE[kind].search(line[max(0, start - 2) : start])
