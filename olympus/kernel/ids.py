"""Identifiers that sort by the time they were made: 48 bits of milliseconds, then a growing random tail.

The form is that of ULID (github.com/ulid/spec) in lower case: 26 characters of Crockford's base 32.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_RANDOM_BITS = 80
# Two characters at once: an id is made for each event.
_PAIRS = tuple(a + b for a in _ALPHABET for b in _ALPHABET)
_SHIFTS = tuple(range(120, -1, -10))


class IdFactory:
    """Makes ids of which each is greater than the one before, also within one millisecond."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0

    def new(self, milliseconds: int) -> str:
        """An id for a moment given as milliseconds since 1970."""
        with self._lock:
            if milliseconds > self._last >> _RANDOM_BITS:
                self._last = (milliseconds << _RANDOM_BITS) | _random(10) >> 1
            else:
                # A clock that stands or goes back must not make ids go back.
                self._last += 1 + _random(4)
            return _encode(self._last)


def _random(size: int) -> int:
    return int.from_bytes(os.urandom(size), "big")


def _encode(number: int) -> str:
    return "".join([_PAIRS[number >> shift & 1023] for shift in _SHIFTS])


_factory = IdFactory()


def new_id() -> str:
    """A new id of 26 characters, greater than every one this process made before."""
    return _factory.new(time.time_ns() // 1_000_000)


def derived_id(milliseconds: int, text: str) -> str:
    """The same id for the same moment and text, whoever makes it: so that two who do make one thing."""
    digest = hashlib.blake2b(text.encode(), digest_size=_RANDOM_BITS // 8).digest()
    return _encode((milliseconds << _RANDOM_BITS) | int.from_bytes(digest, "big"))


def milliseconds_of(text: str) -> int | None:
    """The moment that an id of this module begins with; None where `text` is another's id."""
    if len(text) != 26 or set(text) - set(_ALPHABET):
        return None
    number = 0
    for letter in text:
        number = number * 32 + _ALPHABET.index(letter)
    return number >> _RANDOM_BITS
