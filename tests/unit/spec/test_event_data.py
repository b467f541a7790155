"""Each type of event that Olympus publishes has a schema of its data, and a row in the contract."""

from __future__ import annotations

import ast
import re
import typing
from collections.abc import Iterator
from pathlib import Path

import pytest

from olympus.argos.check_core import News
from olympus.athena.model import Told
from olympus.spec.event_data import EVENT_DATA
from olympus.spec.schemas import event_schema
from olympus.zeus.steward.model import Tell

ROOT = Path(__file__).resolve().parents[3]
GOD = r"olympus\.(zeus|argos|chronos|hephaestus|apollo|athena)\."
TYPE = re.compile(GOD + r"[a-z][a-z-]*[a-z]")
MADE: dict[str, set[str]] = {
    # File → what follows `olympus.GOD.` in the types that are put together there.
    "zeus/steward/service.py": set(typing.get_args(typing.get_type_hints(Tell)["what"])),
    "argos/check_service.py": set(typing.get_args(News)),
    "argos/watcher.py": {"match", "held-back", "lines-lost"},
    "zeus/hosts.py": {"node-joined", "node-lost"},
    "athena/service.py": set(typing.get_args(Told)),
}


def sources() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted((ROOT / "olympus").rglob("*.py")):
        name = path.relative_to(ROOT / "olympus").as_posix()
        if not name.startswith(("spec/", "testing/")):
            yield name, ast.parse(path.read_text())


def types_in(name: str, tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            first = node.values[0]
            if isinstance(first, ast.Constant) and re.match(GOD, str(first.value)):
                made = MADE.get(name, set())
                assert made, f"{name}:{node.lineno} puts a type together: say in MADE which there are"
                yield from (f"{first.value}{what}" for what in made)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and TYPE.fullmatch(node.value):
            yield node.value


def published() -> set[str]:
    return {one for name, tree in sources() for one in types_in(name, tree)}


def test_every_type_that_the_code_knows_has_a_schema():
    assert published() - set(EVENT_DATA) == set()


def test_the_code_is_looked_through():
    """Else the test above would hold of nothing."""
    assert {
        "olympus.zeus.applied",
        "olympus.zeus.node-lost",
        "olympus.zeus.service-crashlooping",
        "olympus.hephaestus.run-requested",
        "olympus.hephaestus.order-finished",
        "olympus.chronos.fired",
        "olympus.apollo.webhook-received",
    } <= published()


def test_types_that_are_put_together_are_those_that_are_said_to_be():
    tree = ast.parse((ROOT / "olympus" / "zeus" / "hosts.py").read_text())
    calls = [
        call.args[0]
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "_node_event"
    ]
    assert {one.value for one in calls if isinstance(one, ast.Constant)} == MADE["zeus/hosts.py"]
    assert all(isinstance(one, ast.Constant) for one in calls)


def test_every_type_has_a_row_in_the_contract():
    rows = [
        line
        for line in (ROOT / "docs" / "contract.md").read_text().splitlines()
        if "| `olympus." in f"| {line}"
    ]
    said: set[str] = set()
    for row in rows:
        first, *others = re.findall(r"`([a-z.-]+)`", row.split("|")[1])
        said |= {first} | {f"{first.rpartition('.')[0]}.{one}" for one in others}
    assert said == set(EVENT_DATA)


@pytest.mark.parametrize("type_", EVENT_DATA)
def test_a_schema_says_the_names_that_data_has_in_json(type_):
    schema = event_schema(type_)
    assert schema["title"] == type_
    assert schema["properties"]
    assert all("_" not in name for name in schema["properties"])
