"""`${{ }}` in values: types are kept, what comes out is never looked at again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from olympus.spec.expression import ExpressionError
from olympus.spec.template import Hole, expressions_in, has_holes, parse, render

ROOTS = {
    "params": {
        "n": 5,
        "ok": True,
        "list": [1, {"a": "b"}],
        "text": "x",
        "none": None,
        "hostile": "${{ params.n }}",
    }
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${{ params.n }}", 5),
        ("${{params.n}}", 5),
        ("${{ params.ok }}", True),
        ("${{ params.list }}", [1, {"a": "b"}]),
        ("${{ params.none }}", None),
        ("n=${{ params.n }}", "n=5"),
        ("${{ params.n }} ", "5 "),
        ("${{ params.ok }}${{ params.text }}", "truex"),
        ("l=${{ params.list }}", 'l=[1,{"a":"b"}]'),
        ("none=${{ params.none }}", "none=null"),
        ("$${{ params.n }}", "${{ params.n }}"),
        ("a $${{ b }} ${{ params.n }}", "a ${{ b }} 5"),
        ("$X ${X} {{ params.n }} $(id) {% if %}", "$X ${X} {{ params.n }} $(id) {% if %}"),
        ("${{ '}}' }}", "}}"),
        ("${{ {a: {b: params.n}} }}", {"a": {"b": 5}}),
        ("${{ {a: {b: params.n}}}}", {"a": {"b": 5}}),
        ("""${{ join('"', ['a', '`']) }}""", 'a"`'),
        ("${{ params.hostile }}", "${{ params.n }}"),
        ("is ${{ params.hostile }}", "is ${{ params.n }}"),
        ("${{ length(params.list) == 2 && 'two' }}", "two"),
        ("", ""),
        ("${", "${"),
    ],
)
def test_renders(text, value):
    assert render(text, ROOTS) == value
    assert type(render(text, ROOTS)) is type(value)


def test_trees_are_rendered_in_their_values_and_not_in_their_keys():
    tree = {"${{ params.n }}": ["${{ params.n }}", {"a": "${{ params.text }}"}], "b": 5}
    assert render(tree, ROOTS) == {"${{ params.n }}": [5, {"a": "x"}], "b": 5}


@pytest.mark.parametrize("text", ["${{", "a ${{ b", "${{ {a: b }}"])
def test_a_hole_without_an_end_is_an_error_that_says_where(text):
    with pytest.raises(ExpressionError, match="has no end"):
        parse(text)


@pytest.mark.parametrize(
    "text", ["${{ 'a }}", "${{ params.gone }}", "x ${{ params.gone }}", "${{ gone }}", "${{ }}", "${{ a b }}"]
)
def test_what_is_missing_or_no_expression_is_an_error(text):
    with pytest.raises(ExpressionError):
        render(text, ROOTS)


def test_holes_say_where_they_stand():
    assert parse("ab ${{ c }} d") == ("ab ", Hole("c", 3, 11), " d")
    assert list(expressions_in({"a": ["x", "${{ b }}-${{ c }}"]})) == [(("a", 1), "b"), (("a", 1), "c")]
    assert not has_holes("$${{ a }}")
    assert has_holes("$${{ a }}${{ b }}")


@given(st.text(alphabet="${} 'ab`\"\\", max_size=30))
def test_plain_text_is_untouched(text):
    if "${{" not in text:
        assert render(text, {}) == text


@given(st.text(max_size=30))
def test_what_comes_from_outside_is_one_literal_value(text):
    assert render("${{ params.x }}", {"params": {"x": text}}) == text
    assert render("<${{ params.x }}>", {"params": {"x": text}}) == f"<{text}>"
