"""Notes in the whole program: by HTTP, by push to the path and over HTTP, each change told once, also over kill -9."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from olympus.testing.cluster import eventually

CHANGED = "type=olympus.apollo.note-changed&order=asc&limit=1000"


def git(*words: object, cwd: Path) -> str:
    who = ("-c", "user.name=Cleo", "-c", "user.email=cleo@example.org")
    done = subprocess.run(
        ["git", *who, *map(str, words)], cwd=cwd, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


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
    assert second.ask("PUT", "/api/v1/notes/a", {"markdown": "# A\n"}).status == 201
    assert first.get("/api/v1/notes/a") == second.get("/api/v1/notes/a")
    eventually(lambda: [one[:2] for one in told(second)] == [("a", "created")], what="told")
    first.kill()
    down = second.ask("GET", "/api/v1/notes/a")
    assert (down.status, "n1" in down.json["detail"]) == (503, True)
    first.start()
    eventually(lambda: second.ask("GET", "/api/v1/notes/a").status == 200, what="it is back")
