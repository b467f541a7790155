"""Asking a node for its last lines, through Hermes: so any node can be asked, also one that listens to nobody.

The question lies in a key that the node watches, and the answer in one of the node's: see `records.ask`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias

from olympus.argos.recent import Question, Recent
from olympus.argos.unmatched import Sample
from olympus.hermes import keys
from olympus.hermes.kv import Delete, DeletePrefix, Entry, Kv, Put
from olympus.hermes.trust import Author, Trust
from olympus.kernel.clock import Clock
from olympus.kernel.errors import HermesUnreachable, Invalid, Refused, RetryLater
from olympus.kernel.ids import new_id
from olympus.records.ask import Answer, AnsweredLine, AnsweredShape, Ask
from olympus.records.seals import split

log = logging.getLogger("olympus.argos")

Unmatched: TypeAlias = Callable[[str, int], Awaitable[list[Sample]]]

_STALE: Final = timedelta(minutes=1)
_RETRY: Final = 1.0


class LinesOfNodes:
    """`author`: None where this host is no controller, and may ask nobody."""

    def __init__(self, kv: Kv, clock: Clock, author: Author | None) -> None:
        self._kv = kv
        self._clock = clock
        self._author = author

    async def lines(
        self, node: str, question: Question, *, timeout: timedelta = timedelta(seconds=2)
    ) -> list[dict[str, Any]]:
        """`[{time, source, line}]`, oldest first, of what the node's LogWatches read last.

        Raises RetryLater where it did not answer in time, Invalid for a pattern that is none, Refused where this
        host is no controller, HermesUnreachable.
        """
        answer = await self._asked(self._ask(node, question, timeout), timeout)
        return [one.to_json() for one in answer.lines]

    async def unmatched(
        self, node: str, watch: str, limit: int, *, timeout: timedelta = timedelta(seconds=2)
    ) -> list[dict[str, Any]]:
        """`[{line, count}]`: shapes of the watch's last lines there that none of its patterns matches.

        Raises what `lines` does; Invalid where the watch is not at work there.
        """
        ask = Ask(id=new_id(), node=node, until=self._clock.now() + timeout, limit=limit, unmatched=watch)
        return [one.to_json() for one in (await self._asked(ask, timeout)).shapes]

    async def _asked(self, ask: Ask, timeout: timedelta) -> Answer:
        node = ask.node
        key, answer_key = keys.ask(node, ask.id), keys.answer(node, ask.id)
        await self._kv.transact([Put(key, self._signed(ask))])
        try:
            async with asyncio.timeout(timeout.total_seconds()):
                answer = await self._answer(answer_key)
        except TimeoutError:
            await self._kv.transact([Delete(key), Delete(answer_key)])
            raise RetryLater(
                f"node {node} did not answer within {timeout.total_seconds():g} s: is it alive, and does it run argos?"
            ) from None
        await self._kv.transact([Delete(key), Delete(answer_key)])
        if answer.error:
            raise Invalid(f"node {node}: {answer.error}")
        return answer

    def _ask(self, node: str, question: Question, timeout: timedelta) -> Ask:
        return Ask(
            id=new_id(),
            node=node,
            until=self._clock.now() + timeout,
            contains=question.contains,
            pattern=question.pattern,
            last=None if question.last is None else question.last.total_seconds(),
            around=question.around,
            limit=question.limit,
        )

    def _signed(self, ask: Ask) -> bytes:
        if self._author is None:
            raise Refused("this host is no controller: no node answers it")
        said = ask.to_bytes()
        return self._author.sign("ask", said).encode() + b"\n" + said

    async def _answer(self, key: str) -> Answer:
        async for found in self._kv.watch(key):
            for entry in found.entries:
                if entry.key == key:
                    return Answer.from_bytes(entry.value)
        raise RetryLater("the watch of the answer ended")


class Answering:
    """What this node answers. `run` until cancelled. unmatched: shapes for a watch's name, at most so many."""

    def __init__(  # noqa: PLR0913 - what boot wires
        self, kv: Kv, clock: Clock, node: str, *, trust: Trust, recent: Recent, unmatched: Unmatched
    ) -> None:
        self._kv = kv
        self._clock = clock
        self._node = node
        self._trust = trust
        self._recent = recent
        self._unmatched = unmatched
        self._answered: dict[str, datetime] = {}

    async def run(self) -> None:
        """Answers that nobody came for are removed with the next one, and at the start."""
        await self._begin()
        async for found in self._kv.watch(keys.asks(self._node)):
            for entry in found.entries:
                try:
                    await self._take(entry)
                except HermesUnreachable as error:
                    log.info("not_answered", extra={"why": str(error)})

    async def _begin(self) -> None:
        while True:
            try:
                await self._kv.transact([DeletePrefix(keys.answers(self._node))])
            except HermesUnreachable:
                await asyncio.sleep(_RETRY)
            else:
                return

    async def _take(self, entry: Entry) -> None:
        ask_id = entry.key.removeprefix(keys.asks(self._node))
        if ask_id in self._answered:
            return
        now = self._clock.now()
        stale = [one for one, at in self._answered.items() if at < now - _STALE]
        ops = [Delete(keys.answer(self._node, one)) for one in stale[:20]]
        answer = await self._answer(ask_id, entry.value)
        put = [] if answer is None else [Put(keys.answer(self._node, ask_id), answer.to_bytes())]
        await self._kv.transact([Delete(entry.key), *put, *ops])
        self._answered[ask_id] = now
        for one in stale[:20]:
            del self._answered[one]

    async def _answer(self, ask_id: str, value: bytes) -> Answer | None:
        """None where nobody is to get one."""
        signature, said = split(value)
        reason = await self._trust.objection("ask", said, signature)
        try:
            ask = Ask.from_bytes(said)
        except Invalid as exc:
            reason = reason or str(exc)
        if reason is None and (ask.node, ask.id) != (self._node, ask_id):
            reason = "it is another question"
        if reason is not None:
            log.warning("question_refused", extra={"ask": ask_id, "why": reason})
            return None
        now = self._clock.now()
        if ask.until < now - _STALE:
            return None
        return self._found(ask, now) if ask.unmatched is None else await self._shapes(ask, ask.unmatched)

    async def _shapes(self, ask: Ask, watch: str) -> Answer:
        try:
            found = await self._unmatched(watch, ask.limit)
        except Invalid as exc:
            return Answer(error=str(exc))
        return Answer(shapes=tuple(AnsweredShape(line=one.line, count=one.count) for one in found))

    def _found(self, ask: Ask, now: datetime) -> Answer:
        question = Question(ask.contains, ask.pattern, None, ask.around, ask.limit)
        try:
            if ask.last is not None:
                question = replace(question, last=timedelta(seconds=ask.last))
            found = self._recent.lines(question, now)
        except (ValueError, OverflowError) as exc:
            return Answer(error=str(exc))
        return Answer(
            lines=tuple(AnsweredLine(time=one.time, source=one.source, line=one.line) for one in found)
        )
