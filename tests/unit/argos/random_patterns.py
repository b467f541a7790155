"""Patterns of RE2's dialect and buffers of lines, at random."""

from __future__ import annotations

from hypothesis import strategies as st

CHARS = "abkKsS. 01é\N{KELVIN SIGN}\N{LATIN SMALL LETTER LONG S}"

_ATOMS = st.sampled_from(
    [
        "a", "b", "k", "S", "0", " ", "é", r"\.", ".", r"\d", r"\D", r"\w", r"\W", r"\s", r"\S",
        "[ab]", "[^a]", "[^ ]", "[k-s]", r"[^\s]", r"[\d.]", "[[:alpha:]]", "[[:^digit:]b]", "[é]", "[^é]",
        r"\x61", r"\x{e9}", r"\141", r"\pL", r"\P{Lu}", r"\Qa.b\E", "^", "$", r"\b", r"\B", r"\A", r"\z", "ab", "]",
        "{", "a{", r"[a\-b]", "[a-]", "[]a]", r"[^\W]", "(?i)", "(?s)", "(?U)",
    ]
)  # fmt: skip
_COUNTS = st.sampled_from(
    ["", "", "", "*", "+", "?", "*?", "+?", "??", "{2}", "{1,3}", "{0,2}", "{2,}", "{70}"]
)


def _extend(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.tuples(st.sampled_from(["(", "(?:", "(?i:", "(?s:", "(?m:", "(?-i:"]), inner, _COUNTS).map(
            lambda made: f"{made[0]}{made[1]}){made[2]}"
        ),
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.lists(inner, min_size=2, max_size=3).map("|".join),
    )


patterns = st.recursive(st.tuples(_ATOMS, _COUNTS).map("".join), _extend, max_leaves=6)

_PIECES = st.sampled_from(
    [one.encode() for one in CHARS]
    + [b"ab", b"a.b", b"\0", b"\xff", b"\xc3", b"\r", b"\t", b"\v", b"aaaa", b"a" * 70]
)
lines = st.lists(_PIECES, max_size=6).map(b"".join)
buffers = st.lists(st.tuples(lines, st.sampled_from([b"\n", b"\n", b"\r\n"])), max_size=6).map(
    lambda rows: b"".join(line + end for line, end in rows)
)
