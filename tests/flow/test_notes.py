"""Notes in the whole program: by HTTP, by push to the path and over HTTP, each change told once, also over kill -9."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from olympus.testing.cluster import eventually
from tests.flow.support import cli, example

CHANGED = "type=olympus.apollo.note-changed&order=asc&limit=1000"


def git(*words: object, cwd: Path, check: bool = True) -> str | None:
    """What it printed; None where it failed."""
    who = ("-c", "user.name=Cleo", "-c", "user.email=cleo@example.org")
    done = subprocess.run(
        ["git", *who, *map(str, words)], cwd=cwd, capture_output=True, text=True, check=check
    )
    return done.stdout.strip() if done.returncode == 0 else None


def told(olympus) -> list[tuple[str, str, str]]:
    return [
        (one["data"]["path"], one["data"]["change"], one["data"]["actor"]) for one in olympus.events(CHANGED)
    ]


def test_changes_by_every_way_are_told_once_also_while_olympus_was_killed(olympus, tmp_path):
    made = olympus.ask("PUT", "/api/v1/notes/runbooks/web", {"markdown": "# Web\n"})
    assert made.status == 201
    path = tmp_path / "by-path"
    git("clone", "-q", olympus.state / "notes.git", path, cwd=tmp_path)
    (path / "a.md").write_text("# A\n")
    git("add", ".", cwd=path)
    git("commit", "-qm", "a", cwd=path)
    git("push", "-q", "origin", "HEAD:main", cwd=path)
    expected = [("runbooks/web", "created", made.json["author"]), ("a", "created", "Cleo")]
    eventually(lambda: len(told(olympus)) == 2, what="both told")
    assert told(olympus) == expected
    client = json.loads((olympus.state / "client.json").read_text())
    url = client["server"].replace("://", f"://any:{client['token']}@") + "/git/notes.git"
    web = tmp_path / "by-http"
    git("clone", "-q", url, web, cwd=tmp_path)
    (web / "a.md").write_text("# A, by HTTP\n")
    git("commit", "-qam", "b", cwd=web)
    git("push", "-q", "origin", "HEAD:main", cwd=web)
    assert olympus.get("/api/v1/notes/a")["markdown"] == "# A, by HTTP\n"
    eventually(lambda: len(told(olympus)) == 3, what="the third")
    olympus.kill()
    git("pull", "-q", cwd=path)
    (path / "a.md").unlink()
    git("commit", "-qam", "c", cwd=path)
    git("push", "-q", "origin", "HEAD:main", cwd=path)
    olympus.start()
    eventually(lambda: len(told(olympus)) == 4, what="the fourth")
    assert told(olympus)[2:] == [("a", "edited", "Cleo"), ("a", "deleted", "Cleo")]
    assert olympus.ask("GET", "/api/v1/notes/a").status == 404


@pytest.mark.consul
def test_every_controller_answers_for_the_notes_that_one_has(make_olympus, fresh_consul_agent, tmp_path):
    hermes = f"consul://{fresh_consul_agent.address}"
    first = make_olympus("first", node="n1", hermes=hermes)
    first.start()
    second = make_olympus("second", node="n2", hermes=hermes)
    second.start()
    assert not (second.state / "notes.git").exists()
    first.push({"specs.yaml": NOTING})
    assert second.ask("PUT", "/api/v1/notes/a", {"markdown": "# A\n"}).status == 201
    assert first.get("/api/v1/notes/a") == second.get("/api/v1/notes/a")
    eventually(lambda: [one[:2] for one in told(second)] == [("a", "created")], what="told")
    first.kill()
    down = second.ask("GET", "/api/v1/notes/a")
    assert (down.status, "n1" in down.json["detail"]) == (503, True)
    first.start()
    eventually(lambda: second.ask("GET", "/api/v1/notes/a").status == 200, what="it is back")
    # The second one leads by now.
    assert second.run("log", {"text": "elsewhere"})["state"] == "succeeded"
    assert second.get("/api/v1/notes/incidents/today")["author"] == "pipeline log"


def test_document_changed(olympus, folder, tmp_path):
    """examples/document-changed, as its README says."""
    folder.chmod(0o777)
    files = {
        name: text.replace("/tmp/olympus-news", str(folder))
        for name, text in example("document-changed").items()
    }
    olympus.push(files)
    clone = tmp_path / "notes"
    git("clone", "-q", olympus.state / "notes.git", clone, cwd=tmp_path)

    def push(text: str) -> None:
        (clone / "runbooks").mkdir(exist_ok=True)
        (clone / "runbooks/shop.md").write_text(text)
        git("add", ".", cwd=clone)
        git("commit", "-qm", text, cwd=clone)
        # The pipeline's own note may come in between.
        while git("push", "-q", "origin", "HEAD:main", cwd=clone, check=False) is None:
            git("pull", "-q", "--no-rebase", "--no-edit", "origin", "main", cwd=clone)

    def news(who: str) -> list[str]:
        file = folder / who
        return file.read_text().splitlines() if file.exists() else []

    for number in range(3):
        push(f"# {number}")
        eventually(lambda: len(news("ben")) == number + 1, what=f"news {number}")  # noqa: B023 - asked at once
    said = ["runbooks/shop was created by Cleo", *["runbooks/shop was edited by Cleo"] * 2]
    assert news("ann") == news("ben") == said
    # While nobody listens, and once.
    olympus.kill()
    push("# 3")
    olympus.start()
    eventually(lambda: len(news("ann")) == 4, what="told after the restart")
    olympus.kill()
    olympus.start()
    log = eventually(
        lambda: found if (found := olympus.get("/api/v1/notes/news"))["markdown"].count("\n") == 4 else None,
        what="the news are a note",
    )
    assert news("ann") == news("ben") == [*said, said[-1]]
    assert log["links"] == [{"target": "runbooks/shop", "path": "runbooks/shop"}]
    assert olympus.get("/api/v1/notes/runbooks/shop")["backlinks"] == ["news"]
    way = [
        "note 'runbooks/shop' was edited by Cleo",
        "of pipeline 'tell-subscribers' started",
        "step 'tell' of run",
        "note 'news' was edited by pipeline tell-subscribers",
    ]
    for end in ("runbooks/shop", "news"):
        found = cli(olympus, "explain", "note", end)
        assert [line for line in way if line in found] == way, found
    runs = olympus.get("/api/v1/runs?pipeline=tell-subscribers")["items"]
    assert len(runs) == 4


NOTING = """apiVersion: olympus/v1
kind: Pipeline
metadata: {name: log}
spec:
  params: {type: object, properties: {text: {type: string}}}
  steps:
    - {name: write, note: {path: incidents/today, append: "- ${{ params.text }}"}}
    - {name: state, note: {path: state, write: "# ${{ params.text }}"}}
    - {name: bad, when: "params.text == 'bad'", note: {path: ../x, append: x}}
"""


def test_steps_write_notes_once_and_the_chain_goes_on_from_them(olympus):
    olympus.push({"specs.yaml": NOTING})
    first = olympus.run("log", {"text": "one"})
    assert first["state"] == "succeeded"
    assert first["steps"][0]["output"]["path"] == "incidents/today"
    # Killed while it writes: what is written, is written once.
    runs = [olympus.post("/api/v1/pipelines/log/runs", {"params": {"text": f"n{n}"}})["id"] for n in range(8)]
    olympus.kill()
    olympus.start()
    for run in runs:
        assert olympus.finished(run)["state"] == "succeeded"
    lines = olympus.get("/api/v1/notes/incidents/today")["markdown"].splitlines()
    assert sorted(lines) == sorted(["- one", *(f"- n{n}" for n in range(8))])
    bad = olympus.run("log", {"text": "bad"})
    assert (bad["state"], "'../x'" in bad["steps"][2]["message"]) == ("failed", True)
    event = next(one for one in olympus.events(CHANGED) if one["data"]["path"] == "incidents/today")
    cause = olympus.get(f"/api/v1/events/{event['cause']}")
    assert (cause["type"], cause["data"]["run"]) == ("olympus.hephaestus.run-started", first["id"])
    assert event["depth"] == cause["depth"] + 1
    assert event["data"]["actor"] == "pipeline log"


ASKING = """apiVersion: olympus/v1
kind: Pipeline
metadata: {name: say}
spec:
  params: {type: object, properties: {text: {type: string}}}
  steps: [{name: say, emit: {type: said, data: {text: "${{ params.text }}"}}}]
---
apiVersion: olympus/v1
kind: Rule
metadata: {name: by-the-book}
spec:
  on: {event: broke}
  ask:
    book: {apollo: {note: "runbooks/${{ event.data.what }}"}, timeout: 5s}
    more: {apollo: {search: "restrat ${{ event.data.what }}"}, timeout: 5s}
    none: {apollo: {note: nowhere}, unknown: proceed}
  when: "contains(answers.book.tags, 'automatic') && length(answers.more) > 0"
  solve:
    - {pipeline: say, params: {text: "${{ answers.book.title }}, ${{ answers.more[0].name }}"},
       verify: {absent: {event: broke}, within: 1s}}
"""


def test_rules_ask_notes_and_their_search(olympus):
    olympus.push({"specs.yaml": ASKING})
    text = "---\ntags: [automatic]\n---\n# Restart web\n"
    assert olympus.ask("PUT", "/api/v1/notes/old", {"markdown": text}).status == 201
    assert olympus.ask("POST", "/api/v1/notes/old/rename", {"to": "runbooks/web"}).status == 200
    olympus.post("/api/v1/events", {"type": "broke", "data": {"what": "web"}})
    (said,) = eventually(lambda: olympus.events("type=said"), what="said")
    assert said["data"]["text"] == "Restart web, runbooks/web"
    (incident,) = olympus.get("/api/v1/incidents")["items"]
    assert "html" not in incident["answers"]["book"]
    assert "nowhere" in str(incident["unanswered"])
