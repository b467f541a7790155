"""What lies on another host is fetched from the Olympus there, on behalf of whoever asked here.

The caller's token stays here: a host says itself where it can be reached, and must not collect tokens by that.
Instead, the request is signed by this controller, for that host, that path and a minute; who answers believes the
same keys as nodes do (`hermes.trust`), and takes it as a viewer's. Only controllers are asked: the others have
no Apollo, and what they register could lead anywhere.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final
from urllib.parse import quote, urlencode

import orjson

from olympus.apollo.access import Caller
from olympus.hermes.registry import Member, Registry
from olympus.hermes.trust import Author, Trust
from olympus.host.http_aiohttp import HttpClient, HttpFailed, Response
from olympus.kernel.clock import Clock, parse_rfc3339, rfc3339
from olympus.kernel.errors import NotFound, Refused, RetryLater

HEADER: Final = "Olympus-Peer"
PASSED: Final = "Olympus-Passed"
_VALID: Final = timedelta(seconds=60)
_MAX_SAID: Final = 2000
_ANSWER_WITHIN: Final = 10.0


@dataclass(frozen=True, slots=True)
class Call:
    """A request as it is passed on. path: as it is written, not quoted."""

    method: str
    path: str
    query: Mapping[str, str]
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class Peers:
    """Asks others as this controller, and checks who asks as one."""

    def __init__(
        self, registry: Registry, trust: Trust, author: Author, client: HttpClient, clock: Clock
    ) -> None:
        self._registry = registry
        self._trust = trust
        self._author = author
        self._client = client
        self._clock = clock

    @asynccontextmanager
    async def ask(
        self, node: str, path: str, query: Mapping[str, str]
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """What `node` answers, in pieces. Raises NotFound where it can't be asked, RetryLater where it fails."""
        member = await self._member(node)
        moment = rfc3339(self._clock.now())
        signature = self._author.sign("ask", said(node, path, query, moment))
        url = member.meta["url"] + path + ("?" + urlencode(query) if query else "")
        headers = {HEADER: f"{moment} {signature}"}
        try:
            async with self._client.stream(url, headers=headers, timeout=_ANSWER_WITHIN) as (status, pieces):
                if status >= 400:
                    raise await _refused(node, status, pieces)
                yield pieces
        except (HttpFailed, Refused) as error:
            raise RetryLater(f"node '{node}' does not answer: {error}") from error

    async def pass_on(self, node: str, call: Call, caller: Caller) -> Response:
        """The answer of `node` to what a caller asked here: we say who they are. Raises NotFound, RetryLater."""
        member = await self._member(node)
        moment = rfc3339(self._clock.now())
        who = _packed(
            {"token": caller.token, "name": caller.name, "own": caller.own, "groups": caller.groups}
        )
        digest = hashlib.sha256(call.body).hexdigest()
        signature = self._author.sign("ask", _passed(node, call, who, digest, moment))
        query = "?" + urlencode(call.query) if call.query else ""
        headers = {**call.headers, PASSED: f"{moment} {who} {digest} {signature}"}
        try:
            return await self._client.request(
                call.method,
                member.meta["url"] + quote(call.path) + query,
                headers=headers,
                body=call.body or None,
                redirects=False,
            )
        except (HttpFailed, Refused) as error:
            raise RetryLater(f"node '{node}' does not answer: {error}") from error

    async def passed(self, header: str, call: Call) -> tuple[Caller, str] | None:
        """For whom a controller passes a call on to us, just now, and the SHA-256 of its body; None: it does not."""
        try:
            moment, who, digest, signature = header.split(" ")
            age = self._clock.now() - parse_rfc3339(moment)
        except ValueError:
            return None
        if abs(age) > _VALID or len(header) > _MAX_SAID:
            return None
        said_ = _passed(self._author.name, call, who, digest, moment)
        if await self._trust.objection("ask", said_, signature) is not None:
            return None
        said_of = orjson.loads(base64.urlsafe_b64decode(who))
        return Caller(said_of["token"], said_of["name"], said_of["own"], tuple(said_of["groups"])), digest

    async def url(self, node: str) -> str:
        """Where the Olympus there is reached. Raises NotFound."""
        return (await self._member(node)).meta["url"]

    async def _member(self, node: str) -> Member:
        found = next((one for one in await self._registry.members() if one.name == node), None)
        if found is None:
            raise NotFound(f"node '{node}' is not registered: what it wrote lies in its state directory")
        if node not in self._trust.signers() or not found.meta.get("url"):
            raise NotFound(
                f"node '{node}' answers nobody (it runs no Apollo): what it wrote lies in its state "
                "directory, under runs/RUN and services/NAME"
            )
        return found

    async def caller(self, header: str, path: str, query: Mapping[str, str]) -> Caller | None:
        """Who asks as a controller; None where no controller asked just this of us, just now."""
        moment, _, signature = header.partition(" ")
        try:
            age = self._clock.now() - parse_rfc3339(moment)
        except ValueError:
            return None
        if abs(age) > _VALID or len(header) > _MAX_SAID:
            return None
        asked = said(self._author.name, path, query, moment)
        if await self._trust.objection("ask", asked, signature) is not None:
            return None
        name = signature.partition(":")[0]
        return Caller(token="", name=f"olympus on {name}", own="viewer")


def said(node: str, path: str, query: Mapping[str, str], moment: str) -> bytes:
    """What is signed: of whom it is asked, what, and when."""
    return orjson.dumps([node, path, sorted(query.items()), moment])


def _passed(node: str, call: Call, who: str, digest: str, moment: str) -> bytes:
    return orjson.dumps([node, call.method, call.path, sorted(call.query.items()), who, digest, moment])


def _packed(said_of: Mapping[str, object]) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(said_of)).decode()


async def _refused(node: str, status: int, pieces: AsyncIterator[bytes]) -> NotFound | RetryLater:
    raw = b""
    async for piece in pieces:
        raw += piece
        if len(raw) > _MAX_SAID:
            break
    try:
        detail = str(orjson.loads(raw)["detail"])
    except (ValueError, KeyError, TypeError):
        detail = f"status {status}"
    if status == 404:
        return NotFound(detail)
    hint = " (are the clocks of both hosts right?)" if status == 401 else ""
    return RetryLater(f"node '{node}' says: {detail}{hint}")
