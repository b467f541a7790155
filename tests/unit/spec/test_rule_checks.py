"""What validation knows of a Rule's events: paths that lead nowhere, and what can never be equal."""

from __future__ import annotations

from pathlib import Path

import pytest

from olympus.spec.tree import DirectoryTree
from olympus.spec.validate import validate_tree

PIPELINE = """apiVersion: olympus/v1
kind: Pipeline
metadata: {name: fix}
spec: {steps: [{name: a, run: ["true"]}]}
---
"""
MATCH, FAILED = "olympus.argos.match", "olympus.argos.check-failed"
SOLVE = "solve: [{pipeline: fix, verify: {absent: {event: shop.bad}, within: 1m}}]"


def errors(tmp_path: Path, spec: str) -> list[str]:
    rule = f"apiVersion: olympus/v1\nkind: Rule\nmetadata: {{name: r}}\nspec:\n  {spec}\n  {SOLVE}\n"
    (tmp_path / "a.yaml").write_text(PIPELINE + rule)
    return [one.message for one in validate_tree(DirectoryTree(tmp_path)).diagnostics]


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (
            f"correlate: {{within: 1m, by: data.ip, count: {{of: {{event: {MATCH}}}, atLeast: 3}}}}",
            f"the data of {MATCH} has no 'ip'",
        ),
        (
            f"correlate: {{within: 1m, by: [node, data.watch], all: [{{event: {MATCH}}}, {{event: {FAILED}}}]}}",
            f"the data of {FAILED} has no 'watch'",
        ),
        (
            f"correlate: {{within: 1m, distinct: {{of: {{event: {MATCH}}}, field: data.grups, atLeast: 3}}}}",
            f"the data of {MATCH} has no 'grups', did you mean 'groups'?",
        ),
        (
            f"correlate: {{within: 1m, sequence: [{{event: a}}, {{event: {MATCH}}}]}}\n  when: event.data.chek == 'a'",
            f"the data of {MATCH} has no 'chek'",
        ),
        (
            f"correlate: {{within: 1m, any: [{{event: {MATCH}}}, {{event: {FAILED}}}]}}\n  limits: {{by: data.watch}}",
            f"the data of {FAILED} has no 'watch'",
        ),
        (
            f"on: {{event: {MATCH}, where: data.name == data.count}}",
            "data.name == data.count: data.name is a text, data.count is a number: they are never equal",
        ),
        (
            f"correlate: {{within: 1m, any: [{{event: {MATCH}, where: data.count == 'x'}}]}}",
            "data.count == 'x': data.count is a number, 'x' is not",
        ),
        (
            f"correlate: {{within: 5m, rate: {{of: {{event: {MATCH}}}, perSecond: 50}}}}",
            "50 per second within 5m are 15000 events, more than 4000 are not counted: make within shorter",
        ),
        (
            f"correlate: {{within: 1m, count: {{of: {{event: {MATCH}}}, atLeast: 5000}}}}",
            "5000: input should be less than or equal to 4000",
        ),
    ],
)
def test_what_can_not_be_is_said(tmp_path: Path, spec: str, said: str) -> None:
    found = errors(tmp_path, spec)
    assert len(found) == 1
    assert found[0].startswith(said), found


@pytest.mark.parametrize(
    "spec",
    [
        f"correlate: {{within: 1m, by: data.groups.ip, sequence: [{{event: {MATCH}}}, {{event: {MATCH}}}]}}",
        "correlate: {within: 1m, by: data.ip, all: [{event: shop.a}, {event: shop.*}]}",
        f"correlate: {{within: 1m, any: [{{event: {MATCH}}}, {{event: {FAILED}}}]}}\n  when: event.data.watch == 'a'",
        f"correlate: {{within: 1m, sequence: [{{event: {MATCH}}}, {{event: shop.x}}]}}\n  when: event.data.y == `1`",
        f"on: {{event: {MATCH}, where: data.name == data.watch}}",
    ],
)
def test_what_may_be_is_not_objected_to(tmp_path: Path, spec: str) -> None:
    assert errors(tmp_path, spec) == []
