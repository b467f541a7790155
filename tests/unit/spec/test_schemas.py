"""The schemas are those of the models: committed as generated, and they accept what the models accept."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import ValidationError
from referencing import Registry, Resource

from olympus.spec.event_data import EVENT_DATA
from olympus.spec.kinds import KINDS
from olympus.spec.kinds.metadata import Metadata
from olympus.spec.loader import RawDocument, load_documents
from olympus.spec.parse import parse_document
from olympus.spec.schema_export import differing, exported, main, write
from olympus.spec.schemas import any_kind_schema, kind_schema, schema_folder

from . import generated

SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
VALIDATORS = {
    kind: Draft202012Validator(kind_schema(kind), format_checker=Draft202012Validator.FORMAT_CHECKER)
    for kind in KINDS
}


def accepted_by_models(document: Any) -> bool:
    try:
        Metadata.model_validate(document["metadata"])
        KINDS[document["kind"]].model_validate(document["spec"])
    except ValidationError:
        return False
    return set(document) == {"apiVersion", "kind", "metadata", "spec"}


def test_committed_schemas_are_those_of_the_models():
    assert differing(schema_folder()) == []


def test_there_is_one_for_each_kind_and_each_event_type():
    names = set(exported())
    assert {f"{kind.lower()}.json" for kind in KINDS} | {f"events/{name}.json" for name in EVENT_DATA} < names
    assert names - {"olympus.json"} == {f"{kind.lower()}.json" for kind in KINDS} | {
        f"events/{name}.json" for name in EVENT_DATA
    }


@pytest.mark.parametrize("name", sorted(exported()))
def test_each_is_a_schema_of_the_2020_12_draft(name):
    schema = json.loads(exported()[name])
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    Draft202012Validator.check_schema(schema)


def test_writing_mends_what_differs_and_removes_what_is_gone(tmp_path):
    write(tmp_path)
    assert differing(tmp_path) == []
    (tmp_path / "node.json").write_text("{}")
    (tmp_path / "olympus.json").unlink()
    (tmp_path / "gone.json").write_text("{}")
    assert differing(tmp_path) == ["gone.json", "node.json", "olympus.json"]
    assert main(["--check", str(tmp_path)]) == 1
    assert main([str(tmp_path)]) == 0
    assert main(["--check", str(tmp_path)]) == 0
    assert not (tmp_path / "gone.json").exists()


@SLOW
@given(generated.documents())
def test_what_the_models_accept_the_schemas_accept(document):
    assume(accepted_by_models(document))
    validator = VALIDATORS[document["kind"]]
    assert [error.message for error in validator.iter_errors(document)] == []
    spec = KINDS[document["kind"]].model_validate(document["spec"])
    as_written = document | {"spec": spec.to_json()}
    with_defaults = document | {"spec": spec.model_dump(mode="json", by_alias=True, exclude_none=True)}
    assert as_written == document
    assert [error.message for error in validator.iter_errors(with_defaults)] == []


@pytest.mark.parametrize("kind", KINDS)
def test_the_models_accept_much_of_what_is_generated(kind):
    """Else the property above would hold of nothing."""
    seen: list[bool] = []

    @settings(
        max_examples=30,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(generated.document(kind))
    def collect(document: Any) -> None:
        seen.append(accepted_by_models(document))

    collect()
    assert sum(seen) > len(seen) / 4


@SLOW
@given(generated.documents(), st.data())
def test_spoilt_documents_are_refused_with_places_or_accepted_by_both(document, data):
    spoilt = spoil(document, data)
    resource, diagnostics = parse_document(document_of(spoilt))
    assert (resource is None) == bool(diagnostics)
    assert all(one.message and len(one.message) < 1000 and one.line > 0 for one in diagnostics)
    if resource is not None:
        kind = spoilt["kind"]
        assert [error.message for error in VALIDATORS[kind].iter_errors(spoilt)] == []


def document_of(value: Any) -> RawDocument:
    """As if it had been read from a file, in which its parts can't be found."""
    [document] = load_documents("a.yaml", b"x")[0]
    document.value = value
    return document


def spoil(document: Any, data: st.DataObject) -> Any:
    """With one to three of its parts replaced, removed, renamed or added."""
    spoilt = copy.deepcopy(document)
    for _ in range(data.draw(st.integers(1, 3))):
        places = list(containers(spoilt))
        where = data.draw(st.sampled_from(places)) if places else None
        if where is None:
            return data.draw(generated.json_values)
        keys = list(where) if isinstance(where, dict) else list(range(len(where)))
        if not keys:
            continue
        key = data.draw(st.sampled_from(keys))
        match data.draw(st.sampled_from(["replace", "remove", "rename"])):
            case "replace":
                where[key] = data.draw(generated.json_values)
            case "remove":
                del where[key]
            case "rename" if isinstance(where, dict):
                where[data.draw(st.text(max_size=6) | st.just(f"{key}s"))] = where.pop(key)
    return spoilt


def containers(value: Any) -> Any:
    if isinstance(value, dict | list):
        yield value
        for part in value.values() if isinstance(value, dict) else value:
            yield from containers(part)


def test_editors_find_the_schema_of_a_kind():
    registry = Registry().with_resources(
        [(f"{kind.lower()}.json", Resource.from_contents(kind_schema(kind))) for kind in KINDS]
    )
    editor = Draft202012Validator(any_kind_schema(), registry=registry)
    window = {"mode": "deny", "cron": "0 0 * * *", "duration": "1h"}
    good = {"apiVersion": "olympus/v1", "kind": "Window", "metadata": {"name": "x"}, "spec": window}
    assert editor.is_valid(good)
    assert not editor.is_valid(good | {"kind": "Silence"})


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("Service", {"run": {}}),
        ("Service", {"run": {"process": {"command": ["a"]}, "systemd": {"unit": "a.service"}}}),
        ("Service", {"run": {"process": {"command": []}}}),
        ("Schedule", {"pipeline": "a"}),
        ("Schedule", {"pipeline": "a", "every": "1m", "cron": "* * * * *"}),
        ("Schedule", {"pipeline": "a", "every": "1 minute"}),
        ("Schedule", {"pipeline": "a", "every": "1m", "paused": "yes"}),
        ("Schedule", {"pipeline": "a", "every": "1m", "jitter": None}),
        ("Pipeline", {"steps": []}),
        ("Pipeline", {"steps": [{"name": "a"}]}),
        ("Pipeline", {"steps": [{"name": "a", "run": ["a"], "script": "b"}]}),
        ("Pipeline", {"steps": [{"name": "a", "run": ["a"], "retry": {"attempts": "3"}}]}),
        ("Pipeline", {"steps": [{"name": "a", "run": ["a"], "colour": "red"}]}),
    ],
)
def test_editors_see_what_the_models_refuse(kind, spec):
    document = {"apiVersion": "olympus/v1", "kind": kind, "metadata": {"name": "x"}, "spec": spec}
    assert not accepted_by_models(document)
    assert not VALIDATORS[kind].is_valid(document)
