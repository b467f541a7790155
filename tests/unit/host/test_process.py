"""Processes that outlive us: found, known, and killed with all that they begot."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from olympus.host import cgroup
from olympus.host.process import (
    PATH,
    Command,
    Identity,
    Limits,
    SpawnFailed,
    alive,
    boot_id,
    find_scope,
    keep_descriptors,
    kill,
    read_exit,
    release,
    spawn,
    tree,
    wait,
)
from olympus.host.users import default_user, resolve_user
from olympus.kernel.errors import Invalid, Refused

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs to be root")


@pytest.fixture
def command(tmp_path, request):
    def make(*argv, **more):
        name = more.pop("name", "x")
        return Command(
            argv=argv,
            stdout=tmp_path / f"{name}.log",
            scope=f"test/{request.node.name}/{os.getpid()}/{name}",
            env={"PATH": PATH, **more.pop("env", {})},
            exit_file=more.pop("exit_file", tmp_path / f"{name}.exit"),
            **more,
        )

    return make


def soon(probe, within=10.0):
    deadline = time.monotonic() + within
    while not (found := probe()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return found


async def test_the_exit_code_comes_back_and_is_left_in_a_file(command, tmp_path):
    for code in (0, 7):
        one = command("sh", "-c", f"echo hello; exit {code}", name=str(code))
        assert await wait(spawn(one), one.exit_file) == code
        assert read_exit(one.exit_file) == code
        assert one.stdout.read_text() == "hello\n"


async def test_a_signal_is_a_negative_code(command):
    one = command("sh", "-c", "kill -9 $$")
    assert await wait(spawn(one)) == -9


async def test_the_environment_is_what_was_given_and_nothing_else(command):
    one = command("env", env={"A": "1"})
    await wait(spawn(one))
    names = {line.partition("=")[0] for line in one.stdout.read_text().splitlines()}
    assert names == {"A", "PATH", "OLY_SCOPE"}


async def test_arguments_are_taken_as_they_are(command, tmp_path):
    hostile = ["; rm -rf /", "$(id)", "`id`", "{{7*7}}", "${HOME}", "-oProxyCommand=x", "a\nb", "'", '"', "*"]
    one = command(sys.executable, "-c", "import json,sys; print(json.dumps(sys.argv[1:]))", *hostile)
    await wait(spawn(one))
    assert json.loads(one.stdout.read_text()) == hostile


async def test_it_inherits_no_descriptors_but_three(command, tmp_path):
    leak = os.open(tmp_path, os.O_RDONLY)
    os.set_inheritable(leak, True)
    keep_descriptors()
    one = command("sh", "-c", "ls /proc/$$/fd", exit_file=None)
    await wait(spawn(one))
    os.close(leak)
    assert one.stdout.read_text().split() == ["0", "1", "2"]


async def test_what_cannot_be_started_says_why(command):
    with pytest.raises(SpawnFailed, match="no such program"):
        spawn(command("no-such-program"))
    with pytest.raises(SpawnFailed, match="no such program"):
        spawn(command("./nope"))
    with pytest.raises(Invalid):
        spawn(command("a\0b"))
    with pytest.raises(Invalid):
        spawn(command())


async def test_children_that_leave_the_session_are_killed_too(command):
    one = command("sh", "-c", "(setsid sh -c 'setsid sleep 1000 & sleep 1000' &); sleep 1000")
    identity = spawn(one)
    soon(lambda: len(tree(identity, one.scope)) >= 5)
    await kill(identity, one.scope, grace=5)
    assert tree(identity, one.scope) == set()
    assert find_scope(one.scope) == []


async def test_who_ignores_sigterm_is_killed_after_the_grace(command):
    one = command("sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done")
    identity = spawn(one)
    soon(lambda: "ready" in one.stdout.read_text())
    await kill(identity, one.scope, grace=0.3)
    assert tree(identity, one.scope) == set()
    assert not alive(identity)


@as_root
async def test_a_fork_bomb_is_bounded_and_ended(command):
    one = command("sh", "-c", "f() { f | f & }; f; sleep 100", limits=Limits(tasks=60), user="nobody")
    identity = spawn(one)
    soon(lambda: "fork" in one.stdout.read_text().lower() or len(tree(identity, one.scope)) > 20)
    assert len(tree(identity, one.scope)) <= 60
    await kill(identity, one.scope, grace=0.1)
    assert tree(identity, one.scope) == set()


SPAWNER = """
import json, sys
from pathlib import Path
from olympus.host.process import Command, PATH, spawn
folder, scope = Path(sys.argv[1]), sys.argv[2]
argv = ("sh", "-c", "sleep 0.5; exit 5")
identity = spawn(Command(argv, folder / "log", scope, {"PATH": PATH}, exit_file=folder / "exit"))
print(json.dumps(identity.to_json()), flush=True)
sys.stdin.read()
"""


async def test_what_we_spawned_before_we_were_killed_is_known_and_its_end_too(tmp_path):
    scope = f"test/orphan/{os.getpid()}"
    before = subprocess.Popen(
        [sys.executable, "-c", SPAWNER, str(tmp_path), scope], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    identity = Identity.from_json(json.loads(before.stdout.readline()))
    before.kill()
    before.wait()
    assert alive(identity)
    assert identity in find_scope(scope)
    async with asyncio.timeout(10):
        assert await wait(identity, tmp_path / "exit") == 5


async def test_a_pid_that_was_given_away_again_is_not_mistaken(command):
    one = command("sleep", "1000")
    identity = spawn(one)
    assert alive(identity)
    assert not alive(replace(identity, start_time=identity.start_time + 1))
    assert not alive(replace(identity, boot_id="another boot"))
    await kill(replace(identity, boot_id="another boot"), "test/none", grace=0)
    assert alive(identity)
    await kill(identity, one.scope, grace=5)
    assert not alive(identity)
    assert identity.boot_id == boot_id()


@as_root
async def test_it_runs_as_whom_it_should_and_gains_nothing(command):
    one = command("sh", "-c", "id -un; grep -E 'NoNewPrivs|CapEff' /proc/$$/status", user="nobody")
    assert await wait(spawn(one), one.exit_file) == 0
    said = one.stdout.read_text().split()
    assert said[0] == "nobody"
    assert said[said.index("NoNewPrivs:") + 1] == "1"
    assert int(said[said.index("CapEff:") + 1], 16) == 0


@as_root
def test_another_user_needs_the_nodes_word():
    assert resolve_user(None, ()) == default_user() == "nobody"
    with pytest.raises(Refused, match=r"allow\.users"):
        resolve_user("root", ())
    assert resolve_user("root", ("root",)) == "root"
    with pytest.raises(Refused, match="no user"):
        resolve_user("no-such-user", ("no-such-user",))


async def test_a_wait_for_what_is_gone_and_unknown_is_none(tmp_path):
    assert await wait(Identity(boot_id(), 2**22 - 1, 1), tmp_path / "no-exit") is None


@pytest.mark.parametrize("code", [1, 126, 193, 200, 255])
async def test_a_code_is_no_signal_because_it_is_high(command, code):
    for exit_file in ({}, {"exit_file": None}):
        one = command("sh", "-c", f"exit {code}", **exit_file)
        assert await wait(spawn(one), one.exit_file) == code


async def test_a_signal_is_told_from_a_code_with_and_without_the_wrapper(command):
    wrapped, bare = command("sh", "-c", "kill -TERM $$"), command("sh", "-c", "exit 143", exit_file=None)
    assert await wait(spawn(wrapped), wrapped.exit_file) == -15
    assert await wait(spawn(bare)) == 143


@pytest.mark.parametrize("env", [{"A": "x\0y"}, {"A\0": "x"}, {"A=B": "x"}, {"": "x"}, {"A": "\ud800"}])
def test_an_environment_that_is_none_is_refused(command, env):
    with pytest.raises(Invalid):
        spawn(command("true", env=env))


def test_an_argument_that_is_no_text_is_refused(command):
    with pytest.raises(Invalid):
        spawn(command("echo", "\ud800"))


async def test_the_file_for_the_output_can_be_the_mark_of_the_scope(command):
    one = command("sh", "-c", "env; setsid sleep 1000 & exec sleep 1000")
    one = replace(one, env={**one.env, "OLY_OUTPUT": f"/x/.out.{one.scope}"})
    identity = spawn(one)
    soon(lambda: len(find_scope(one.scope)) >= 2)
    assert "OLY_SCOPE" not in one.stdout.read_text()
    assert find_scope(f"{one.scope}.more") == find_scope(one.scope[1:]) == []
    await kill(identity, one.scope, grace=5)
    assert find_scope(one.scope) == []


async def test_a_child_without_its_mark_is_killed_with_its_session(command):
    one = command("sh", "-c", "env -i /bin/sleep 1000 & sleep 0.2; exit 0", exit_file=None)
    identity = spawn(one)
    assert await wait(identity) == 0
    assert len(tree(identity, one.scope)) == 1
    # A process of this number that is another one has nothing to do with it.
    assert tree(replace(identity, boot_id="another"), one.scope) == set()
    await kill(identity, one.scope, grace=5)
    assert tree(identity, one.scope) == set()


async def test_a_session_of_a_number_that_was_given_away_again_is_left_alone(command):
    one = command("sh", "-c", "env -i /bin/sleep 1000 & exec env -i /bin/sleep 1000")
    identity = spawn(one)
    soon(lambda: len(tree(identity, one.scope)) >= 2)
    before = replace(identity, start_time=identity.start_time - 1)
    await kill(before, "test/none", grace=0)
    assert alive(identity)
    await kill(identity, one.scope, grace=5)
    assert tree(identity, one.scope) == set()


@as_root
@pytest.mark.skipif(cgroup.hierarchy() is None, reason="no control group can be written")
async def test_a_group_is_given_back_when_nothing_runs_in_it(command):
    one = command("sh", "-c", "setsid sleep 1000 & exit 0", limits=Limits(tasks=50))
    groups = [file.parent for file in cgroup.make(one.scope, None, 50)]
    identity = spawn(one)
    assert await wait(identity, one.exit_file) == 0
    release(one.scope)
    assert all(group.is_dir() for group in groups)
    assert cgroup.members(one.scope)
    await kill(identity, one.scope, grace=5)
    assert not any(group.exists() for group in groups)
    again = replace(one, argv=("true",))
    await wait(spawn(again), one.exit_file)
    release(one.scope)
    assert not any(group.exists() for group in groups)
