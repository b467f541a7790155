"""Schemas that users write: nothing is fetched, patterns are linear, references stay inside."""

from __future__ import annotations

import urllib.request
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from olympus.spec.draft_jsonschema import UserSchema
from olympus.spec.json_schema import _is_plain, compile_schema, schema_faults


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def fetch(*given: Any, **_: Any) -> Any:
        raise AssertionError(f"{given} would be fetched")

    monkeypatch.setattr(urllib.request, "urlopen", fetch)


@pytest.mark.parametrize(
    "reference", ["http://169.254.169.254/latest", "file:///etc/passwd", "other.json", "//h/x"]
)
@pytest.mark.parametrize("key", ["$ref", "$dynamicRef"])
def test_references_out_of_the_schema_are_refused_and_never_fetched(key, reference):
    schema = {"properties": {"x": {key: reference}}}
    [fault] = schema_faults(schema)
    assert fault.path == ("properties", "x", key)
    assert "leads out of the schema" in fault.message
    [fault] = UserSchema(schema).faults({"x": 1})
    assert "leads nowhere" in fault.message


def test_references_inside_are_followed_from_a_part_too():
    schema = {
        "$defs": {"ip": {"type": "string", "format": "ipv4"}},
        "properties": {"x": {"$ref": "#/$defs/ip"}},
    }
    assert schema_faults(schema) == ()
    made = compile_schema(orjson.dumps(schema))
    assert made.faults({"x": "10.0.0.1"}) == []
    assert [fault.path for fault in made.faults({"x": "no"})] == [("x",)]
    assert made.faults("10.0.0.1", schema["properties"]["x"]) == []
    assert len(made.faults("no", schema["properties"]["x"])) == 1


@pytest.mark.parametrize(
    "schema",
    [{"$ref": "#"}, {"$ref": "#/$defs/gone"}, {"$defs": {"a": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}],
)
def test_references_that_lead_nowhere_are_faults_and_no_crash(schema):
    assert len(UserSchema(schema).faults({"x": 1})) == 1


def test_patterns_take_linear_time():
    schema = {
        "properties": {"x": {"pattern": "^(a+)+$"}},
        "patternProperties": {"^(b+)+$": {"type": "string"}},
        "additionalProperties": False,
    }
    assert schema_faults(schema) == ()
    made = UserSchema(schema)
    long = "a" * 50_000 + "!"
    assert [fault.path for fault in made.faults({"x": long})] == [("x",)]
    assert made.faults({"x": "aaa", "bb": "text"}) == []
    assert [fault.path for fault in made.faults({"bb": 1})] == [("bb",)]
    assert len(made.faults({"b" * 50_000 + "!": "text"})) == 1


def test_patterns_that_need_backtracking_are_refused():
    assert [fault.path for fault in schema_faults({"properties": {"x": {"pattern": "(?=a)"}}})] == [
        ("properties", "x", "pattern")
    ]


def test_what_is_no_schema_is_said_with_its_place():
    [fault] = schema_faults({"properties": {"x": {"type": "strng"}}})
    assert fault.path == ("properties", "x", "type")


def test_a_schema_of_what_is_not_named_is_asked():
    made = UserSchema({"additionalProperties": {"type": "integer"}})
    assert made.faults({"a": 1}) == []
    assert [fault.path for fault in made.faults({"a": "1"})] == [("a",)]


plain_schemas = st.recursive(
    st.booleans()
    | st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["string", "integer", "strng", ["string", "null"], 5, []]),
            "title": st.sampled_from(["x", 5]),
            "format": st.sampled_from(["ipv4", "date", None]),
            "enum": st.sampled_from([["a"], [], "a", [1, 1]]),
            "const": st.sampled_from([None, [], 1]),
            "minimum": st.sampled_from([1, 0.5, True, "1"]),
            "maxLength": st.sampled_from([0, 5, -1, 2.0, True]),
            "required": st.sampled_from([["a"], ["a", "a"], "a", [1]]),
            "uniqueItems": st.sampled_from([True, 1]),
            "nonsense": st.just(1),
        },
    ),
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "properties": st.dictionaries(st.sampled_from(["a", "b", "$ref"]), inner, max_size=2),
            "items": inner,
            "additionalProperties": inner | st.just("no"),
            "$defs": st.dictionaries(st.just("x"), inner, max_size=1),
            "anyOf": st.lists(inner, max_size=2),
        },
    ),
    max_leaves=6,
)


@given(plain_schemas)
def test_the_quick_look_takes_nothing_that_the_draft_refuses(schema):
    if _is_plain(schema):
        Draft202012Validator.check_schema(schema)
    assert bool(schema_faults(schema)) == (
        not Draft202012Validator(Draft202012Validator.META_SCHEMA).is_valid(schema)
    )


def test_most_schemas_need_no_more_than_the_quick_look():
    assert _is_plain(
        {"type": "object", "required": ["ip"], "properties": {"ip": {"type": "string", "format": "ipv4"}}}
    )
    assert not _is_plain({"properties": {"x": {"pattern": "(?=a)"}}})
    assert not _is_plain({"properties": {"x": {"$ref": "http://h/"}}})
