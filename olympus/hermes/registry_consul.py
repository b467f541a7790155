"""The registry of a cluster: each Olympus is a service of its agent's, with a check that it keeps passing.

Each node's service has a name of its own, since Consul grants writing by the names of services: under one name,
any node could register another one's. They are found by a tag of their checks, all at once.
"""

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

TAG: Final = "olympus-node"
_PREFIX: Final = "olympus-"
_TTL: Final = 10.0
_FORGET: Final = "24h"
# A host is as alive as its own checks and those of its agent (serf's, and what an operator added).
_WANTED: Final = f'ServiceID == "" or "{TAG}" in ServiceTags'


def service_of(node: str) -> str:
    """The name of the service that a node registers."""
    return _PREFIX + node


class ConsulRegistry:
    """`keep` has to run where a member was registered: it keeps the check passing."""

    def __init__(self, client: ConsulClient) -> None:
        self._client = client
        self._registered: Member | None = None

    async def register(self, member: Member) -> None:
        told = {"address": member.address, **member.meta}
        check = {
            "CheckID": _check_id(member.name),
            "Notes": orjson.dumps(told).decode(),
            "TTL": f"{_TTL:g}s",
            "Status": "passing",
            "DeregisterCriticalServiceAfter": _FORGET,
        }
        body = {
            "ID": service_of(member.name),
            "Name": service_of(member.name),
            "Tags": [TAG],
            "Address": member.address,
            "Meta": dict(member.meta),
            "Check": check,
        }
        await self._put("/v1/agent/service/register", body)
        # A check that is there keeps its status: without this, who comes back counts as gone until `keep` says so.
        await self._put(f"/v1/agent/check/pass/{_check_id(member.name)}", None)
        self._registered = member

    async def deregister(self, name: str) -> None:
        await self._put(f"/v1/agent/service/deregister/{service_of(name)}", None)
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
        params = [("filter", _WANTED)]
        if index:
            params += [("index", str(index)), ("wait", f"{WAIT_SECONDS:g}s")]
        answer: ConsulAnswer = await self._client.http.get(
            _whole, "/v1/health/state/any", params=params, headers=self._client.token_headers
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
    return f"{service_of(node)}-alive"


def _members(answer: ConsulAnswer) -> tuple[Member, ...]:
    checks = orjson.loads(answer.raw)
    failing = {check["Node"] for check in checks if not check["ServiceID"] and check["Status"] != "passing"}
    found: dict[str, Member] = {}
    for check in checks:
        service = check["ServiceName"]
        if not check["ServiceID"] or not service.startswith(_PREFIX):
            continue
        name = service.removeprefix(_PREFIX)
        before = found.get(name)
        alive = check["Status"] == "passing" and check["Node"] not in failing
        told = _told(check["Notes"])
        found[name] = Member(name, told.pop("address", ""), alive and (before is None or before.alive), told)
    return tuple(found[name] for name in sorted(found))


def _told(notes: str) -> dict[str, str]:
    """What a node says of itself: it may be anything."""
    try:
        found = orjson.loads(notes)
    except ValueError:
        return {}
    return {str(name): str(said) for name, said in found.items()} if isinstance(found, dict) else {}
