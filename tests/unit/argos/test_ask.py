"""Nodes are asked for their last lines: who is believed is answered, on the embedded Hermes and on a real Consul."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from olympus.argos.ask import Answering, LinesOfNodes
from olympus.argos.recent import Question, Recent
from olympus.argos.unmatched import Sample
from olympus.hermes import keys
from olympus.hermes.kv import Put
from olympus.kernel.clock import SystemClock
from olympus.kernel.errors import Invalid, Refused, RetryLater
from olympus.testing.trust import author_of, trust_of

SECOND = timedelta(seconds=1)


@asynccontextmanager
async def a_node(kv, state, *lines):
    """n1 answers; what it read last are `lines`."""
    clock, recent = SystemClock(), Recent()
    author = author_of(state)
    trust = await trust_of(kv, author)
    recent.add("/var/log/auth.log", "".join(f"{line}\n" for line in lines).encode(), clock.now())
    async with asyncio.TaskGroup() as group:
        answering = Answering(kv, clock, "n1", trust=trust, recent=recent, unmatched=unmatched)
        task = group.create_task(answering.run())
        yield LinesOfNodes(kv, clock, author)
        task.cancel()


async def unmatched(watch, most):
    if watch != "auth":
        raise Invalid(f"logwatch {watch} is not at work here")
    return [Sample("cron: 7", 3), Sample("su: 1", 1)][:most]


async def left(kv):
    return [*await kv.keys(keys.ASKS), *await kv.keys(keys.ANSWERS)]


async def test_the_last_lines_of_a_node_are_asked_for(kv, tmp_path):
    async with a_node(kv, tmp_path, "sshd: one", "cron: two", "sshd: three") as nodes:
        found = await nodes.lines(
            "n1", Question(contains="sshd", last=timedelta(minutes=5)), timeout=10 * SECOND
        )
        assert [(one["source"], one["line"]) for one in found] == [
            ("/var/log/auth.log", "sshd: one"),
            ("/var/log/auth.log", "sshd: three"),
        ]
        assert found[0]["time"].endswith("Z")
        assert await nodes.lines("n1", Question(pattern="t[wh]"), timeout=10 * SECOND) != []
        assert await nodes.lines("n1", Question(last=timedelta(0)), timeout=10 * SECOND) == []
        assert await left(kv) == []


async def test_a_node_that_does_not_answer_in_time_is_said_so_and_nothing_is_left(kv, tmp_path):
    async with a_node(kv, tmp_path) as nodes:
        with pytest.raises(RetryLater, match="node n2 did not answer"):
            await nodes.lines("n2", Question(), timeout=timedelta(seconds=0.2))
        assert await left(kv) == []


async def test_a_node_is_asked_what_a_watch_of_its_does_not_match(kv, tmp_path):
    async with a_node(kv, tmp_path) as nodes:
        assert await nodes.unmatched("n1", "auth", 1, timeout=10 * SECOND) == [
            {"line": "cron: 7", "count": 3}
        ]
        with pytest.raises(Invalid, match="node n1: logwatch web is not at work here"):
            await nodes.unmatched("n1", "web", 1, timeout=10 * SECOND)
        assert await left(kv) == []


async def test_a_pattern_that_is_none_is_said_so(kv, tmp_path):
    async with a_node(kv, tmp_path, "a") as nodes:
        with pytest.raises(Invalid, match="node n1"):
            await nodes.lines("n1", Question(pattern="("), timeout=10 * SECOND)


async def test_nobody_else_is_answered(kv, tmp_path):
    async with a_node(kv, tmp_path, "secret") as nodes:
        other = tmp_path / "other"
        other.mkdir()
        stranger = LinesOfNodes(kv, SystemClock(), author_of(other, "n9"))
        with pytest.raises(RetryLater):
            await stranger.lines("n1", Question(), timeout=SECOND)
        with pytest.raises(Refused):
            await LinesOfNodes(kv, SystemClock(), None).lines("n1", Question(), timeout=SECOND)
        await kv.transact([Put(keys.ask("n1", "x"), b"nonsense"), Put(keys.ask("n1", "y"), b"n1:x\n{}")])
        # It goes on answering.
        assert [one["line"] for one in await nodes.lines("n1", Question(), timeout=10 * SECOND)] == ["secret"]


async def test_a_question_for_one_node_is_none_for_another(kv, tmp_path):
    async with a_node(kv, tmp_path, "secret") as nodes:
        ask = nodes._ask("n2", Question(), SECOND)
        await kv.transact([Put(keys.ask("n1", ask.id), nodes._signed(ask))])
        await nodes.lines("n1", Question(), timeout=10 * SECOND)
        assert await kv.keys(keys.ANSWERS) == []
