"""`olympus test`, as people and programs see it."""

from __future__ import annotations

import json
from pathlib import Path

from olympus.cli.main import main

EXAMPLES = Path(__file__).parents[3] / "examples"


def played(capsys, *words):
    code = main(["test", *map(str, words), "-o", "json"])
    return code, json.loads(capsys.readouterr().out)


def test_the_examples_do_what_their_tests_expect(capsys):
    paths = [EXAMPLES / name for name in ("brute-force-guard", "disk-full", "self-healing-web")]
    code, found = played(capsys, *paths)
    assert code == 0
    assert len(found["items"]) >= 11
    assert all(one["passed"] for one in found["items"])


def test_a_failing_test_says_where_and_why_and_ends_with_1(tmp_path, capsys):
    for file in (EXAMPLES / "disk-full").iterdir():
        if file.is_file():
            (tmp_path / file.name).write_text(
                file.read_text().replace("params: {keep: 1}}]", "params: {keep: 7}}]")
            )
    code, found = played(capsys, tmp_path)
    assert code == 1
    failure = next(one for one in found["items"] if not one["passed"])["failures"][0]
    written = (tmp_path / Path(failure["file"]).name).read_text().splitlines()[failure["line"] - 1]
    assert written[failure["column"] - 1 :].startswith("{run: delete-old-artifacts, params: {keep: 7}}")
    assert (
        'run delete-old-artifacts was not started with {"keep":7}: it was started at ' in failure["message"]
    )
    main(["test", str(tmp_path)])
    said = capsys.readouterr().out
    assert "FAIL  artifacts-are-next (rule disk-full)" in said
    assert "never false: where: data.check == 'room'" in said


def test_specs_that_are_not_valid_are_not_tested(tmp_path, capsys):
    (tmp_path / "a.yaml").write_text("apiVersion: olympus/v1\nkind: Rule\nmetadata: {name: r}\nspec: {}\n")
    assert main(["test", str(tmp_path)]) == 2
    assert "a.yaml:4:7: " in capsys.readouterr().err


def test_a_given_is_an_event_or_answers(tmp_path, capsys):
    text = (EXAMPLES / "disk-full" / "tests.yaml").read_text()
    (tmp_path / "a.yaml").write_text(text.replace("{at: 2s, event:", "{at: 2s, answers: {other: 1}, event:"))
    main(["test", str(tmp_path)])
    assert "has event and answers: exactly one of event, answers is allowed" in capsys.readouterr().err
