"""Folders of specs: what is read, what is refused, what `.olympusignore` means."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from olympus.kernel.errors import Invalid
from olympus.spec.loader import MAX_BYTES
from olympus.spec.tree import DirectoryTree, Ignored, spec_files


def put(root: Path, *names: str, content: str = "") -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)


def test_yaml_files_at_any_depth_are_specs_and_others_are_kept_for_them(tmp_path):
    put(tmp_path, "b.yaml", "a/c.yml", "a/b/d.yaml", "files/shop.toml", ".git/config.yaml")
    tree = DirectoryTree(tmp_path)
    assert spec_files(tree) == ["a/b/d.yaml", "a/c.yml", "b.yaml"]
    assert set(tree.files) == {"a/b/d.yaml", "a/c.yml", "b.yaml", "files/shop.toml"}
    assert tree.problems == ()


def test_a_single_file_is_a_tree(tmp_path):
    put(tmp_path, "a.yaml", "b.yaml", content="x: 1")
    tree = DirectoryTree(tmp_path / "a.yaml")
    assert spec_files(tree) == ["a.yaml"]
    assert tree.read("a.yaml") == b"x: 1"


def test_what_is_not_there_is_said(tmp_path):
    with pytest.raises(Invalid, match="no such file or folder"):
        DirectoryTree(tmp_path / "nothing")


@pytest.mark.parametrize("target", ["/etc/shadow", "../outside.yaml", "b.yaml", "gone.yaml", "/etc"])
def test_symbolic_links_are_refused_and_never_read(tmp_path, target):
    root = tmp_path / "specs"
    put(tmp_path, "outside.yaml", "specs/b.yaml")
    (root / "a.yaml").symlink_to(target)
    tree = DirectoryTree(root)
    assert spec_files(tree) == ["b.yaml"]
    assert [str(one) for one in tree.problems] == [
        "a.yaml: symbolic links are not followed: put the file itself here"
    ]


def test_a_linked_folder_is_not_entered(tmp_path):
    put(tmp_path, "outside/a.yaml")
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "linked").symlink_to(tmp_path / "outside")
    tree = DirectoryTree(tmp_path / "specs")
    assert not tree.files
    assert len(tree.problems) == 1


def test_a_file_that_becomes_a_link_is_not_followed(tmp_path):
    put(tmp_path, "a.yaml", "secret", content="x")
    tree = DirectoryTree(tmp_path)
    (tmp_path / "a.yaml").unlink()
    (tmp_path / "a.yaml").symlink_to("secret")
    with pytest.raises(Invalid, match=r"a\.yaml"):
        tree.read("a.yaml")


def test_a_pipe_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "a.yaml")
    assert not DirectoryTree(tmp_path).files


def test_a_file_too_large_is_refused_unread(tmp_path):
    with (tmp_path / "a.yaml").open("wb") as file:
        file.truncate(100 * 1024 * 1024)
    tree = DirectoryTree(tmp_path)
    assert not tree.files
    assert f"a.yaml: 104857600 bytes are too many: the limit is {MAX_BYTES}" in map(str, tree.problems)


def test_a_digest_changes_with_the_file(tmp_path):
    put(tmp_path, "a.yaml", content="x")
    before = DirectoryTree(tmp_path).files["a.yaml"]
    assert DirectoryTree(tmp_path).files["a.yaml"] == before
    put(tmp_path, "a.yaml", content="xy")
    assert DirectoryTree(tmp_path).files["a.yaml"] != before


@pytest.mark.parametrize(
    ("pattern", "ignored", "kept"),
    [
        ("drafts/", ["drafts/a.yaml", "x/drafts/a.yaml"], ["drafts.yaml", "drafts"]),
        ("*.tmp.yaml", ["a.tmp.yaml", "x/b.tmp.yaml"], ["a.yaml"]),
        ("/a.yaml", ["a.yaml"], ["x/a.yaml"]),
        ("x/*.yaml", ["x/a.yaml"], ["x/y/a.yaml", "z/x/a.yaml"]),
        ("x/**/a.yaml", ["x/a.yaml", "x/y/z/a.yaml"], ["x/b.yaml"]),
        ("a?.yaml", ["ab.yaml"], ["a.yaml", "a/.yaml"]),
        ("*.yaml\n!keep.yaml", ["a.yaml"], ["keep.yaml", "x/keep.yaml"]),
        ("# a.yaml\n\n", [], ["a.yaml", "# a.yaml"]),
        ("a.b", ["a.b", "a.b/c.yaml"], ["axb"]),
        ("(", ["("], ["a"]),
    ],
)
def test_ignore_patterns_are_those_of_git(pattern, ignored, kept):
    rules = Ignored(pattern.encode())
    assert [name for name in ignored if name not in rules] == []
    assert [name for name in kept if name in rules] == []


def test_what_is_ignored_is_no_problem_either(tmp_path):
    put(tmp_path, ".olympusignore", content=".venv/\n")
    put(tmp_path, ".venv/a.yaml", "b.yaml")
    (tmp_path / ".venv" / "python").symlink_to("/usr/bin/python3")
    tree = DirectoryTree(tmp_path)
    assert spec_files(tree) == ["b.yaml"]
    assert tree.problems == ()


def test_names_that_are_no_text_are_refused_and_can_be_printed(tmp_path):
    (tmp_path / os.fsdecode(b"a\xff.yaml")).touch()
    (tmp_path / "b\n.yaml").touch()
    put(tmp_path, ".olympusignore", content="x\n" + "*" * 100_000)
    tree = DirectoryTree(tmp_path)
    assert set(tree.files) == {".olympusignore"}
    assert len(tree.problems) == 2
    assert all(str(one).encode() for one in tree.problems)
