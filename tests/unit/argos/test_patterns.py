"""Argos's patterns: what is found is what RE2 finds line by line, whatever looks for it."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from olympus.argos.patterns import EngineMaker, Hit, Misfit, compile_patterns, fastest_engine
from olympus.argos.patterns_hyperscan import HyperscanEngine
from olympus.argos.patterns_re2 import Re2Engine
from olympus.spec.kinds.logwatch import Match
from olympus.spec.regex import compile_pattern
from tests.unit.argos.random_patterns import buffers, patterns

SSHD = r"Failed password for (?P<user>\S+) from (?P<ip>\S+)"


def match_of(pattern: str, **more: object) -> Match:
    return Match.model_validate({"name": "x", "pattern": pattern, **more})


def sound(pattern: str) -> bool:
    try:
        compile_pattern(pattern)
    except ValueError:
        return False
    return True


def one_by_one(sought: list[str], buffer: bytes) -> list[tuple[int, int, int]]:
    """What should be found, in the plainest way there is."""
    found, at = [], 0
    for whole in split(buffer):
        line = whole.removesuffix(b"\n").removesuffix(b"\r")
        text = line.decode(errors="replace")
        found += [
            (at, at + len(line), index)
            for index, pattern in enumerate(sought)
            if compile_pattern(pattern).search(text)
        ]
        at += len(whole)
    return found


def split(buffer: bytes) -> list[bytes]:
    rows = buffer.split(b"\n")
    return [row + b"\n" for row in rows[:-1]] + ([rows[-1]] if rows[-1] else [])


@pytest.mark.parametrize("make", [HyperscanEngine, Re2Engine])
@settings(max_examples=500, deadline=None)
@given(sought=st.lists(patterns.filter(sound), min_size=1, max_size=4), buffer=buffers)
def test_what_is_found_in_a_buffer_is_what_is_found_line_by_line(
    make: EngineMaker, sought: list[str], buffer: bytes
):
    ready = compile_patterns([match_of(pattern) for pattern in sought], make=make)
    found = [(hit.start, hit.end, hit.match_index) for hit in ready.scan(buffer)]
    assert found == one_by_one(sought, buffer)


def test_a_buffer_may_be_a_view_and_its_last_line_may_lack_its_end():
    ready = compile_patterns([match_of("foo$")])
    assert [(one.start, one.end) for one in ready.scan(memoryview(b"xfoo\r\nfoo bar\nfoo"))] == [
        (0, 4),
        (14, 17),
    ]


@pytest.mark.parametrize(
    ("line", "groups"),
    [
        (b"Failed password for root from 1.2.3.4 port 22 ssh2", {"user": "root", "ip": "1.2.3.4"}),
        (b"Failed password for root from 2001:DB8:0::1 port 22", {"user": "root", "ip": "2001:db8::1"}),
        (b"Failed password for root from ::ffff:1.2.3.4 port 22", {"user": "root", "ip": "1.2.3.4"}),
        (b"Failed password for \xff from 1.2.3.4", {"user": "\N{REPLACEMENT CHARACTER}", "ip": "1.2.3.4"}),
        (b"Failed password for bob from 1.2.3.4 redirected from proxy", {"user": "bob", "ip": "1.2.3.4"}),
    ],
)
def test_groups_are_typed(line: bytes, groups: dict[str, object]):
    ready = compile_patterns([match_of(SSHD, types={"ip": "ip"})])
    assert [dict(one.groups) for one in ready.scan(line + b"\n")] == [groups]
    assert ready.misfits == (0,)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"Failed password for x from 1.2.3.4 from 5.6.7.8", "forged: read in another way it is 5.6.7.8"),
        (b"Failed password for x from 1.2.3.4 port 1 ssh2 from ::1 port 22 ssh2", "it is ::1"),
        (b"Failed password for x from 1.2.3.400", "ip is no ip"),
        (b"Failed password for x from host", "ip is no ip"),
        (b"Failed password for x from fe80::1%$(id)", "ip is no ip"),
    ],
)
def test_a_line_whose_groups_are_not_what_they_have_to_be_is_none_and_counted(line: bytes, reason: str):
    ready = compile_patterns([match_of(SSHD, types={"ip": "ip"})])
    assert [reason in one.reason for one in ready.survey(line) if isinstance(one, Misfit)] == [True]
    assert list(ready.scan(line)) == []
    assert ready.misfits == (1,)


@pytest.mark.parametrize("middle", [r"\w+", r"\S+?", r".*?", r"[^ ]{1,32}", r"(?:\w|-)+ ?\S*"])
def test_forged_addresses_are_seen_however_the_name_before_them_is_written(middle: str):
    ready = compile_patterns([match_of(rf"for (?P<user>{middle}) from (?P<ip>\S+)", types={"ip": "ip"})])
    assert not list(ready.scan(b"for x from 1.2.3.4 from 5.6.7.8 port 22\n"))
    assert list(ready.scan(b"for x from 5.6.7.8 port 22\n"))


@pytest.mark.parametrize(
    ("kind", "pattern", "line", "value"),
    [
        ("ip", r"(?P<v>\d+\.\d+\.\d+\.\d+)", b"client 1.2.3.4, 5", "1.2.3.4"),
        ("ip", r"(?P<v>\d+\.\d+\.\d+\.\d+)", b"client:1.2.3.4:80", "1.2.3.4"),
        ("ip", r"(?P<v>\d+\.\d+\.\d+\.\d+)", b"at 1.2.3.4.", "1.2.3.4"),
        ("ip", r"(?P<v>\d+\.\d+\.\d+\.\d+)", b"at 1.2.3.4.example.org", None),
        ("ip", r"(?P<v>\d+\.\d+\.\d+\.\d\d?)", b"at 1.2.3.400", None),
        ("ip", r"(?P<v>\d+\.\d+\.\d+\.\d+)", b"at 5.1.2.3.4", None),
        ("ip", r"(?P<v>[0-9a-f]+::[0-9a-f]+)", b"at fe80::1:2", None),
        ("int", r"took (?P<v>\d+)", b"took 250ms", 250),
        ("int", r"took (?P<v>\d)", b"took 250ms", None),
        ("int", r"took (?P<v>\d+)", b"took 2.5ms", None),
        ("int", r"took (?P<v>\d+)", b"took 12345678901234567890ms", None),
        ("float", r"took (?P<v>[\d.e]+)", b"took 2.5ms", 2.5),
        ("float", r"took (?P<v>\S+)", b"took 1e999", None),
        ("port", r"port (?P<v>\d+)", b"port 65536", None),
        ("port", r"port (?P<v>\d+)", b"port 65535", 65535),
        ("user", r"user (?P<v>\w+)", b"user bob@host", "bob"),
        ("user", r"user (?P<v>\w+)", b"user bob.smith", None),
        ("user", r"user (?P<v>\S+)", b"user $(id)", None),
        ("host", r"host (?P<v>\S+)", b"host web-1.example.org", "web-1.example.org"),
        ("host", r"host (?P<v>\S+)", b"host -oProxyCommand=x", None),
        ("word", r"is (?P<v>.+)", b"is two words", None),
        ("path", r"open (?P<v>\S+)", b"open /etc/passwd", "/etc/passwd"),
        ("path", r"open (?P<v>\S+)", b"open etc/passwd", None),
    ],
)
def test_each_type_takes_what_it_is_and_takes_it_whole(kind: str, pattern: str, line: bytes, value: object):
    ready = compile_patterns([match_of(pattern, types={"v": kind})])
    found = [one.groups["v"] for one in ready.survey(line) if isinstance(one, Hit)]
    assert found == ([] if value is None else [value])


def test_groups_that_took_no_part_are_not_there():
    ready = compile_patterns([match_of(r"a(?P<n>\d+)?(?P<w>x)?", types={"n": "int"})])
    assert [dict(one.groups) for one in ready.scan(b"a7\nax\n")] == [{"n": 7}, {"w": "x"}]


@pytest.mark.parametrize("pattern", [r"(a+)+$", r"\s+$", r"(a|aa)+b$", r"(.*,){11}P", r"(x+x+)+y"])
def test_hostile_patterns_on_hostile_lines_end(pattern: str):
    buffer = (
        b"a" * 300_000 + b"!\n" + b" " * 300_000 + b"x\n" + b"1," * 100_000 + b"\n" + b"x" * 300_000 + b"\n"
    )
    assert list(compile_patterns([match_of(pattern)]).scan(buffer)) == []


def test_a_record_of_several_lines_is_matched_as_a_whole():
    ready = compile_patterns([match_of(r"^Traceback(?s:.)*ValueError: (?P<why>.*)$"), match_of("^ *File")])
    found = list(ready.record(b"Traceback:\r\n File x\r\nValueError: bad\r\n"))
    assert [(one.match_index, dict(one.groups)) for one in found] == [(0, {"why": "bad"})]


def test_the_fastest_engine_here_is_hyperscan():
    assert fastest_engine() is HyperscanEngine


@pytest.mark.parametrize("make", [HyperscanEngine, Re2Engine])
@pytest.mark.parametrize("pattern", [r"a\Sc", r"\S", r"x[^;]*", r"(?:\w+ ){2}", r"(a+)+$"])
def test_many_lines_that_all_match_are_all_found(make: EngineMaker, pattern: str):
    lines = [b"aac aac x%da" % index for index in range(20_000)]
    ready = compile_patterns([match_of("nowhere"), match_of(pattern)], make=make)
    found = list(ready.scan(b"\n".join(lines)))
    assert [hit.end - hit.start for hit in found] == [len(line) for line in lines]
    assert {hit.match_index for hit in found} == {1}


def test_a_pattern_that_hyperscan_does_not_take_is_found_beside_those_that_it_takes():
    engine = HyperscanEngine([(0, "foo"), (1, r"\b\b*?ab"), (2, "bar")])
    assert list(engine.candidates(b"bar foo\nxab y ab\n")) == [(0, 7, 0), (0, 7, 2), (8, 16, 1)]


def test_compiled_patterns_are_kept_for_the_owner_alone_and_read_again(tmp_path: Path):
    cache = tmp_path / "patterns"
    sought = [match_of("foo"), match_of("bar$")]
    first = compile_patterns(sought, cache)
    [file] = cache.iterdir()
    assert (file.stat().st_mode & 0o777, cache.stat().st_mode & 0o777) == (0o600, 0o700)
    written = file.stat().st_mtime_ns
    again = compile_patterns(sought, cache)
    assert file.stat().st_mtime_ns == written
    buffer = b"foo\nx\nbar\n"
    assert list(first.scan(buffer)) == list(again.scan(buffer)) != []


@pytest.mark.parametrize("damage", [b"", b"x" * 4000, None])
def test_what_is_kept_and_is_not_ours_or_damaged_is_compiled_anew(tmp_path: Path, damage: bytes | None):
    sought = [match_of("foo")]
    compile_patterns(sought, tmp_path)
    [file] = tmp_path.iterdir()
    whole = file.read_bytes()
    if damage is None:
        file.chmod(0o644)
    else:
        file.write_bytes(damage)
    assert len(list(compile_patterns(sought, tmp_path).scan(b"foo\n"))) == 1
    assert file.read_bytes() == whole
    assert file.stat().st_mode & 0o777 == 0o600


def test_only_so_many_compiled_sets_are_kept(tmp_path: Path):
    for index in range(70):
        compile_patterns([match_of(f"foo{index}")], tmp_path)
        os.utime(max(tmp_path.iterdir(), key=lambda one: one.stat().st_mtime_ns), (index, index))
    assert len(list(tmp_path.iterdir())) == 64


def test_several_threads_read_with_the_same_patterns():
    ready = compile_patterns([match_of(r"user(?P<n>\d+)", types={"n": "int"})])
    buffer = b"".join(b"a user%d here\nnothing\n" % index for index in range(5_000))
    counts: list[int] = []
    threads = [
        threading.Thread(target=lambda: counts.append(sum(hit.groups["n"] for hit in ready.scan(buffer))))
        for _ in range(4)
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert counts == [sum(range(5_000))] * 4
