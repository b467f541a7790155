"""`olympus match`, from its words to its exit code."""

from __future__ import annotations

import gzip
import io
import json
from types import SimpleNamespace

import pytest

from olympus.argos.reading import LINE, PIECE
from olympus.argos.trial import pieces
from olympus.argos.unmatched import Unmatched
from olympus.cli.main import main
from olympus.spec.pattern_errors import error_of

LOGIN = r"Failed password for (?P<user>\S+) from (?P<ip>\S+) port (?P<port>\d+)"


def line(user, ip):
    return f"Nov 26 10:00:00 web sshd[7]: Failed password for {user} from {ip} port 22 ssh2\n"


def tried(capsys, *words):
    code = main(["match", *words, "-o", "json"])
    return code, json.loads(capsys.readouterr().out)


def test_lines_that_match_are_counted_and_shown_with_typed_groups(tmp_path, capsys):
    log = tmp_path / "auth.log"
    log.write_text(
        "nothing\n" + line("root", "203.0.113.7") + line("eve", "203.0.113.789") + "CRON[1]\nCRON[22]\n"
    )
    code, found = tried(capsys, LOGIN, "--types", "ip=ip,port=int", str(log), "--unmatched", "2")

    assert code == 0
    assert (found["lines"], found["matched"], found["refused"]) == (5, 1, 1)
    sample, refused = found["samples"]
    assert (sample["file"], sample["number"]) == (str(log), 2)
    assert sample["groups"] == {"user": "root", "ip": "203.0.113.7", "port": 22}
    assert refused["refused"] == "ip is no ip"
    assert found["unmatched"] == {
        "lines": 3,
        "samples": [{"line": "CRON[22]", "count": 2}, {"line": "nothing", "count": 1}],
    }


def test_packed_files_and_standard_input_are_read_too(tmp_path, capsys, monkeypatch):
    packed = tmp_path / "auth.log.1"
    packed.write_bytes(gzip.compress(line("a", "::1").encode() * 3))
    stdin = io.BufferedReader(io.BytesIO(gzip.compress(line("b", "::2").encode()[:-1])))
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=stdin))
    code, found = tried(capsys, LOGIN, str(packed), "-")
    assert (code, found["files"]) == (0, {str(packed): 3, "-": 1})


def test_exit_code_is_1_where_no_line_matches(tmp_path, capsys):
    (tmp_path / "a").write_text("nothing\n")
    assert main(["match", LOGIN, str(tmp_path / "a")]) == 1
    assert "0 of 1 lines match" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["(?P<ip>\\S+"], "column 1: missing ): close the group"),
        ([r"(?P<a>.)x(?P=a)"], "column 10: invalid perl operator: there are no back-references"),
        (["a(?=b)"], "column 2: invalid perl operator: there is no look-around"),
        (["(?P<ip>.)", "--types", "ipp=ip"], "no group 'ipp', did you mean 'ip'?"),
        (["(?P<ip>.)", "--types", "ip=prot"], "no type 'prot', did you mean 'port'?"),
        (["(?P<ip>.)", "--types", "ip"], "write GROUP=TYPE"),
        (["x", "/nonexistent/file"], "/nonexistent/file: No such file"),
    ],
)
def test_what_is_misused_is_explained_with_exit_code_2(words, said, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO()))
    assert main(["match", *words, "-"]) == 2
    assert said in capsys.readouterr().err


def test_what_is_no_gzip_to_its_end_is_an_error(tmp_path, capsys):
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"x\n" * 10_000)[:-12])
    assert main(["match", "x", str(tmp_path / "a.gz")]) == 2
    assert "a.gz: it can't be unpacked" in capsys.readouterr().err


@pytest.mark.parametrize(
    "pattern",
    [
        "(a",
        "a)",
        "[z-a]",
        "*",
        "a**",
        r"(a)\1",
        "(?=x)",
        "a{3,2}",
        "[a",
        r"\q",
        "a{2000}",
        "(?>a)",
        "a++",
        "(?P<a-b>c)",
    ],
)
def test_every_error_of_a_pattern_has_a_place_and_a_hint(pattern):
    found = error_of(pattern)
    assert found is not None
    assert 1 <= found.column <= len(pattern)
    assert found.hint


def test_a_good_pattern_has_no_error():
    assert error_of(LOGIN) is None


@pytest.mark.parametrize("long", [LINE, LINE + 1, PIECE - 1, PIECE, 3 * PIECE])
def test_lines_are_cut_as_a_watch_cuts_them(long):
    text = b"before\n" + b"x" * long + b"\nafter\nlast"
    found = list(pieces(io.BytesIO(text)))
    lines = b"".join(piece for piece, _ in found).split(b"\n")
    assert lines == [b"before", b"x" * min(long, LINE), b"after", b"last", b""]
    assert sum(cut for _, cut in found) == (long > LINE)


def test_samples_of_what_does_not_match_are_bounded_and_the_commonest_stay():
    unmatched = Unmatched(shapes=10)
    for number in range(1000):
        unmatched.add(b"common %d" % number)
        unmatched.add(b"rare " + bytes([104 + number % 16, 104 + number // 16 % 16, 104 + number // 256]))
    assert unmatched.lines == 2000
    samples = unmatched.samples(20)
    assert len(samples) == 10
    assert (samples[0].line, samples[0].count) == ("common 999", 1000)
