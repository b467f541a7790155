"""The registry of a cluster: each Olympus is a service of its agent's, with a check that it keeps passing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any, Final

import orjson

from olympus.hermes.consul_client import WAIT_SECONDS, ConsulAnswer, ConsulClient
from olympus.hermes.kv import PartialRead
from olympus.hermes.registry import Member
from olympus.kernel.errors import HermesUnreachable, OlympusError, Refused

log = logging.getLogger("olympus.hermes")

SERVICE: Final = "olympus"
_TTL: Final = 10.0
_FORGET: Final = "24h"


class ConsulRegistry:
    """`keep` has to run where a member was registered: it keeps the check passing."""

    def __init__(self, client: ConsulClient) -> None:
        self._client = client
        self._registered: Member | None = None

    async def register(self, member: Member) -> None:
        check = {
            "CheckID": _check_id(member.name),
            "TTL": f"{_TTL:g}s",
            "Status": "passing",
            "DeregisterCriticalServiceAfter": _FORGET,
        }
        body = {
            "ID": f"{SERVICE}-{member.name}",
            "Name": SERVICE,
            "Address": member.address,
            "Meta": {**member.meta, "node": member.name},
            "Check": check,
        }
        await self._put("/v1/agent/service/register", body)
        self._registered = member

    async def deregister(self, name: str) -> None:
        await self._put(f"/v1/agent/service/deregister/{SERVICE}-{name}", None)
        if self._registered is not None and self._registered.name == name:
            self._registered = None

    async def keep(self) -> None:
        """Until cancelled: tell the agent that we live; register again where the agent has forgotten us."""
        while True:
            await asyncio.sleep(_TTL / 3)
            member = self._registered
            if member is None:
                continue
            try:
                await self._put(f"/v1/agent/check/pass/{_check_id(member.name)}", None)
            except Refused:
                await self._again(member)
            except HermesUnreachable as error:
                log.info("check_waits", extra={"why": str(error)})

    async def _again(self, member: Member) -> None:
        try:
            await self.register(member)
        except OlympusError as error:
            log.warning("not_registered", extra={"why": str(error)})

    async def members(self) -> tuple[Member, ...]:
        return _members(await self._health(0))

    async def watch(self) -> AsyncIterator[tuple[Member, ...]]:
        index = 0
        known: tuple[Member, ...] | None = None
        while True:
            try:
                answer = await self._health(index)
            except HermesUnreachable as error:
                log.info("members_wait", extra={"why": str(error)})
                await asyncio.sleep(1.0)
                index = 0
                continue
            now = int(answer.headers.get("X-Consul-Index") or 0)
            index = now if now >= index else 0
            members = _members(answer)
            if members != known:
                known = members
                yield members

    async def _health(self, index: int) -> ConsulAnswer:
        params = [("index", str(index)), ("wait", f"{WAIT_SECONDS:g}s")] if index else []
        answer: ConsulAnswer = await self._client.http.get(
            _whole, f"/v1/health/service/{SERVICE}", params=params, headers=self._client.token_headers
        )
        if answer.headers.get("X-Consul-Results-Filtered-By-ACLs") == "true":
            raise PartialRead("Consul kept back nodes that this token may not read: nobody counts as gone")
        if answer.code != 200:
            raise HermesUnreachable(f"Consul: {answer.code} {answer.body[:200]}")
        return answer

    async def _put(self, path: str, body: Any) -> None:
        data = b"" if body is None else orjson.dumps(body)
        answer: ConsulAnswer = await self._client.http.put(
            _whole, path, data=data, headers=self._client.token_headers
        )
        if answer.code != 200:
            raise Refused(f"Consul's agent refuses {path}: {answer.code} {answer.body[:200]}")


def _whole(answer: ConsulAnswer) -> ConsulAnswer:
    return answer


def _check_id(node: str) -> str:
    return f"{SERVICE}-{node}-alive"


def _members(answer: ConsulAnswer) -> tuple[Member, ...]:
    found = {}
    for item in orjson.loads(answer.raw):
        service = item["Service"]
        meta = dict(service.get("Meta") or {})
        name = meta.pop("node", None)
        if name:
            alive = all(check["Status"] == "passing" for check in item["Checks"])
            found[name] = Member(name, service.get("Address") or item["Node"]["Address"], alive, meta)
    return tuple(found[name] for name in sorted(found))
