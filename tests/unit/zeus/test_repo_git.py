"""The specs repository with real git: reading, restoring, fetching, and what is refused."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from olympus.kernel.errors import NotFound, Refused, RetryLater
from olympus.zeus.repo_git import SpecRepository, check_branch, check_url

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def git(*arguments: str, cwd: Path) -> str:
    done = subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@t", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def seeded(path: Path, **files: str) -> SpecRepository:
    seed = path / "seed"
    seed.mkdir()
    for name, content in files.items():
        (seed / f"{name}.yaml").write_text(content)
    return SpecRepository.open_or_create(path / "state" / "specs.git", seed=seed, author="t", now=NOW)


def contents(repository: SpecRepository, revision: str) -> dict[str, bytes]:
    with repository.tree(revision) as tree:
        return {entry.path: tree.read(entry) for entry in tree.entries if entry.is_file}


def test_a_new_repository_is_empty_or_begins_with_the_seed(tmp_path: Path):
    empty = SpecRepository.open_or_create(tmp_path / "empty.git", seed=None, author="t", now=NOW)
    assert empty.head() is None
    repository = seeded(tmp_path, a="x: 1\r\n")
    head = repository.head()
    assert head is not None
    assert contents(repository, head) == {"a.yaml": b"x: 1\r\n"}


def test_opening_again_changes_nothing(tmp_path: Path):
    repository = seeded(tmp_path, a="x: 1\n")
    again = SpecRepository.open_or_create(repository.path, seed=tmp_path, author="t", now=NOW)
    assert again.head() == repository.head()


def test_attributes_and_filters_are_inert(tmp_path: Path):
    repository = seeded(tmp_path, a="x: 1\n")
    work = tmp_path / "work"
    git("clone", "-q", str(repository.path), str(work), cwd=tmp_path)
    (work / ".gitattributes").write_text("*.yaml filter=evil eol=crlf text\n")
    (work / "a.yaml").write_bytes(b"x: 2\n")
    git("add", ".", cwd=work)
    git("commit", "-qm", "filters", cwd=work)
    git("push", "-q", str(repository.path), "HEAD:refs/heads/other", cwd=work)
    git("config", "filter.evil.smudge", f"touch {tmp_path}/ran", cwd=repository.path)
    assert contents(repository, repository.resolve("other"))["a.yaml"] == b"x: 2\n"
    assert not (tmp_path / "ran").exists()


def test_symlinks_and_submodules_are_seen_as_what_they_are(tmp_path: Path):
    repository = seeded(tmp_path, a="x: 1\n")
    work = tmp_path / "work"
    git("clone", "-q", str(repository.path), str(work), cwd=tmp_path)
    (work / "shadow.yaml").symlink_to("/etc/shadow")
    git("add", ".", cwd=work)
    git(
        "update-index",
        "--add",
        "--cacheinfo",
        f"160000,{git('rev-parse', 'HEAD', cwd=work)},module",
        cwd=work,
    )
    git("commit", "-qm", "links", cwd=work)
    git("push", "-q", str(repository.path), "HEAD:refs/heads/other", cwd=work)
    with repository.tree(repository.resolve("other")) as tree:
        kinds = {entry.path: (entry.is_file, entry.mode) for entry in tree.entries}
    assert kinds == {
        "a.yaml": (True, 0o100644),
        "module": (False, 0o160000),
        "shadow.yaml": (False, 0o120000),
    }


@pytest.mark.parametrize(
    "ref", ["--upload-pack=x", "-x", "$(id)", "main\n", "a..b", "main@{1}", "", "x" * 300, "a b", "`id`"]
)
def test_what_is_no_plain_ref_is_refused(tmp_path: Path, ref: str):
    repository = seeded(tmp_path, a="x: 1\n")
    with pytest.raises(Refused):
        repository.resolve(ref)


def test_refs_resolve(tmp_path: Path):
    repository = seeded(tmp_path, a="x: 1\n")
    head = repository.head()
    assert head is not None
    assert [repository.resolve(ref) for ref in ("main", "HEAD", head, head[:8], "refs/heads/main")] == [
        head
    ] * 5
    with pytest.raises(NotFound):
        repository.resolve("nowhere")


@pytest.mark.parametrize(
    "url",
    [
        "ext::sh -c id",
        "ext::sh",
        "fd::17",
        "--upload-pack=x",
        "https://host/x\n[core]\nfsmonitor=id",
        "https://host/$(id)",
        "https://host/`id`",
        "http://example.org/specs.git",
        "ssh://-oProxyCommand=id/x",
        "git://example.org/x",
        "specs.git",
        "",
        "ftp://example.org/x",
    ],
)
def test_what_is_no_plain_url_is_refused(url: str):
    with pytest.raises(Refused):
        check_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/specs.git",
        "ssh://git@example.org:22/specs.git",
        "git@example.org:team/specs.git",
        "/srv/specs.git",
        "file:///srv/specs.git",
        "http://127.0.0.1:4280/git/specs.git",
    ],
)
def test_usual_urls_are_taken(url: str):
    check_url(url)


@pytest.mark.parametrize("branch", ["--upload-pack=x", "$(id)", "a b", "a..b", "x.lock", "a\nb", ""])
def test_what_is_no_plain_branch_is_refused(branch: str):
    with pytest.raises(Refused):
        check_branch(branch)


def test_a_remote_is_fetched_without_running_its_hooks_or_ours(tmp_path: Path):
    remote = seeded(tmp_path, a="x: 1\n")
    local = SpecRepository.open_or_create(tmp_path / "local.git", seed=None, author="t", now=NOW)
    for repository in (remote, local):
        for hook in ("post-checkout", "reference-transaction", "post-update", "pre-auto-gc"):
            file = repository.path / "hooks" / hook
            file.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
            file.chmod(0o755)
    assert local.fetch(str(remote.path)) == remote.head()
    assert local.head() is None
    assert not (tmp_path / "ran").exists()
    with pytest.raises(RetryLater):
        local.fetch(str(tmp_path / "nowhere.git"))


def test_a_password_in_a_url_is_not_repeated_in_errors(tmp_path: Path):
    local = SpecRepository.open_or_create(tmp_path / "local.git", seed=None, author="t", now=NOW)
    with pytest.raises(RetryLater) as caught:
        local.fetch("https://ada:hunter2@127.0.0.1:1/x.git")
    assert "hunter2" not in str(caught.value)


def test_restoring_adds_a_commit_with_the_old_files(tmp_path: Path):
    repository = seeded(tmp_path, a="x: 1\n")
    first = repository.head()
    assert first is not None
    work = tmp_path / "work"
    git("clone", "-q", str(repository.path), str(work), cwd=tmp_path)
    (work / "a.yaml").write_text("x: 2\n")
    git("commit", "-qam", "two", cwd=work)
    git("push", "-q", "origin", "HEAD:main", cwd=work)
    second = repository.head()
    restored = repository.restore(first, author="ada", message="back", now=NOW)
    assert contents(repository, restored) == {"a.yaml": b"x: 1\n"}
    assert git("rev-list", restored, cwd=repository.path).split() == [restored, second, first]
    assert repository.restore(first, author="ada", message="back", now=NOW) == restored


def test_the_operators_git_settings_do_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    hooks = tmp_path / "global-hooks"
    hooks.mkdir()
    (tmp_path / "gitconfig").write_text(f"[core]\n\thooksPath = {hooks}\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.setenv("GIT_DIR", "/nonexistent")
    repository = seeded(tmp_path, a="x: 1\n")
    monkeypatch.delenv("GIT_DIR")
    assert git("config", "core.hooksPath", cwd=repository.path) == str(repository.path / "hooks")
    assert repository.head() is not None
    assert os.environ["GIT_CONFIG_GLOBAL"] == str(tmp_path / "gitconfig")
