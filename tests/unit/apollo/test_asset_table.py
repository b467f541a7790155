"""Assets as a table: nothing is lost on the way out and in, no spreadsheet runs it, files keep what is theirs."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from olympus.apollo.inventory.documents import proposed, text_of
from olympus.apollo.inventory.table import Row, read, written
from olympus.kernel.errors import Invalid
from olympus.spec.catalog import Catalog, resource_of
from olympus.spec.loader import load_documents


def asset(name, labels=None, file="a.yaml", **spec):
    document = {
        "kind": "Asset",
        "metadata": {"name": name, "labels": labels or {}},
        "spec": {"type": "x", **spec},
    }
    return resource_of(document, file=file)


words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=12)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=12)
)
values = scalars | st.lists(scalars, max_size=3) | st.dictionaries(words, scalars, max_size=2)
assets = st.builds(
    lambda owner, serial, fields, labels: {"owner": owner, "serial": serial, "fields": fields, "labels": labels},
    words, words, st.dictionaries(words, values, max_size=3),
    st.dictionaries(st.sampled_from(["team", "a.b/c"]), st.sampled_from(["shop", "1", "-"[:0]]), max_size=2),
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(assets, max_size=3))
def test_a_table_that_is_sent_back_as_it_came_changes_nothing(given_):
    catalog = Catalog([asset(f"a{n}", **one) for n, one in enumerate(given_)])
    assert proposed(catalog, {}, read(written(catalog.all("Asset")))).changes == []


@pytest.mark.parametrize(
    "evil",
    ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "'=1", '=HYPERLINK("http://x","y")'],
)
def test_no_cell_is_a_formula(evil):
    found = asset("a", owner=evil, fields={evil: evil, "list": [evil]})
    cells = [cell for row in csv.reader(io.StringIO(written([found]))) for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
    [row] = read(written([found]))
    assert row.values["spec", "owner"] == evil
    assert row.values["spec", "fields", evil] == evil


def test_types_of_fields_stay():
    found = asset("a", fields={"n": 5, "text": "5", "yes": True, "word": "true", "neg": -5, "list": [1]})
    [row] = read(written([found]))
    kept = {path[2]: value for path, value in row.values.items() if path[:2] == ("spec", "fields")}
    assert kept == {"n": 5, "text": "5", "yes": True, "word": "true", "neg": -5, "list": [1]}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "1:1: the first line has to name the columns"),
        ("owner\nann\n", "'name' among them"),
        ("name,ownr\na,ann\n", "unknown column 'ownr', did you mean 'owner'?"),
        ("name,owner,owner\na,b,c\n", "'owner' is there twice"),
        ("name,owner\na\n", "assets.csv:2:1: 1 cells, and the first line names 2 columns"),
        ("name\na\n\na\n", "assets.csv:4:1: asset 'a' stands in line 2 already"),
        ("name,relations\na,dock\n", "assets.csv:2:1: relations has to be JSON"),
        ('name,owner\na,"x\n', "it is no CSV"),
    ],
)
def test_what_is_wrong_in_a_table_is_said_with_its_line(text, said):
    with pytest.raises(Invalid) as caught:
        read(text)
    assert said in str(caught.value)


FILE = """\
# All laptops.
apiVersion: olympus/v1
kind: Service
metadata: {name: lap-1}   # another kind of that name
spec: {run: {process: {command: [x]}}}
--- # the second
# Ann's.
apiVersion: olympus/v1
kind: Asset
metadata: {name: lap-1}
spec: {type: x, owner: ann}

---
apiVersion: olympus/v1
kind: Asset
metadata: {name: lap-11}
spec:
  type: x  # keep me
"""


def test_one_document_is_written_anew_and_every_other_byte_stays():
    catalog = Catalog([asset("lap-1", owner="ann"), asset("lap-11")])
    made = proposed(catalog, {"a.yaml": FILE}, read("name,owner,fields.ram\nlap-1,bob,16\nlap-2,eve,\n"))
    assert [(one.name, one.verb) for one in made.changes] == [("lap-1", "update"), ("lap-2", "create")]
    text = made.files["a.yaml"]
    old, new = FILE.split("apiVersion"), text.split("apiVersion")
    assert (new[0], new[1], new[3]) == (old[0], old[1], old[3])
    assert "--- # the second\n# Ann's.\napiVersion" in text
    documents, wrong = load_documents("a.yaml", text.encode())
    assert wrong == []
    assert documents[1].value["spec"] == {"type": "x", "owner": "bob", "fields": {"ram": 16}}
    assert made.warnings == []
    assert set(made.files) == {"a.yaml", "assets/lap-2.yaml"}


def test_comments_that_are_lost_are_said():
    catalog = Catalog([asset("lap-1", owner="ann"), asset("lap-11")])
    made = proposed(catalog, {"a.yaml": FILE}, read("name,owner\nlap-11,bob\n"))
    assert made.warnings == ["a.yaml: comments within 'lap-11' are not kept"]


def test_an_empty_cell_takes_a_field_away_and_a_missing_column_none():
    catalog = Catalog([asset("lap-1", {"team": "shop"}, owner="ann", serial="s")])
    made = proposed(
        catalog,
        {"a.yaml": FILE},
        [Row("lap-1", {("spec", "owner"): None, ("metadata", "labels", "team"): None})],
    )
    [change] = made.changes
    assert [(one.field, one.new) for one in change.fields] == [
        ("metadata.labels.team", None),
        ("spec.owner", None),
    ]
    documents, _ = load_documents("a.yaml", made.files["a.yaml"].encode())
    assert documents[1].value["spec"] == {"type": "x", "serial": "s"}


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(words, values, max_size=4))
def test_what_is_written_is_read_as_the_same(fields):
    document = {
        "apiVersion": "olympus/v1",
        "kind": "Asset",
        "metadata": {"name": "a"},
        "spec": {"fields": fields},
    }
    documents, wrong = load_documents("a.yaml", text_of(document).encode())
    assert wrong == []
    assert documents[0].value == document


@pytest.mark.parametrize("name", ["../x", "", "A", "a/b", "a" * 300, "-a"])
def test_no_name_leads_out_of_the_folder(name):
    with pytest.raises(Invalid):
        proposed(Catalog(()), {}, [Row(name, {("spec", "type"): "x"})])
