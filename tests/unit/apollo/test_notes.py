"""Notes on real git: what becomes of saves, pushes and renames, and that nothing accepted is lost."""

from __future__ import annotations

import asyncio
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from olympus.apollo.notes.model import Condition, Diverged, NeedsMatch, Stale, Why
from olympus.apollo.notes.notes import Notes
from olympus.apollo.notes.paths import note_path
from olympus.apollo.notes.repository import NotesRepository
from olympus.apollo.notes.service import Knowledge
from olympus.kernel.errors import Conflict, Invalid, NotFound
from olympus.testing.clock import VirtualClock

ANN, BEN = Why("ann"), Why("ben")
FRESH = Condition()


def seen(*revisions: str) -> Condition:
    return Condition(revisions)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    NotesRepository.open_or_create(tmp_path / "notes.git")
    return tmp_path


@pytest.fixture
def notes(folder: Path):
    made = opened(folder)
    yield made
    made.close()


def opened(folder: Path, index: str = "index.db") -> Notes:
    return Notes(
        NotesRepository(folder / "notes.git"), folder / index, VirtualClock(datetime(2026, 1, 1, tzinfo=UTC))
    )


class Clone:
    """Somebody who pushes to the repository's path."""

    def __init__(self, folder: Path, name: str = "clone") -> None:
        self.path = folder / name
        subprocess.run(
            ["git", "clone", "-q", folder / "notes.git", self.path], check=True, capture_output=True
        )

    def git(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        who = ("-c", "user.name=Cleo", "-c", "user.email=cleo@example.org", "-c", "pull.rebase=false")
        return subprocess.run(
            ["git", *who, *arguments], cwd=self.path, check=check, capture_output=True, text=True
        )

    def push(self, files: dict[str, str], message: str = "pushed") -> str:
        for name, text in files.items():
            (self.path / name).parent.mkdir(parents=True, exist_ok=True)
            (self.path / name).write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)
        self.git("push", "-q", "origin", "HEAD:main")
        return self.git("rev-parse", "HEAD").stdout.strip()


def test_a_note_is_a_commit_with_its_author_and_a_clone_has_it(folder, notes):
    saved = notes.save("incidents/today", "# Today\n\nAll is well.\n", FRESH, Why("ann", "Begin"))
    assert saved.created
    clone = Clone(folder)
    assert (clone.path / "incidents/today.md").read_text() == "# Today\n\nAll is well.\n"
    assert clone.git("log", "--format=%H %an %s").stdout.strip() == f"{saved.note.revision} ann Begin"
    assert saved.note.title == "Today"


def test_who_does_not_say_what_they_saw_overwrites_nobody(notes):
    first = notes.save("a", "one\n", FRESH, ANN).note
    with pytest.raises(NeedsMatch):
        notes.save("a", "two\n", FRESH, BEN)
    with pytest.raises(Stale):
        notes.save("a", "two\n", Condition(absent=True), BEN)
    with pytest.raises(Stale):
        notes.save("a", "two\n", seen("0" * 40), BEN)
    assert notes.get("a") == first
    assert notes.save("a", "two\n", seen(first.revision), BEN).note.author == "ben"
    with pytest.raises(Stale):
        notes.save("b", "x\n", seen(first.revision), BEN)


def test_two_who_change_different_lines_are_merged_and_same_lines_are_shown_to_both(notes):
    first = notes.save("a", "1\n2\n3\n4\n5\n", FRESH, ANN).note
    notes.save("a", "1!\n2\n3\n4\n5\n", seen(first.revision), ANN)
    merged = notes.save("a", "1\n2\n3\n4\n5!\n", seen(first.revision), BEN)
    assert merged.merged
    assert merged.note.markdown == "1!\n2\n3\n4\n5!\n"
    with pytest.raises(Diverged) as diverged:
        notes.save("a", "1?\n2\n3\n4\n5\n", seen(first.revision), BEN)
    found = diverged.value
    assert (found.base, found.theirs, found.yours) == (
        first.markdown,
        merged.note.markdown,
        "1?\n2\n3\n4\n5\n",
    )
    assert found.revision == merged.note.revision
    assert notes.get("a").markdown == "1!\n2\n3\n4\n5!\n"


def test_an_edit_of_what_was_deleted_meanwhile_is_shown_and_what_was_deleted_comes_back(notes):
    first = notes.save("a", "one\n", FRESH, ANN).note
    notes.delete("a", seen(first.revision), BEN)
    with pytest.raises(NotFound, match="ben deleted it"):
        notes.get("a")
    with pytest.raises(Diverged) as diverged:
        notes.save("a", "two\n", seen(first.revision), ANN)
    assert (diverged.value.base, diverged.value.theirs) == ("one\n", None)
    assert [one.path for one in notes.gone()] == ["a"]
    assert notes.restore("a", None, FRESH, ANN).markdown == "one\n"
    assert notes.gone() == []
    assert [one.kind for one in notes.history("a", skip=0, limit=9)] == ["created", "deleted", "created"]


def test_a_renamed_note_is_found_under_its_old_path_with_its_history_and_edits_follow_it(notes):
    first = notes.save("a", "1\n2\n3\n", FRESH, ANN).note
    notes.save("other", "see [[a]] and [[nowhere]]\n", FRESH, ANN)
    moved = notes.rename("a", "team/b", seen(first.revision), BEN)
    assert notes.get("a") == moved
    assert notes.links("other")[0] == [("a", "team/b"), ("nowhere", None)]
    assert notes.links("team/b")[1] == ["other"]
    assert notes.broken() == {"other": ["nowhere"]}
    assert notes.save("a", "1\n2\n3!\n", seen(first.revision), ANN).note.path == "team/b"
    assert [one.kind for one in notes.history("team/b", skip=0, limit=9)] == ["edited", "renamed", "created"]
    with pytest.raises(Conflict):
        notes.rename("team/b", "other", FRESH, BEN)
    assert notes.save("a", "anew\n", FRESH, ANN).created
    assert notes.get("a").markdown == "anew\n"
    again = notes.rename("team/b", "c", FRESH, BEN)
    assert notes.get("team/b") == again


def test_pushes_are_seen_and_history_can_not_be_taken_away(folder, notes):
    mine = notes.save("a", "1\n2\n3\n", FRESH, ANN).note
    clone = Clone(folder)
    pushed = clone.push({"a.md": "1\n2\n3!\n", "b.md": "b\n"})
    found = notes.get("a")
    assert (found.revision, found.author, found.markdown) == (pushed, "Cleo", "1\n2\n3!\n")
    assert notes.save("a", "1!\n2\n3\n", seen(mine.revision), ANN).note.markdown == "1!\n2\n3!\n"
    clone.git("commit", "-q", "--allow-empty", "-m", "x")
    assert clone.git("push", "origin", "HEAD:main", check=False).returncode != 0
    assert clone.git("push", "--force", "origin", "HEAD:main", check=False).returncode != 0
    assert clone.git("push", "origin", ":main", check=False).returncode != 0
    clone.git("pull", "-q", "origin", "main")
    clone.git("push", "-q", "origin", "HEAD:main")
    assert notes.get("a").markdown == "1!\n2\n3!\n"


def test_the_index_is_made_anew_from_git_as_it_was(folder, notes):
    notes.save("a", "---\ntags: [x]\nreview: 2026-12-24\n---\n# A\n[[b]]\n", FRESH, ANN)
    clone = Clone(folder)
    clone.push({"b.md": "# B\n", "c.md": "# C\n"})
    clone.git("mv", "c.md", "d.md")
    clone.push({"b.md": "# B!\n"})
    notes.rename("b", "e", FRESH, BEN)
    (folder / "torn.db").write_bytes(b"no database" * 99)
    for index in ("fresh.db", "torn.db"):
        fresh = opened(folder, index)
        assert fresh.all() == notes.all()
        assert [fresh.get(one.path) for one in fresh.all()] == [notes.get(one.path) for one in notes.all()]
        assert fresh.get("c").path == "d"
        assert fresh.links("a") == notes.links("a") == ([("b", "e")], [])
        fresh.close()


@pytest.mark.parametrize(
    "path",
    [
        "../x", "a/../../x", "/etc/passwd", ".git/config", "a/.git/hooks/x", "GIT~1/x", "a//b", "a/", "", ".",
        "a\0b", "a\nb", "a\x1b[2Jb", "a\u202eb", "a\\b", "x" * 600, "/".join("abcdefghijklmnopqrst"), "a/history",
        "a.lock", " a", "a\ud800",
    ],
)  # fmt: skip
def test_paths_that_lead_elsewhere_are_refused(path):
    with pytest.raises(Invalid):
        note_path(path)


def test_paths_are_composed_and_lose_their_suffix():
    assert note_path("cafe\u0301/menü.md") == "caf\u00e9/menü"


def test_links_and_odd_names_that_somebody_pushes_are_no_notes_and_nothing_is_written_through_them(
    folder, notes
):
    clone = Clone(folder)
    (clone.path / "shadow.md").symlink_to("/etc/passwd")
    (clone.path / "out").symlink_to(folder)
    (clone.path / "a.md").write_bytes(b"\xff\xfe")
    (clone.path / "big.md").write_bytes(b"x" * (2 * 1024 * 1024))
    clone.push({"fine.md": "fine\n", "back\\slash.md": "x\n", "folder.md/x.md": "x\n"})
    assert [one.path for one in notes.all()] == ["fine", "folder.md/x"]
    for path in ("shadow", "out/x", "folder"):
        with pytest.raises(Invalid):
            notes.save(path, "mine\n", FRESH, ANN)
    with pytest.raises(NotFound):
        notes.attachment("shadow.md")
    assert not (folder / "x.md").exists()
    subprocess.run(["git", "-C", folder / "notes.git", "fsck", "--strict"], check=True, capture_output=True)


@pytest.mark.parametrize(
    "text", ["a\0b", "x" * (1024 * 1024 + 1), "\ud800", "---\ntags: {a: b}\n---\n", "---\n[\n---\n"]
)
def test_what_is_no_note_is_refused_and_nothing_is_saved(notes, text):
    with pytest.raises(Invalid):
        notes.save("a", text, FRESH, ANN)
    assert notes.all() == []


def test_what_is_wrong_in_a_head_has_its_line(notes):
    with pytest.raises(Invalid, match=r"^the note's head can't be read: a:3:\d+: "):
        notes.save("a", "---\ntitle: x\ntitle: y\n---\n", FRESH, ANN)


def test_an_author_can_not_forge_a_commit(folder, notes):
    notes.save(
        "a",
        "x\n",
        FRESH,
        Why("eve <x@y> 1 +0000\ncommitter root <r@r> 2 +0000", "hello\n\nfrom 0000\ndata 3\nM"),
    )
    said = subprocess.run(
        ["git", "-C", folder / "notes.git", "log", "--format=%an|%cn|%s"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    author, committer, subject = said.strip().split("|")
    assert author == committer != "root"
    assert subject == "hello"


def test_a_line_is_added_once_for_each_mark(notes):
    for mark in ("run1/a", "run1/a", "run2/a"):
        notes.append("log", "a line", ("Olympus-Step", mark), Why("pipeline x"))
    assert notes.get("log").markdown == "a line\na line\n"
    assert notes.append("log", "b", ("Olympus-Step", "run1"), ANN).markdown == "a line\na line\nb\n"


@pytest.mark.slow
async def test_fifty_editors_and_pushes_at_once_lose_nothing(folder):
    """All edit one note, each a line of its own, from what they saw at the start; others push meanwhile."""
    knowledge = Knowledge(folder, VirtualClock())
    text = "".join(f"{n}\n\n\n" for n in range(50))
    first = (await knowledge.change(lambda notes: notes.save("shared", text, FRESH, ANN))).note

    async def edit(number: int) -> None:
        mine = (
            first.markdown.replace(f"\n{number}\n", f"\n{number} edited\n")
            if number
            else "0 edited" + first.markdown[1:]
        )
        why = Why(f"editor {number}")
        await knowledge.change(lambda notes: notes.save("shared", mine, seen(first.revision), why))
        await knowledge.change(lambda notes: notes.save(f"own/{number}", f"{number}\n", FRESH, why))

    def push(number: int) -> None:
        clone = Clone(folder, f"clone{number}")
        (clone.path / f"pushed{number}.md").write_text(f"{number}\n")
        clone.git("add", "-A")
        clone.git("commit", "-q", "-m", "pushed")
        while clone.git("push", "-q", "origin", "HEAD:main", check=False).returncode != 0:
            clone.git("pull", "-q", "--no-edit", "origin", "main")

    pushes = [asyncio.to_thread(push, number) for number in range(4)]
    await asyncio.gather(*pushes, *(edit(number) for number in range(50)))
    shared = await knowledge.ask(lambda notes: notes.get("shared"))
    assert shared.markdown.split("\n\n\n")[:50] == [f"{n} edited" for n in range(50)]
    names = {one.path for one in await knowledge.ask(lambda notes: notes.all())}
    assert names == {"shared"} | {f"own/{n}" for n in range(50)} | {f"pushed{n}" for n in range(4)}
    history = await knowledge.ask(lambda notes: notes.history("shared", skip=0, limit=99))
    assert {one.author for one in history} >= {f"editor {n}" for n in range(50)}
    await knowledge.close()
