"""YAML as operators write it: the core schema of YAML 1.2, with the place of each part."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from olympus.spec.loader import load_documents, plain_value


def load(text: str):
    documents, diagnostics = load_documents("a.yaml", text.encode())
    assert diagnostics == []
    return [document.value for document in documents]


@pytest.mark.parametrize(
    "text",
    [
        *("on", "off", "yes", "no", "On", "YES", "y", "n", "tRue", "nUll", "08", "007", "1_000", "1:30"),
        *(
            "2026-11-24",
            "2026-11-24T10:00:00Z",
            "0b1",
            "0o8",
            "0xg",
            "-",
            "+",
            "1e",
            "e3",
            "1.2.3",
            "~x",
            "=",
            ".",
        ),
        *("12e03x", "+.e3", "1 2", "0x"),
    ],
)
def test_what_is_no_value_of_the_core_schema_stays_a_text(text):
    assert load(f"a: {text}\n" if text != "-" else "a: '-'\n") == [{"a": text}]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *((text, None) for text in ("~", "null", "Null", "NULL", "")),
        *((text, True) for text in ("true", "True", "TRUE")),
        *((text, False) for text in ("false", "False", "FALSE")),
        *(("0", 0), ("5", 5), ("-5", -5), ("+5", 5), ("0o17", 15), ("0xfF", 255), ("123456789", 123456789)),
        *(("1.5", 1.5), ("-.5", -0.5), ("5.", 5.0), ("1e3", 1000.0), ("1.5E-3", 0.0015)),
    ],
)
def test_values_of_the_core_schema(text, value):
    [made] = load(f"a: {text}")
    assert made == {"a": value}
    assert type(made["a"]) is type(value)


@pytest.mark.parametrize("text", ["5", "true", "null", "~", "on"])
@pytest.mark.parametrize("quote", ["'", '"'])
def test_quoted_is_text(text, quote):
    assert load(f"a: {quote}{text}{quote}") == [{"a": text}]


def test_block_texts_and_folded_ones():
    assert load("a: |\n  5\n  x\nb: >-\n  y\n  z\n") == [{"a": "5\nx\n", "b": "y z"}]


@pytest.mark.parametrize(
    "text", [".inf", "-.inf", ".nan", "1e999", "9" * 400, "0x" + "f" * 100, "1" * 50_000]
)
def test_what_json_can_not_hold_stays_text(text):
    assert plain_value(text) == text


def test_keys_named_on_are_texts():
    assert load("on: [a]\noff: b\n") == [{"on": ["a"], "off": "b"}]


def test_several_documents_and_empty_ones():
    assert load("a: 1\n---\n---\n# only a comment\n---\nb: 2\n...\n") == [{"a": 1}, {"b": 2}]


def test_nothing_is_no_document():
    assert load("") == []
    assert load("# nothing\n") == []


def test_a_byte_order_mark_is_left_out():
    documents, diagnostics = load_documents("a.yaml", b"\xef\xbb\xbfa: 1")
    assert (documents[0].value, diagnostics) == ({"a": 1}, [])


def test_an_alias_is_what_its_anchor_is():
    assert load("a: &x [1, {b: 2}]\nc: *x\nd: &y 5\ne: *y\n") == [
        {"a": [1, {"b": 2}], "c": [1, {"b": 2}], "d": 5, "e": 5}
    ]


def test_anchors_end_with_their_document():
    _, diagnostics = load_documents("a.yaml", b"a: &x 1\n---\nb: *x\n")
    assert [str(one) for one in diagnostics] == ["a.yaml:3:4: alias '*x' has no anchor before it"]


def test_every_key_and_value_has_its_place():
    text = "---\na: 1\nb:\n  - x\n  - {c: [y,\n      z]}\n"
    [document] = load_documents("a.yaml", text.encode())[0]
    assert document.position(()) == (2, 1)
    assert document.key_position(("b",)) == (3, 1)
    assert document.position(("b",)) == (4, 3)
    assert document.position(("b", 0)) == (4, 5)
    assert document.key_position(("b", 1, "c")) == (5, 6)
    assert document.position(("b", 1, "c", 1)) == (6, 7)


def test_places_are_found_past_aliases_empty_documents_and_keys_that_look_like_values():
    text = "---\n# none\n---\na: &x {b: [1]}\nc: [*x, {'5': *x}]\n---\n- - y\n  - z: 1\n"
    first, second = load_documents("a.yaml", text.encode())[0]
    assert (first.start, second.start) == ((4, 1), (7, 1))
    assert first.position(("a", "b", 0)) == (4, 12)
    assert first.position(("c", 0)) == (5, 5)
    assert first.position(("c", 0, "b")) == (5, 5)
    assert first.key_position(("c", 1, "5")) == (5, 10)
    assert first.position(("c", 1, "5")) == (5, 15)
    assert second.position((0, 0)) == (7, 5)
    assert second.key_position((0, 1, "z")) == (8, 5)


def test_places_before_an_error_are_known():
    documents, [error] = load_documents("a.yaml", b"a: {b: 1}\n---\nc: {d: [{e: 1}, {e: 2, f: 3, e: 4}]}\n")
    assert documents[0].position(("a", "b")) == (1, 8)
    assert str(error) == "a.yaml:3:30: duplicate key 'e': it stands at 3:18 already"


def test_the_places_of_a_file_are_looked_for_once_and_only_where_one_is_asked_for(monkeypatch):
    read: list[int] = []

    class Counting(yaml.CSafeLoader):
        def __init__(self, stream: bytes) -> None:
            read.append(len(stream))
            super().__init__(stream)

    monkeypatch.setattr(yaml, "CSafeLoader", Counting)
    documents, _ = load_documents("a.yaml", b"---\na: {b: 1}\n" * 500)
    assert len(documents) == 500
    assert [one.position(()) for one in documents[:2]] == [(2, 1), (4, 1)]
    assert len(read) == 1
    assert [one.position(("a", "b")) for one in documents] == [(2 + 2 * n, 8) for n in range(500)]
    assert len(read) == 2


@given(
    st.recursive(
        st.sampled_from(["x", "5", "'on'", "~", '"a: b"', "é"]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["k", "on", "'1'"]), inner, max_size=3)
        ),
        max_leaves=12,
    )
)
def test_each_scalar_stands_where_it_is_said_to(tree):
    """In flow style: what stands at the place is the value itself."""
    text = f"{{top: {flow(tree)}}}"
    [document] = load_documents("a.yaml", text.encode())[0]
    for path, written in leaves(tree, ("top",)):
        line, column = document.position(path)
        assert line == 1
        assert text[column - 1 :].startswith(written)


def flow(tree) -> str:
    if isinstance(tree, list):
        return f"[{', '.join(map(flow, tree))}]"
    if isinstance(tree, dict):
        return f"{{{', '.join(f'{key}: {flow(one)}' for key, one in tree.items())}}}"
    return tree


def leaves(tree, path):
    if isinstance(tree, str):
        yield path, tree
    for key, one in (
        tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    ):
        yield from leaves(one, (*path, key.strip("'") if isinstance(key, str) else key))


def test_the_place_of_what_is_missing_is_that_of_what_it_is_missing_in():
    [document] = load_documents("a.yaml", b"a:\n  b: {c: 1}\n")[0]
    assert document.position(("a", "b", "x", 3)) == document.position(("a", "b")) == (2, 6)
    assert document.key_position(("a", "x")) == document.position(("a",))


def test_columns_count_characters():
    [document] = load_documents("a.yaml", "{é€😀: 1, b: 2}".encode())[0]
    assert document.key_position(("b",)) == (1, 10)


def test_what_stands_before_an_error_is_kept():
    documents, diagnostics = load_documents("a.yaml", b"a: 1\n---\nb: [\n")
    assert [document.value for document in documents] == [{"a": 1}]
    assert [(one.line, one.column) for one in diagnostics] == [(4, 1)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: 2\na: 3\n", "a.yaml:3:1: duplicate key 'a': it stands at 1:1 already"),
        ("a: {b: 1, 'b': 2}", "a.yaml:1:11: duplicate key 'b': it stands at 1:5 already"),
        ("1: a", "a.yaml:1:1: key 1 has to be a text: put it in quotes"),
        ("a: {null: 1}", "a.yaml:1:5: key null has to be a text: put it in quotes"),
        ("? [a]\n: b", "a.yaml:1:3: a key has to be a text: what begins with { or [ needs quotes"),
        ("a: &x b\n*x : c", "a.yaml:2:1: a key can't be an alias"),
        ("a: &x {b: 1}\nc: {<<: *x}", "a.yaml:2:5: merge keys ('<<') are not YAML 1.2: write the fields out"),
        ("a: &x [*x]", "a.yaml:1:8: alias '*x' has no anchor before it"),
        ("a: !!str 5", "a.yaml:1:4: tag 'tag:yaml.org,2002:str' is not allowed: values are plain"),
        ("a: !mine {b: 1}", "a.yaml:1:4: tag '!mine' is not allowed: values are plain"),
        ("!!str a: 1", "a.yaml:1:1: tag 'tag:yaml.org,2002:str' is not allowed: values are plain"),
    ],
)
def test_what_is_not_taken_is_said_with_its_place(text, said):
    _, diagnostics = load_documents("a.yaml", text.encode())
    assert [str(one) for one in diagnostics] == [said]
