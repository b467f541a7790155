"""Conditions and values: JMESPath with bare numbers, and with missing paths that equal nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from olympus.spec.dialect import MAX_LENGTH, comparison, junction, unwrapped
from olympus.spec.expression import ExpressionError, compile_condition, compile_value

DATA = {
    "data": {
        "score": 7,
        "name": "bad-login",
        "ok": True,
        "none": None,
        "tags": ["a", "b"],
        "groups": {"ip": "203.0.113.7"},
        "lines": [{"line": "x", "n": 1}, {"line": "y"}],
        "empty": "",
        "zero": 0,
    },
    "steps": {"look": {"exit": 0, "nodes": {"web-1": {"exit": 3}}}},
}


def clauses(text: str) -> list[tuple[str, str, str]]:
    return [(c.text, c.value, c.because) for c in compile_condition(text).evaluate(DATA).clauses]


@pytest.mark.parametrize(
    "text",
    [
        "steps.look.exit == 0",
        "data.score > 5",
        "data.score >= 7 && data.score <= 7.0",
        "data.score>6.5",
        "data.name == 'bad-login'",
        "data.none == `null`",
        "data.name != `null`",
        "data.ok",
        "data.ok == `true`",
        "!data.none",
        "!(data.score < 5)",
        "data.zero",
        "!data.empty",
        "data.tags[0] == 'a'",
        "data.tags[-1] == 'b'",
        "length(data.tags) == 2",
        "contains(data.tags, 'a')",
        'steps.look.nodes."web-1".exit == 3',
        "data.lines[?n > 0].line | [0] == 'x'",
        "data.score < 5 || data.ok",
        "(data.score > 5 && (data.ok || data.nothing))",
        "data.score == -7 || data.score == 7e0",
        "not_null(data.nothing, 'x') == 'x'",
        "starts_with(data.groups.ip, '203.')",
    ],
)
def test_holds(text):
    condition = compile_condition(text)
    assert condition.evaluate(DATA).value is True
    assert condition.holds(DATA) is True


@pytest.mark.parametrize(
    "text",
    [
        "data.nothing == data.nothing_else",
        "data.nothing == 5",
        "data.nothing != 5",
        "data.nothing < 5",
        "data.nothing",
        "!data.nothing",
        "!(data.nothing == 5)",
        "length(data.nothing) == 0",
        "data.tags[7] == 'a'",
        "data.score.deeper == 1",
        "nowhere",
        # JMESPath has no word for it outside backticks: this is a path.
        "null",
    ],
)
def test_what_is_missing_makes_its_clause_false_and_says_so(text):
    condition = compile_condition(text)
    verdict = condition.evaluate(DATA)
    assert (verdict.value, verdict.clauses[0].value) == (False, "missing")
    assert "missing" in verdict.clauses[0].because
    assert condition.holds(DATA) is False


@pytest.mark.parametrize(
    ("text", "because"),
    [
        ("data.name == 5", 'data.name is "bad-login": a text can\'t be compared with a number'),
        ("data.name != 5", 'data.name is "bad-login": a text can\'t be compared with a number'),
        ("data.ok == 1", "data.ok is true: a boolean can't be compared with a number"),
        ("data.name > 5", 'data.name is "bad-login": a text can\'t be compared with a number'),
        ("data.score > 10", "data.score is 7, not > 10"),
        ("abs(data.name) > 1", "In function abs(), invalid type for value: bad-login"),
    ],
)
def test_unlike_types_and_failures_make_a_clause_false_with_its_reason(text, because):
    [(_, value, said)] = clauses(text)
    assert value == "false"
    assert said.startswith(because)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1 == 'a'", "a number never equals a text"),
        ("data.score > 'a'", "only numbers can be ordered, and 'a' is a text"),
        ("data.score >", "is no expression"),
        ("a-b == 1", "quotes"),
        ("", "the expression is empty"),
        ("  ", "the expression is empty"),
        ("lenght(data.tags) == 2", "there is no function lenght(), did you mean 'length'?"),
        ("length(data.tags, 2) == 2", "length() takes 1 argument, not 2"),
        ("contains(data.tags) == 2", "contains() takes 2 arguments, not 1"),
        ("merge()", "merge() takes 1 argument or more, not 0"),
        ("data.tags[::0]", "step of a slice"),
        ("x" * (MAX_LENGTH + 1), "longer than"),
        ("(" * 900 + "a" + ")" * 900, ""),
        ("!" * 1500 + "a", ""),
    ],
)
def test_what_can_never_hold_is_refused_when_it_is_read(text, said):
    with pytest.raises(ExpressionError) as error:
        compile_condition(text)
    assert said in str(error.value)


def test_each_clause_is_told_as_it_was_written():
    assert clauses("data.score > 5 && (data.name == 'x' || data.nothing == 1)") == [
        ("data.score > 5", "true", "data.score is 7"),
        ("data.name == 'x'", "false", 'data.name is "bad-login", not == "x"'),
        ("data.nothing == 1", "missing", "data.nothing is missing"),
    ]


def test_values_keep_their_type():
    for text, value in [
        ("data.score", 7),
        ("data.ok", True),
        ("data.none", None),
        ("data.tags", ["a", "b"]),
        ("data.lines[].line", ["x", "y"]),
        ("{n: data.score, m: 5}", {"n": 7, "m": 5}),
        ("[data.score, 5]", [7, 5]),
        ("data.score && 'yes' || 'no'", "yes"),
        ("sort_by(data.lines, &line)[-1].line", "y"),
        ("data.*.ip", ["203.0.113.7"]),
    ]:
        assert compile_value(text).evaluate(DATA) == value


def test_a_missing_value_is_an_error():
    with pytest.raises(ExpressionError, match=r"data\.nothing is missing"):
        compile_value("data.nothing").evaluate(DATA)


@pytest.mark.parametrize("text", ["to_number('nan')", "to_number('1e999')", "to_number('-inf')"])
def test_no_value_is_made_that_json_does_not_know(text):
    with pytest.raises(ExpressionError, match="no number in JSON"):
        compile_value(text).evaluate({})


def test_what_grows_is_stopped():
    grow = "'aaaaaaaaaaaaaaaaaaaa'" + " | join('', [@,@,@,@,@,@,@,@,@,@])" * 7
    nested = "`[1,2,3,4,5,6,7,8,9,10]`" + " | [@,@,@,@,@,@,@,@,@,@]" * 7
    for text in (grow, nested):
        with pytest.raises(ExpressionError, match=r"larger than|steps"):
            compile_value(text).evaluate({})
    with pytest.raises(ExpressionError, match=r"larger than|steps"):
        compile_value("data.many[*].[@, @, @, @]" + ".[@, @, @, @]" * 8).evaluate(
            {"data": {"many": [[0] * 50] * 500}}
        )


def test_paths_and_roots_are_what_it_reads():
    condition = compile_condition(
        "params.x == steps.a.output.b && length(event.data.l[?y > 1]) > 0 && !run.id"
    )
    assert condition.roots() == {"params", "steps", "event", "run"}
    plain = {("params", "x"), ("steps", "a", "output", "b"), ("event", "data", "l"), ("run", "id")}
    assert set(condition.paths()) == plain


def test_a_text_is_cut_into_clauses_outside_brackets_and_quotes_alone():
    assert junction("a == '||' && b[?c || d]") == (True, ["a == '||' ", " b[?c || d]"])
    assert junction("a && b || c") == (False, ["a && b ", " c"])
    assert junction("a | b && c") is None
    assert unwrapped(" ((a || b)) ") == "a || b"
    assert unwrapped("(a) || (b)") == "(a) || (b)"
    assert comparison("a.b == 'x == y'") == ("a.b", "==", "'x == y'")
    assert comparison("!a == b") is None


@given(st.text(max_size=60))
def test_any_text_is_an_expression_or_is_refused(text):
    try:
        condition = compile_condition(text)
    except ExpressionError:
        return
    verdict = condition.evaluate(DATA)
    assert verdict.value == condition.holds(DATA)
    assert verdict.clauses


operands = st.sampled_from(
    ["data.score", "data.name", "data.nothing", "5", "'x'", "data.ok", "data.none", "length(data.tags)"]
)
comparisons = st.builds(
    lambda a, op, b: f"{a} {op} {b}", operands, st.sampled_from(["==", "!=", "<", ">=", "<=", ">"]), operands
)
conditions = st.recursive(
    comparisons | operands,
    lambda inner: (
        st.builds(lambda a, op, b: f"({a}) {op} {b}", inner, st.sampled_from(["&&", "||"]), inner)
        | inner.map(lambda a: f"!({a})")
    ),
    max_leaves=6,
)


@given(conditions)
def test_with_and_without_reasons_the_verdict_is_the_same(text):
    try:
        condition = compile_condition(text)
    except ExpressionError:
        return
    assert condition.evaluate(DATA).value is condition.holds(DATA)
