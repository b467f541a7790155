"""How segments are stored: packed where that pays, and nothing that swells is taken from a publisher."""

from __future__ import annotations

import zlib

import pytest

from olympus.hermes.kv import MAX_BODY
from olympus.hermes.segments import MAX_INLINE, packed, unpacked
from olympus.kernel.errors import Invalid


@pytest.mark.parametrize("size", [2, MAX_INLINE, MAX_INLINE + 1, MAX_BODY])
def test_what_was_packed_comes_back(size):
    segment = b"{" + b"e" * (size - 1)
    assert unpacked(packed(segment)) == segment


def test_only_what_is_too_large_for_a_head_is_packed():
    small, large = b"{" * MAX_INLINE, b"{" * (MAX_INLINE + 1)
    assert packed(small) == small
    assert len(packed(large)) < len(large)


@pytest.mark.parametrize(
    ("stored", "why"),
    [
        (zlib.compress(b"{" * (MAX_BODY + 1)), "more than"),
        (zlib.compress(b"{" * 50_000)[:-1], "cut"),
        (b"\x00\x01", "not a segment"),
        (b"", "not a segment"),
    ],
)
def test_what_is_no_packed_segment_is_refused(stored, why):
    with pytest.raises(Invalid, match=why):
        unpacked(stored)
