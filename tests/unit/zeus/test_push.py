"""Pushes with real git, with Olympus running and without: what git takes, what the push shows, what is written."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from olympus.hermes import keys
from olympus.hermes.kv import Put
from olympus.records.blobs import load_blob
from olympus.records.desired import NodeDesired
from olympus.records.instance import Instance
from olympus.records.intents import ordered
from olympus.records.seals import unsealed
from olympus.records.status.declared import specs_status
from olympus.testing.git_http import git_server
from olympus.testing.zeus import Clone, ZeusHere, specs_repository, zeus_here
from olympus.zeus.source import Remote


def service(name: str, command: str = "[sleep, '1']", extra: str = "") -> str:
    return (
        f"apiVersion: olympus/v1\nkind: Service\nmetadata: {{name: {name}}}\n"
        f"spec:\n  run: {{process: {{command: {command}}}}}\n{extra}"
    )


async def desired(here: ZeusHere, node: str = "n1") -> NodeDesired:
    found = await here.kv.get(keys.desired(node))
    assert found is not None
    return await unsealed(here.kv, found.value)


async def until(here: ZeusHere, node: str, holds) -> NodeDesired:
    async with asyncio.timeout(10):
        async for found in here.kv.watch(keys.desired(node)):
            for entry in found.entries:
                document = await unsealed(here.kv, entry.value)
                if holds(document):
                    return document
    raise AssertionError


async def events(here: ZeusHere, *types: str) -> list:
    found, _ = await here.bus.history(types=types)
    return found


async def test_a_push_is_applied_and_says_so(tmp_path: Path):
    async with zeus_here(tmp_path / "state") as here:
        clone = Clone(tmp_path / "clone", here.repository.path)
        ok, said, revision = await clone.push({"services.yaml": service("web")})
        assert ok, said
        assert f"remote: olympus: applied {revision[:7]}: +1 service" in said
        document = await desired(here)
        assert [one.service for one in document.instances] == ["web"]
        assert document.revision == revision
        applied = await events(here, "olympus.zeus.applied")
        assert [one.data["revision"] for one in applied] == [revision]
        assert "Ada" in applied[0].data["author"]


async def test_a_push_that_does_not_validate_is_refused_with_its_place(tmp_path: Path):
    async with zeus_here(tmp_path / "state") as here:
        clone = Clone(tmp_path / "clone", here.repository.path)
        _, _, good = await clone.push({"services.yaml": service("web")})
        wrong = service("web", extra="  replcas: 2\n")
        ok, said, _ = await clone.push({"services.yaml": wrong})
        assert not ok
        assert "remote: olympus: refused: services.yaml:6:3: unknown field 'replcas'" in said
        assert here.repository.head() == good


async def test_the_same_push_again_has_no_actions(tmp_path: Path):
    async with zeus_here(tmp_path / "state") as here:
        clone = Clone(tmp_path / "clone", here.repository.path)
        await clone.push({"services.yaml": service("web")})
        before = await desired(here)
        ok, said, revision = await clone.push({"services.yaml": service("web")})
        assert ok
        assert f"applied {revision[:7]}: no changes" in said
        assert await desired(here) == before
        assert (await here.zeus.plan()).actions == ()


async def test_plan_says_what_apply_then_does(tmp_path: Path):
    async with zeus_here(tmp_path / "state") as here:
        clone = Clone(tmp_path / "clone", here.repository.path)
        await clone.push({"a.yaml": service("web"), "b.yaml": service("old")})
        changed = {"a.yaml": service("web", "[sleep, '2']"), "c.yaml": service("new")}
        ok, said, revision = await clone.push(changed, branch="next")
        assert ok
        assert "valid: next" in said
        assert (await here.catalogs.root()).revision != revision
        planned = await here.zeus.plan("next")
        assert sorted((one.verb, one.name) for one in planned.actions) == [
            ("create", "new"),
            ("delete", "old"),
            ("restart", "web"),
            ("start", "new"),
            ("stop", "old"),
            ("update", "web"),
        ]
        ok, said = await clone.send("HEAD:refs/heads/main")
        assert "applied" in said
        applied = (await events(here, "olympus.zeus.applied"))[0]
        assert applied.data["actions"] == [
            {key: value for key, value in one.to_json().items() if key != "diff"} for one in planned.actions
        ]


async def test_other_branches_are_validated_but_not_applied(tmp_path: Path):
    async with zeus_here(tmp_path / "state") as here:
        clone = Clone(tmp_path / "clone", here.repository.path)
        await clone.push({"a.yaml": service("web")})
        ok, said, _ = await clone.push({"a.yaml": "kind: [\n"}, branch="broken")
        assert not ok
        assert "refused: a.yaml:" in said


async def test_a_commit_that_declares_nothing_does_not_prune_unless_confirmed(tmp_path: Path):
    async with zeus_here(tmp_path / "state") as here:
        clone = Clone(tmp_path / "clone", here.repository.path)
        _, _, good = await clone.push({"a.yaml": service("web")})
        ok, said, _ = await clone.push({"README.md": "nothing\n"})
        assert not ok
        assert "-o prune=confirm" in said
        assert here.repository.head() == good
        assert len((await desired(here)).instances) == 1
        ok, said, _ = await clone.push({"README.md": "nothing\n"}, "-o", "prune=confirm")
        assert ok, said
        assert "-1 service" in said
        assert (await desired(here)).instances == ()


async def test_removing_more_than_half_and_ten_is_refused_unless_confirmed(tmp_path: Path):
    many = {f"s{number}.yaml": service(f"s{number}") for number in range(20)}
    few = dict(list(many.items())[:9])
    async with zeus_here(tmp_path / "state") as here:
        clone = Clone(tmp_path / "clone", here.repository.path)
        await clone.push(many)
        ok, said, _ = await clone.push(few)
        assert not ok
        assert "this would delete 11 of 20 resources" in said
        ok, said, _ = await clone.push(few, "-o", "prune=confirm")
        assert ok
        assert "-11 services" in said


async def test_deleting_main_and_odd_refs_are_refused(tmp_path: Path):
    async with zeus_here(tmp_path / "state") as here:
        clone = Clone(tmp_path / "clone", here.repository.path)
        _, _, revision = await clone.push({"a.yaml": service("web")})
        ok, said = await clone.send(":refs/heads/main")
        assert not ok
        assert "can not be deleted" in said
        ok, said = await clone.send("HEAD:refs/replace/" + revision)
        assert not ok
        assert here.repository.head() == revision


async def test_a_forced_push_applies_and_keeps_the_old_history(tmp_path: Path):
    async with zeus_here(tmp_path / "state") as here:
        first = Clone(tmp_path / "one", here.repository.path)
        _, _, old = await first.push({"a.yaml": service("web")})
        second = Clone(tmp_path / "two", here.repository.path)
        ok, said, new = await second.push({"a.yaml": service("other")}, "--force")
        assert ok, said
        assert "history of main was replaced" in said
        assert here.repository.head() == new
        assert here.repository.commit(f"refs/olympus/replaced/{old}").revision == old


async def test_without_olympus_the_hook_validates_by_itself(tmp_path: Path):
    state = tmp_path / "a state directory with a long name and spaces " / ("x" * 60)
    repository = specs_repository(state)
    clone = Clone(tmp_path / "clone", repository.path)
    ok, said, _ = await clone.push({"a.yaml": service("web", extra="  replcas: 2\n")})
    assert not ok
    assert "olympus: refused: a.yaml:6:3: unknown field 'replcas'" in said
    assert repository.head() is None
    ok, said, revision = await clone.push({"a.yaml": service("web")})
    assert ok, said
    assert "applies when Olympus starts" in said
    async with zeus_here(state) as here:
        document = await until(here, "n1", lambda one: one.instances)
        assert document.revision == revision


RULE = """
apiVersion: olympus/v1
kind: Pipeline
metadata: {name: mend}
spec: {steps: [{name: mend, run: ["true"]}]}
---
apiVersion: olympus/v1
kind: Rule
metadata: {name: slow}
spec:
  on: {event: shop.slow, where: "data.seconds > 3"}
  solve: [{pipeline: mend, verify: {absent: {event: shop.slow}, within: 1m}}]
---
apiVersion: olympus/v1
kind: RuleTest
metadata: {name: slowness-is-mended}
spec:
  rule: slow
  given: [{at: 0s, event: shop.slow, data: {seconds: SECONDS}}]
  expect: [{at: 0s, run: mend}]
"""
REFUSED = (
    "remote: olympus: refused: rules.yaml:19:12: rule test slowness-is-mended: run mend was not started at 0s: "
    "the rule started nothing; shop.slow at 0s: data.seconds > 3: data.seconds is 2, not > 3"
)


async def test_a_failing_rule_test_refuses_the_push(tmp_path: Path):
    async with zeus_here(tmp_path / "state") as here:
        clone = Clone(tmp_path / "clone", here.repository.path)
        ok, said, revision = await clone.push({"rules.yaml": RULE.lstrip().replace("SECONDS", "2")})
        assert not ok
        assert REFUSED in said
        assert here.repository.head() is None
        # Of any branch.
        ok, said = await clone.send("HEAD:refs/heads/try")
        assert not ok
        assert REFUSED in said
        ok, said, revision = await clone.push({"rules.yaml": RULE.lstrip().replace("SECONDS", "4")})
        assert ok, said
        assert f"applied {revision[:7]}" in said


async def test_without_olympus_a_failing_rule_test_refuses_the_push_as_well(tmp_path: Path):
    repository = specs_repository(tmp_path / "state")
    clone = Clone(tmp_path / "clone", repository.path)
    ok, said, _ = await clone.push({"rules.yaml": RULE.lstrip().replace("SECONDS", "2")})
    assert not ok
    assert REFUSED in said
    ok, said, _ = await clone.push({"rules.yaml": RULE.lstrip().replace("SECONDS", "4")})
    assert ok, said


async def test_what_was_pushed_while_away_is_applied_at_the_next_start_once(tmp_path: Path):
    async with zeus_here(tmp_path / "state") as here:
        clone = Clone(tmp_path / "clone", here.repository.path)
        await clone.push({"a.yaml": service("web")})
    await clone.push({"a.yaml": service("web"), "b.yaml": service("db")})
    async with zeus_here(tmp_path / "state") as here:
        document = await until(here, "n1", lambda one: len(one.instances) == 2)
        assert {one.service for one in document.instances} == {"web", "db"}
    async with zeus_here(tmp_path / "state") as here:
        await asyncio.sleep(0.1)
        assert await desired(here) == document
        assert len(await events(here, "olympus.zeus.applied")) == 2
        assert len(await events(here, "olympus.zeus.node-joined", "olympus.zeus.node-lost")) == 1


async def test_symlinks_and_submodules_are_refused(tmp_path: Path):
    async with zeus_here(tmp_path / "state") as here:
        clone = Clone(tmp_path / "clone", here.repository.path)
        clone.commit({"a.yaml": service("web")})
        (clone.path / "shadow.yaml").symlink_to("/etc/shadow")
        clone.git("add", "-A")
        clone.git("commit", "-qm", "link")
        ok, said = await clone.send("HEAD:refs/heads/main")
        assert not ok
        assert "refused: shadow.yaml: " in said
        clone.git("rm", "-qf", "shadow.yaml")
        head = clone.git("rev-parse", "HEAD").stdout.strip()
        clone.git("update-index", "--add", "--cacheinfo", f"160000,{head},module")
        clone.git("commit", "-qm", "submodule")
        ok, said = await clone.send("HEAD:refs/heads/main")
        assert not ok
        assert "refused: module: " in said
        assert here.repository.head() is None


async def test_a_remote_repository_is_followed(tmp_path: Path):
    elsewhere = specs_repository(tmp_path / "elsewhere")
    (elsewhere.path / "hooks" / "pre-receive").unlink()
    clone = Clone(tmp_path / "clone", elsewhere.path)
    await clone.push({"a.yaml": service("web")})
    remote = Remote(str(elsewhere.path), poll=0.2)
    async with zeus_here(tmp_path / "state", remote=remote) as here:
        await until(here, "n1", lambda one: len(one.instances) == 1)
        _, _, revision = await clone.push({"a.yaml": service("web"), "b.yaml": service("db")})
        document = await until(here, "n1", lambda one: len(one.instances) == 2)
        assert document.revision == revision
        elsewhere.path.rename(tmp_path / "gone.git")
        await asyncio.sleep(0.5)
        assert len((await desired(here)).instances) == 2
        own = Clone(tmp_path / "own", here.repository.path)
        ok, said, _ = await own.push({"a.yaml": service("web")})
        assert not ok
        assert "push there" in said


async def test_rollback_is_a_new_commit_with_the_old_files(tmp_path: Path):
    async with zeus_here(tmp_path / "state") as here:
        clone = Clone(tmp_path / "clone", here.repository.path)
        _, _, first = await clone.push({"a.yaml": service("web")})
        await clone.push({"a.yaml": service("web", "[sleep, '2']")})
        outcome = await here.zeus.rollback(first, by="ada")
        assert outcome.applied
        assert here.repository.head() == outcome.revision != first
        process = (await desired(here)).instances[0].process
        assert process is not None
        assert process.command == ("sleep", "1")


async def test_a_drained_node_is_left_and_an_order_to_restart_is_passed_on(tmp_path: Path):
    async with zeus_here(tmp_path / "state", nodes=("n1", "n2")) as here:
        clone = Clone(tmp_path / "clone", here.repository.path)
        await clone.push({"a.yaml": service("web")})
        cluster = await here.zeus.cluster()
        (where,) = (node for node, told in cluster.told.items() if "web" in told)
        other = "n2" if where == "n1" else "n1"
        spec = (await desired(here, where)).instances[0]
        now = datetime.now(UTC)
        restart = ordered(None, "restart", "order-1", now, "ada")
        await here.kv.transact([Put(keys.intent("Service", "web"), restart.to_bytes())])
        document = await until(here, where, lambda one: one.instances and one.instances[0].restart_token)
        assert document.instances[0].restart_token == "order-1"
        seen = Instance(
            service="web", node=where, state="running", healthy=True, healthy_since=now, since=now,
            generation=spec.generation, restart_token="order-1",
        )  # fmt: skip
        await here.kv.transact([Put(keys.instance(where, "web"), seen.to_bytes())])
        drain = ordered(None, "drain", "order-2", now, "ada")
        await here.kv.transact([Put(keys.intent("Node", where), drain.to_bytes())])
        await until(here, other, lambda one: len(one.instances) == 1)
        await until(here, where, lambda one: len(one.instances) == 0)


async def test_a_push_over_http_shows_the_same(tmp_path: Path):
    async with zeus_here(tmp_path / "state") as here, git_server(here.repository.path) as url:
        clone = Clone(tmp_path / "clone", url)
        ok, said, revision = await clone.push({"a.yaml": service("web")})
        assert ok, said
        assert f"remote: olympus: applied {revision[:7]}: +1 service" in said
        ok, said, _ = await clone.push({"a.yaml": service("web", extra="  replcas: 2\n")})
        assert not ok
        assert "remote: olympus: refused: a.yaml:6:3: unknown field 'replcas'" in said


async def test_files_come_by_content_and_templates_by_node(tmp_path: Path):
    files = "  files: [{path: /etc/web.toml, source: files/web.toml, template: true}]\n"
    tree = {"a.yaml": service("web", extra=files), "files/web.toml": "node = '${{ node.name }}'\n"}
    async with zeus_here(tmp_path / "state") as here:
        clone = Clone(tmp_path / "clone", here.repository.path)
        ok, said, _ = await clone.push(tree)
        assert ok, said
        (file,) = (await desired(here)).instances[0].files
        assert await load_blob(here.kv, file.content) == b"node = 'n1'\n"
        tree["files/web.toml"] = "node = '${{ node.name }}' # changed\n"
        ok, said, _ = await clone.push(tree)
        assert "~1 service" in said
        (changed,) = (await desired(here)).instances[0].files
        assert changed.content.digest != file.content.digest
        assert (await here.zeus.plan()).actions == ()


async def test_a_refused_push_is_an_event(tmp_path: Path):
    async with zeus_here(tmp_path / "state") as here:
        clone = Clone(tmp_path / "clone", here.repository.path)
        await clone.push({"a.yaml": service("web", extra="  replcas: 2\n")})
        (refused,) = await events(here, "olympus.zeus.refused")
        assert "Ada" in refused.data["author"]
        assert "unknown field 'replcas'" in refused.data["errors"][0]


async def test_a_remote_that_does_not_validate_changes_nothing_and_is_said_once(tmp_path: Path):
    elsewhere = specs_repository(tmp_path / "elsewhere")
    (elsewhere.path / "hooks" / "pre-receive").unlink()
    clone = Clone(tmp_path / "clone", elsewhere.path)
    await clone.push({"a.yaml": service("web")})
    async with zeus_here(tmp_path / "state", remote=Remote(str(elsewhere.path), poll=0.1)) as here:
        await until(here, "n1", lambda one: len(one.instances) == 1)
        await clone.push({"a.yaml": service("web", extra="  replcas: 2\n")})
        async with asyncio.timeout(10):
            while not await events(here, "olympus.zeus.refused"):
                await asyncio.sleep(0.05)
        await asyncio.sleep(0.5)
        assert len(await events(here, "olympus.zeus.refused")) == 1
        assert len((await desired(here)).instances) == 1
        said = specs_status(await here.zeus.cluster())["conditions"]
        assert [one["status"] for one in said if one["type"] == "Stalled"] == ["True"]
        assert "replcas" in said[0]["message"]
        await clone.push({"a.yaml": service("web"), "b.yaml": service("db")})
        await until(here, "n1", lambda one: len(one.instances) == 2)
        async with asyncio.timeout(10):
            while specs_status(await here.zeus.cluster())["conditions"][0]["status"] != "True":
                await asyncio.sleep(0.05)


async def test_a_tree_that_leaves_its_folder_is_refused(tmp_path: Path):
    async with zeus_here(tmp_path / "state") as here:
        clone = Clone(tmp_path / "clone", here.repository.path)
        clone.commit({"a.yaml": service("web")})
        blob = clone.git("rev-parse", "HEAD:a.yaml").stdout.strip()
        for name in ("..", ".git", "a/b"):
            inner = f"100644 {name}\0".encode() + bytes.fromhex(blob)
            made = subprocess.run(
                ["git", "hash-object", "-t", "tree", "--literally", "-w", "--stdin"],
                cwd=clone.path,
                input=inner,
                capture_output=True,
                check=True,
            )
            tree = made.stdout.decode().strip()
            commit = clone.git("commit-tree", tree, "-m", "evil").stdout.strip()
            ok, said = await clone.send(f"{commit}:refs/heads/main")
            assert not ok, said
            assert here.repository.head() is None


async def test_names_cannot_write_to_the_pushers_terminal(tmp_path: Path):
    async with zeus_here(tmp_path / "state") as here:
        clone = Clone(tmp_path / "clone", here.repository.path)
        ok, said, _ = await clone.push({"a\x1b[31m\u202e.yaml": service("web")})
        assert not ok
        assert "\x1b" not in said
        assert "\u202e" not in said
        assert "refused: a\\x1b[31m\\u202e.yaml: " in said


async def test_a_repository_is_untouched_by_a_hook_that_cannot_reach_a_stopped_socket(tmp_path: Path):
    state = tmp_path / "state"
    async with zeus_here(state) as here:
        path = here.repository.path
    # A socket file that a killed Olympus left behind.
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as left:
        left.bind(str(state / "push.sock"))
    clone = Clone(tmp_path / "clone", path)
    ok, said, _ = await clone.push({"a.yaml": service("web")})
    assert ok, said
    assert "applies when Olympus starts" in said
