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
