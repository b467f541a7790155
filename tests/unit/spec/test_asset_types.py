"""Assets have the fields that their type asks for; an error stands where the field stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from olympus.spec.tree import DirectoryTree
from olympus.spec.validate import validate_tree

TYPE = """\
apiVersion: olympus/v1
kind: AssetType
metadata: {name: laptop}
spec:
  fields:
    type: object
    required: [ram]
    additionalProperties: false
    properties: {ram: {type: integer, minimum: 4}, warranty: {type: string, format: date}}
  reminders: [warranty]
"""
ASSET = """\
apiVersion: olympus/v1
kind: Asset
metadata: {name: lap-1}
spec:
  type: %s
  %s
"""


def said(tmp_path: Path, **files: str) -> list[str]:
    for name, text in files.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    return [str(one) for one in validate_tree(DirectoryTree(tmp_path)).diagnostics]


@pytest.mark.parametrize(
    ("type_", "fields"),
    [
        ("laptop", "fields: {ram: 16, warranty: 2027-01-31}"),
        ("desk", "fields: {anything: [1, {x: y}]}"),
        ("desk", "owner: ann"),
    ],
)
def test_what_fits_its_type_or_has_none_is_right(tmp_path, type_, fields):
    assert said(tmp_path, t=TYPE, a=ASSET % (type_, fields)) == []


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("fields: {ram: lots}", "a.yaml:6:17: fields of type 'laptop': "),
        ("fields: {ram: 2}", "a.yaml:6:17: fields of type 'laptop': "),
        ("fields: {ram: 8, warranty: soon}", "a.yaml:6:30: fields of type 'laptop': "),
        ("fields: {ram: 8, colour: red}", "colour"),
        ("fields: {warranty: 2027-01-31}", "'ram'"),
        ("owner: ann", "'ram'"),
    ],
)
def test_what_does_not_fit_is_said_where_it_stands(tmp_path, fields, expected):
    [error] = said(tmp_path, t=TYPE, a=ASSET % ("laptop", fields))
    assert expected in error


def test_a_type_has_to_be_a_schema_that_has_what_is_reminded_of(tmp_path):
    [error] = said(tmp_path, t=TYPE.replace("type: integer", "type: intger"))
    assert "t.yaml:9:30: 'intger' is no type, did you mean 'integer'?" in error
    [error] = said(tmp_path, t=TYPE.replace("reminders: [warranty]", "reminders: [waranty]"))
    assert "t.yaml:10:15: fields has no property 'waranty', did you mean 'warranty'?" in error
