"""Hostile YAML: one clear error with its line, in a second and 256 MiB, and the process lives."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from olympus.spec.loader import MAX_BYTES, MAX_DEPTH, load_documents

MEMORY = 256 * 1024 * 1024
SECONDS = 1.0

# In a process of its own: libyaml's composer has been seen to crash it.
CHILD = """
import json, resource, sys, time
from olympus.spec.loader import load_documents
resource.setrlimit(resource.RLIMIT_AS, ({memory}, {memory}))
data = sys.stdin.buffer.read()
begun = time.process_time()
documents, diagnostics = load_documents("a.yaml", data)
print(json.dumps([time.process_time() - begun, [[d.line, d.column, d.message] for d in diagnostics], len(documents)]))
"""


def bomb(levels: int, width: int) -> bytes:
    lists = (f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * width)}]" for n in range(1, levels))
    return "\n".join(['a0: &a0 "lol"', *lists]).encode()


def merge_bomb(size: int) -> bytes:
    lines = ["a0: &a0 {x: 1}"]
    while sum(map(len, lines)) < size:
        count = len(lines)
        lines.append(f"a{count}: &a{count} {{<<: [{', '.join([f'*a{count - 1}'] * 9)}], k{count}: 1}}")
    return "\n".join(lines).encode()


HOSTILE = {
    "alias bomb of 307 bytes": (bomb(8, 8), "more than"),
    "wide alias bomb": (b"a: &a [" + b"x," * 3000 + b"]\nb: [" + b"*a," * 90 + b"]", "more than"),
    "merge bomb of 62 KB": (merge_bomb(62_000), "merge keys"),
    # Builds of libyaml differ in who looks first: they have a limit of their own, at 1,000.
    "50,000 open brackets": (b"[" * 50_000, "nest"),
    "50,000 open braces": (b"{a: " * 50_000, f"nested deeper than {MAX_DEPTH}"),
    "50,000 dashes": (b"- " * 50_000 + b"x", f"nested deeper than {MAX_DEPTH}"),
    "50,000 keys in keys": (b"? " * 50_000 + b"x", "a key has to be a text"),
    "depth 500": (b"\n".join(b" " * n + b"a:" for n in range(500)), f"nested deeper than {MAX_DEPTH}"),
    "an empty !!int": (b'a: 1\nb: !!int ""', "tag 'tag:yaml.org,2002:int' is not allowed"),
    "a Python object": (
        b"a: 1\nb: !!python/object/apply:os.system [id]",
        "tag 'tag:yaml.org,2002:python/object/apply:os.system' is not allowed",
    ),
    "a bad date with its tag": (b"a: !!timestamp 2026-99-99", "is not allowed"),
    "duplicate keys": (b"a: 1\nb: 2\na: 3", "duplicate key 'a'"),
    "a file at the limit and over": (b"a: " + b"x" * MAX_BYTES, "are allowed: split it"),
    "NUL": (b"a: 1\nb: x\0y", "character U+0000 is not allowed in YAML"),
    "invalid UTF-8": (b"a: 1\nb: \xff\xfe", "byte 0xff is not UTF-8"),
    "UTF-16": ("a: 1".encode("utf-16"), "byte 0xff is not UTF-8"),
    "a lone surrogate": (b"a: \xed\xa0\x80", "is not UTF-8"),
    "a control character": (b"a: 1\nb: \x1b[31m", "character U+001B is not allowed in YAML"),
    "a million values": (b"a: [" + b"1," * 500_000 + b"]", "more than"),
    "a million documents": (b"--- a\n" * 100_000, "documents in a file"),
    "a directive": (b"%YAML 9.9\n---\na: 1", "found incompatible YAML document"),
    "a tab": (b"a:\n\tb: 1", "found character that cannot start any token"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_yaml_costs_little_and_is_one_clear_error(name):
    data, said = HOSTILE[name]
    done = run(data)
    assert done.returncode == 0, done.stderr.decode()
    seconds, diagnostics, _ = json.loads(done.stdout)
    assert len(diagnostics) == 1
    line, column, message = diagnostics[0]
    assert said in message
    assert len(message) < 200
    assert (line > 0 and column > 0) or "split it" in message
    # Processor time, so that a busy machine does not count.
    assert seconds < SECONDS


def test_a_file_of_100_mb_is_refused_unread():
    _, diagnostics = load_documents("a.yaml", bytes(100 * 1024 * 1024))
    assert [str(one) for one in diagnostics] == [
        f"a.yaml: the file has 104857600 bytes, {MAX_BYTES} are allowed: split it"
    ]


def test_a_long_number_is_no_work():
    done = run(b"a: " + b"9" * 900_000)
    seconds, diagnostics, documents = json.loads(done.stdout)
    assert (diagnostics, documents) == ([], 1)
    assert seconds < SECONDS


def test_the_line_is_that_of_the_error():
    _, [one] = load_documents("a.yaml", b"a: 1\n\nb: {c: !!python/name:os.system x}\n")
    assert (one.line, one.column) == (3, 8)
    _, [one] = load_documents("a.yaml", b"a: 1\nb: \xff")
    assert (one.line, one.column) == (2, 4)
    _, [one] = load_documents("a.yaml", b"a: 1\nb: \0")
    assert (one.line, one.column) == (2, 4)


@given(st.binary(max_size=200) | st.text("[]{}:,-?*&!|>'\"%@`#\n\t ab<0.", max_size=60).map(str.encode))
def test_no_bytes_crash_the_loader(data):
    documents, diagnostics = load_documents("a.yaml", data)
    assert len(diagnostics) <= 1
    for document in documents:
        json.dumps(document.value, allow_nan=False)


def run(data: bytes) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-c", CHILD.format(memory=MEMORY)],
        input=data,
        capture_output=True,
        timeout=60,
        check=False,
    )
