"""What comes over a connection into syslog messages: by their length, or up to a newline (RFC 6587, RFC 5425). Pure.

Each message says which of the two it is. Of one that is too long the beginning is taken, and the rest is skipped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from olympus.argos.reading import LINE

_LENGTH: Final = re.compile(rb"([1-9]\d{0,8}+) <")
_NO_LENGTH_YET: Final = re.compile(rb"(?:[1-9]\d{0,8}+ ?+)?+\Z")


class Framing:
    """Of one connection. `cut`: messages of which only the beginning was taken."""

    def __init__(self, longest: int = LINE) -> None:
        self._longest = longest
        self._rest = b""
        # What is still to be skipped: so many bytes, or what comes before the next newline.
        self._skip = 0
        self._skip_line = False
        self.cut = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Messages that are whole with this. All of them must be taken."""
        data = self._rest + self._skipped(data)
        at = 0
        while at < len(data) and not self._skip and not self._skip_line:
            sized = _LENGTH.match(data, at)
            if sized is not None:
                found = self._counted(data, sized.end() - 1, int(sized[1]))
            elif _NO_LENGTH_YET.match(data, at):
                break
            else:
                found = self._line(data, at)
            if found is None:
                break
            message, at = found
            yield message
        self._rest = data[at:]

    def end(self) -> bytes:
        """What came of the last message; nothing more will."""
        rest, self._rest = self._rest, b""
        sized = _LENGTH.match(rest)
        if sized is not None:
            self.cut += 1
            return rest[sized.end() - 1 :]
        return rest

    def _skipped(self, data: bytes) -> bytes:
        if self._skip_line:
            end = data.find(b"\n") + 1
            self._skip_line = not end
            return data[end:] if end else b""
        skipped = min(self._skip, len(data))
        self._skip -= skipped
        return data[skipped:]

    def _counted(self, data: bytes, begin: int, size: int) -> tuple[bytes, int] | None:
        taken = min(size, self._longest)
        if len(data) - begin < taken:
            return None
        end = min(begin + size, len(data))
        self.cut += taken < size
        self._skip = begin + size - end
        return data[begin : begin + taken], end

    def _line(self, data: bytes, begin: int) -> tuple[bytes, int] | None:
        newline = data.find(b"\n", begin)
        end = len(data) if newline < 0 else newline
        if newline < 0 and end - begin <= self._longest:
            return None
        self.cut += end - begin > self._longest
        self._skip_line = newline < 0
        return data[begin : min(end, begin + self._longest)], end if newline < 0 else newline + 1
