"""Lines that no pattern matches, by their shapes."""

from __future__ import annotations

from olympus.argos.patterns import compile_patterns
from olympus.argos.sampling import SHOWN, sampled
from olympus.spec.kinds.logwatch import Match, Multiline

PATTERNS = compile_patterns(
    [
        Match(name="bad", pattern=r"Failed .* from (?P<ip>\S+)$", types={"ip": "ip"}),
        Match(name="b", pattern="bye"),
    ]
)


def shapes(*pieces, multiline=None, most=10):
    found = sampled([("s", piece) for piece in pieces], PATTERNS, multiline, most)
    return [(one.line, one.count) for one in found]


def test_what_matches_is_left_out_and_what_differs_in_numbers_is_counted_together():
    text = (
        b"job 1 done\r\nFailed x from 10.0.0.1\njob 22 done\nbye\nother\nFailed x from nowhere\njob 3 done\n"
    )
    expected = [("job 3 done", 3), ("other", 1), ("Failed x from nowhere", 1)]
    assert shapes(text) == expected
    lines = text.splitlines(keepends=True)
    assert shapes(*lines) == expected
    assert shapes(text, most=1) == expected[:1]
    # Nothing is counted as refused because somebody asked.
    assert PATTERNS.misfits == (0, 0)


def test_of_records_of_several_lines_the_whole_is_looked_at():
    text = b"a\n bye\nb\n c\n"
    assert shapes(text, multiline=Multiline(continuation=r"^\s")) == [("b\n c", 1)]


def test_an_answer_fits_whatever_the_lines_are():
    pieces = [b"".join(b"%c%c" % (65 + n % 26, 65 + n // 26) + b"\xff" * 2000 + b"\n" for n in range(150))]
    found = shapes(*pieces, most=1000)
    assert 0 < len(found) <= SHOWN
    assert sum(len(line.encode()) for line, _ in found) < 200 * 1024
