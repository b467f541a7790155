"""Notes over HTTP, as the contract has them; and that each change is told once."""

from __future__ import annotations

import asyncio

import orjson
import pytest

from olympus.apollo.notes.model import Condition, Why
from olympus.apollo.notes.service import Knowledge
from olympus.apollo.notes.telling import Telling
from olympus.spec.event_data import NOTE_CHANGED, NoteChanged
from tests.unit.apollo.test_notes import Clone

BASE = "/api/v1/notes"


async def asked(here, method, path, body=None, *, role="operator", match=None, headers=None):
    given = dict(headers or {})
    if match is not None:
        given["If-Match"] = match
    data = orjson.dumps(body) if body is not None else b""
    answer = await here.ask(method, BASE + path, role=role, data=data, headers=given)
    raw = await answer.get_data()
    return answer, orjson.loads(raw) if raw else None


async def test_a_note_is_written_read_changed_and_deleted_as_the_contract_says(here):
    answer, body = await asked(
        here, "PUT", "/incidents/today", {"markdown": "# Today\n\nWell.\n", "message": "m"}
    )
    assert answer.status_code == 201
    etag = answer.headers["ETag"]
    assert {name: body[name] for name in ("path", "title", "tags", "markdown", "author", "merged")} == {
        "path": "incidents/today", "title": "Today", "tags": [], "markdown": "# Today\n\nWell.\n", "author": "operator",
        "merged": False,
    }  # fmt: skip
    answer, body = await asked(here, "GET", "/incidents/today", role="viewer")
    assert (answer.status_code, answer.headers["ETag"]) == (200, etag)
    assert "<p>Well.</p>" in body["html"]
    assert body["updatedAt"].endswith("Z")
    assert etag == f'"{body["revision"]}"'
    again, _ = await asked(here, "GET", "/incidents/today", headers={"If-None-Match": etag})
    assert again.status_code == 304
    answer, problem = await asked(here, "PUT", "/incidents/today", {"markdown": "x"})
    assert (answer.status_code, answer.mimetype) == (428, "application/problem+json")
    assert "If-Match" in problem["detail"]
    answer, body = await asked(here, "PUT", "/incidents/today", {"markdown": "# Today\n\nBad.\n"}, match=etag)
    assert (answer.status_code, body["merged"]) == (200, False)
    answer, problem = await asked(
        here, "PUT", "/incidents/today", {"markdown": "# Today\n\nUgly.\n"}, match=etag
    )
    assert answer.status_code == 409
    assert [problem[name] for name in ("base", "theirs", "yours")] == [
        "# Today\n\nWell.\n", "# Today\n\nBad.\n", "# Today\n\nUgly.\n",
    ]  # fmt: skip
    answer, body = await asked(here, "PUT", "/incidents/today", {"markdown": "# Now\n\nWell.\n"}, match=etag)
    assert answer.status_code in (200, 409)
    _, body = await asked(here, "GET", "/incidents/today/history", role="viewer")
    assert [one["message"] for one in body["items"]][-1] == "m"
    _, body = await asked(here, "GET", "", role="viewer")
    assert [one["path"] for one in body["items"]] == ["incidents/today"]
    answer, _ = await asked(here, "DELETE", "/incidents/today", match='"' + "0" * 40 + '"')
    assert answer.status_code == 412
    answer, _ = await asked(here, "DELETE", "/incidents/today")
    assert answer.status_code == 204
    answer, _ = await asked(here, "GET", "/incidents/today")
    assert answer.status_code == 404
    _, body = await asked(here, "GET", "?deleted", role="viewer")
    assert [one["path"] for one in body["items"]] == ["incidents/today"]
    answer, body = await asked(here, "POST", "/incidents/today/restore", {})
    assert answer.status_code == 200
    assert "Bad." in body["markdown"]


async def test_a_stale_edit_of_other_lines_is_merged(here):
    answer, _ = await asked(here, "PUT", "/a", {"markdown": "1\n2\n3\n4\n5\n"})
    etag = answer.headers["ETag"]
    await asked(here, "PUT", "/a", {"markdown": "1!\n2\n3\n4\n5\n"}, match=etag)
    answer, body = await asked(here, "PUT", "/a", {"markdown": "1\n2\n3\n4\n5!\n"}, match=etag)
    assert (answer.status_code, body["merged"], body["markdown"]) == (200, True, "1!\n2\n3\n4\n5!\n")
    answer, body = await asked(here, "GET", f"/a/diff?from={etag[1:-1]}", role="viewer")
    assert body["diff"].count("\n+") == 2
    answer, body = await asked(here, "GET", f"/a?revision={etag[1:-1]}", role="viewer")
    assert body["markdown"] == "1\n2\n3\n4\n5\n"


async def test_a_renamed_note_is_elsewhere_and_links_say_where_they_lead(here):
    await asked(here, "PUT", "/a", {"markdown": "# A\n"})
    await asked(here, "PUT", "/b", {"markdown": "[[a]] [[gone]]\n"})
    answer, body = await asked(here, "POST", "/a/rename", {"to": "team/a b"})
    assert (answer.status_code, body["path"], body["backlinks"]) == (200, "team/a b", ["b"])
    answer, _ = await asked(here, "GET", "/a", role="viewer")
    assert (answer.status_code, answer.headers["Location"]) == (308, "/api/v1/notes/team/a%20b")
    _, body = await asked(here, "GET", "/b", role="viewer")
    assert body["links"] == [{"target": "a", "path": "team/a b"}, {"target": "gone", "path": None}]
    _, body = await asked(here, "GET", "?broken", role="viewer")
    assert [(one["path"], one["broken"]) for one in body["items"]] == [("b", ["gone"])]


@pytest.mark.parametrize(
    "path",
    [
        "/..%2f..%2fetc%2fpasswd",
        "/.git/config",
        "/a%00b",
        "/a%0ab",
        "/%1b[2J",
        "/%e2%80%aeb",
        "/a%5cb",
        "/" + "x" * 600,
    ],
)
async def test_paths_that_lead_elsewhere_are_refused(here, path):
    for method, body in (("GET", None), ("PUT", {"markdown": "x"}), ("DELETE", None)):
        answer, _ = await asked(here, method, path, body)
        assert answer.status_code in (404, 422), (method, path)
    _, body = await asked(here, "GET", "")
    assert body["items"] == []


async def test_what_is_no_note_or_too_large_is_refused(here):
    for body in (
        {},
        {"markdown": 1},
        {"markdown": "a\0b"},
        {"markdown": "x" * (1024 * 1024 + 1)},
        {"markdown": "", "message": 1},
    ):
        answer, _ = await asked(here, "PUT", "/a", body)
        assert answer.status_code == 422
    answer = await here.ask("PUT", f"{BASE}/a", role="operator", data=b"x" * (3 * 1024 * 1024))
    assert answer.status_code == 413


async def test_attachments_are_pictures_or_downloads_and_nothing_runs(here):
    for name, content, kind, shown in (
        ("pics/a.png", b"\x89PNG", "image/png", "inline"),
        ("pics/a.svg", b"<svg onload=alert(1)>", "application/octet-stream", "attachment"),
        ("pics/a.html", b"<script>", "application/octet-stream", "attachment"),
    ):
        answer = await here.ask("PUT", f"/api/v1/note-files/{name}", role="operator", data=content)
        assert answer.status_code == 201
        answer = await here.ask("GET", f"/api/v1/note-files/{name}", role="viewer")
        assert (await answer.get_data(), answer.mimetype) == (content, kind)
        assert answer.headers["Content-Disposition"].startswith(shown)
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    answer = await here.ask("PUT", "/api/v1/note-files/a.md", role="operator", data=b"x")
    assert answer.status_code == 422


async def test_who_is_restricted_to_a_folder_sees_and_changes_what_is_in_it(here):
    for path in ("/team/shop/a", "/team/bank/a", "/b"):
        await asked(here, "PUT", path, {"markdown": "see [[team/shop/a]]\n"})
    await here.declare(
        ("Access", "shop", {"users": ["viewer", "operator"], "role": "operator", "notes": ["team/shop"]})
    )
    _, body = await asked(here, "GET", "", role="viewer")
    assert [one["path"] for one in body["items"]] == ["team/shop/a"]
    _, body = await asked(here, "GET", "/team/shop/a", role="viewer")
    assert body["backlinks"] == ["team/shop/a"]
    for method, path, given, status in (
        ("GET", "/team/bank/a", None, 404),
        ("GET", "/team/bank/a/history", None, 404),
        ("PUT", "/team/bank/new", {"markdown": "x"}, 404),
        ("POST", "/team/shop/a/rename", {"to": "b2"}, 404),
        ("PUT", "/team/shop/new", {"markdown": "x"}, 201),
    ):
        answer, _ = await asked(here, method, path, given)
        assert answer.status_code == status, (method, path)
    answer, _ = await asked(here, "PUT", "/team/shop/new2", {"markdown": "x"}, role="viewer")
    assert answer.status_code == 403


async def changes(here):
    events, _ = await here.bus.history(types=[NOTE_CHANGED], newest_first=False, limit=1000)
    return [(one.data["path"], one.data["change"], one.data["actor"]) for one in events]


async def test_each_change_is_told_once_in_order_also_of_pushes_and_over_restarts(here, tmp_path):
    notes = here.around.notes
    telling = Telling(notes, here.kv, here.bus, here.around.clock)
    await telling.tell()
    assert await changes(here) == []
    for text in ("one\n", "two\n"):
        await notes.change(
            lambda found, text=text: found.save(
                "a", text, Condition(("*",)) if text == "two\n" else Condition(), Why("ann")
            )
        )
    await telling.tell()
    await telling.tell()
    clone = await asyncio.to_thread(Clone, tmp_path)
    await asyncio.to_thread(clone.push, {"a.md": "three\n", "b.md": "b\n"})
    await asyncio.to_thread(clone.git, "mv", "b.md", "c.md")
    await asyncio.to_thread(clone.push, {"picture.png": "no note"})
    # Another program begins where the one before ended.
    await Telling(Knowledge(tmp_path, here.around.clock), here.kv, here.bus, here.around.clock).tell()
    await telling.tell()
    assert await changes(here) == [
        ("a", "created", "ann"), ("a", "edited", "ann"), ("a", "edited", "Cleo"), ("b", "created", "Cleo"),
        ("c", "renamed", "Cleo"),
    ]  # fmt: skip
    events, _ = await here.bus.history(types=[NOTE_CHANGED], newest_first=False)
    assert events[1].data["diff"] == "@@ -1 +1 @@\n-one\n+two\n"
    assert events[4].data["was"] == "b"
    assert all(NoteChanged.model_validate(one.data) for one in events)


async def test_a_large_push_is_told_in_parts_and_a_merge_tells_only_what_it_changed_itself(here, tmp_path):
    notes = here.around.notes
    telling = Telling(notes, here.kv, here.bus, here.around.clock)
    await telling.tell()
    clone = await asyncio.to_thread(Clone, tmp_path)
    await asyncio.to_thread(clone.push, {f"n{number:03}.md": f"{number}\n" for number in range(100)})
    await telling.tell()
    assert [path for path, _, _ in await changes(here)] == [f"n{number:03}" for number in range(100)]
    await notes.change(lambda found: found.save("n001", "mine\n", Condition(("*",)), Why("ann")))
    (clone.path / "n002.md").write_text("theirs\n")
    (clone.path / "n001.md").write_text("theirs\n")
    for words in (
        ["commit", "-qam", "edit"],
        ["pull", "-q", "--no-edit", "-s", "ours", "origin", "main"],
        ["push", "-q", "origin", "HEAD:main"],
    ):
        await asyncio.to_thread(clone.git, *words)
    await telling.tell()
    told = (await changes(here))[100:]
    assert set(told) == {("n001", "edited", "Cleo"), ("n001", "edited", "ann"), ("n002", "edited", "Cleo")}
    # ann's was lost in the merge: what is told last is what main has.
    assert [who for path, _, who in told if path == "n001"][-1] == "Cleo"
    assert (await notes.ask(lambda found: found.get("n001"))).markdown == "theirs\n"


async def test_a_text_is_added_once_for_each_idempotency_key(here):
    for key in ("run-1", "run-1", "run-2"):
        answer, body = await asked(
            here, "POST", "/log/today/append", {"text": f"by {key}"}, headers={"Idempotency-Key": key}
        )
        assert answer.status_code == 200
    assert body["markdown"] == "by run-1\nby run-2\n"
    for _ in range(2):
        _, body = await asked(here, "POST", "/log/today/append", {"text": "again"})
    assert body["markdown"].endswith("again\nagain\n")
    answer, _ = await asked(here, "POST", "/a/append", {"text": "x"}, headers={"Idempotency-Key": "a b"})
    assert answer.status_code == 400
