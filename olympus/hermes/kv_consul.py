"""`Kv` on a local Consul agent."""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

import orjson

from olympus.hermes.consul_client import (
    LIBRARY_ERRORS,
    WAIT_SECONDS,
    ConsulAddress,
    ConsulAnswer,
    ConsulClient,
    as_error,
)
from olympus.hermes.kv import (
    MAX_PREFIX,
    Cas,
    CheckAbsent,
    CheckSession,
    CheckVersion,
    Delete,
    DeleteCas,
    DeletePrefix,
    Entry,
    Lock,
    Op,
    PartialRead,
    Put,
    Snapshot,
    TooLarge,
    TransactionConflict,
    Unlock,
    check_size,
)
from olympus.kernel.errors import HermesUnreachable, NotFound, Refused

log = logging.getLogger("olympus.hermes")

_VERBS: Final[Mapping[type[Any], str]] = {
    Put: "set",
    Cas: "cas",
    Delete: "delete",
    DeleteCas: "delete-cas",
    DeletePrefix: "delete-tree",
    CheckAbsent: "check-not-exists",
    CheckVersion: "check-index",
    CheckSession: "check-session",
    Lock: "lock",
    Unlock: "unlock",
}
_SETTING: Final = (Put, Cas, Lock, Unlock)
_FILTERED: Final = "X-Consul-Results-Filtered-By-ACLs"
_MIN_TTL: Final = 10.0
_FIRST_RETRY: Final = 0.1
_LAST_RETRY: Final = 5.0


async def open_consul(address: ConsulAddress) -> ConsulKv:
    """Raises HermesUnreachable where no agent answers, or its cluster has no leader."""
    kv = ConsulKv(ConsulClient.open(address))
    try:
        await kv.ping()
    except BaseException:
        await kv.close()
        raise
    return kv


class ConsulKv:
    """Of one event loop. Reads are Consul's default ones: by the leader, stale for no longer than its lease."""

    def __init__(self, client: ConsulClient) -> None:
        self.client = client

    async def ping(self) -> None:
        """Raises HermesUnreachable where there is no agent, or no leader. Any token may ask that."""
        answer: ConsulAnswer = await self.client.http.get(_whole, "/v1/status/leader")
        if not orjson.loads(answer.raw):
            raise HermesUnreachable(f"Consul at {self.client.http.base_uri} has no leader")

    async def get(self, key: str) -> Entry | None:
        answer = await self._read(key)
        entries = _entries(answer)
        return entries[0] if entries else None

    async def scan(self, prefix: str) -> Snapshot:
        answer = await self._read(prefix, ("recurse", "true"))
        return Snapshot(_entries(answer), _index(answer))

    async def keys(self, prefix: str) -> list[str]:
        answer = await self._read(prefix, ("keys", "true"))
        return sorted(orjson.loads(answer.raw)) if answer.code == 200 else []

    async def transact(self, ops: Sequence[Op]) -> dict[str, int]:
        check_size(ops)
        if not ops:
            return {}
        payload = orjson.dumps([{"KV": _operation(op)} for op in ops])
        answer: ConsulAnswer = await self.client.http.put(
            _whole, "/v1/txn", data=payload, headers=self.client.token_headers
        )
        if answer.code == 409:
            errors = orjson.loads(answer.raw)["Errors"]
            denied = [error["What"] for error in errors if "Permission denied" in error["What"]]
            if denied:
                raise Refused(f"Consul refuses the transaction: {denied[0]}")
            raise TransactionConflict(sorted({int(error["OpIndex"]) for error in errors}), ops)
        if answer.code == 413 or (answer.code == 400 and "too large" in answer.body):
            raise TooLarge(f"Consul refuses the transaction: {answer.body}")
        if answer.code != 200:
            raise Refused(f"Consul refuses the transaction: {answer.code} {answer.body[:200]}")
        results = orjson.loads(answer.raw)["Results"] or ()
        versions = {one["KV"]["Key"]: int(one["KV"]["ModifyIndex"]) for one in results if one.get("KV")}
        return {op.key: versions[op.key] for op in ops if isinstance(op, _SETTING)}

    async def flush(self) -> None:
        """A transaction of Consul's is on the disks of a majority when it returns."""

    async def watch(self, prefix: str) -> AsyncGenerator[Snapshot, None]:
        index, retry = 0, _FIRST_RETRY
        known: tuple[Entry, ...] | None = None
        while True:
            try:
                answer = await self._read(
                    prefix, ("recurse", "true"), ("index", str(index)), ("wait", f"{WAIT_SECONDS:g}s")
                )
                entries, now = _entries(answer), _index(answer)
            except HermesUnreachable as error:
                log.info("watch_waits", extra={"prefix": prefix, "why": str(error)})
                await asyncio.sleep(retry)
                retry = min(_LAST_RETRY, retry * 2)
                # The server may have been restored meanwhile: what it has is compared, not its index.
                index = 0
                continue
            retry = _FIRST_RETRY
            if sum(len(entry.value) for entry in entries) > MAX_PREFIX:
                raise TooLarge(f"{prefix!r} holds more than {MAX_PREFIX} bytes: watch a narrower prefix")
            # An index that goes back tells that the store was restored: begin anew. So may one that stands:
            # who waits during a restore is told what was there before it, and would wait on for a high index.
            index = now if now > index else 0
            # Consul may wake us with nothing new.
            if entries != known:
                known = entries
                yield Snapshot(entries, now)

    async def create_session(self, ttl: float, *, lock_delay: float = 0.0) -> str:
        body = {
            "Name": "olympus",
            "TTL": f"{max(_MIN_TTL, ttl):g}s",
            "LockDelay": f"{lock_delay:g}s",
            "Behavior": "release",
        }
        answer: ConsulAnswer = await self.client.http.put(
            _whole, "/v1/session/create", data=orjson.dumps(body), headers=self.client.token_headers
        )
        if answer.code != 200:
            raise HermesUnreachable(f"Consul makes no session: {answer.code} {answer.body[:200]}")
        return str(orjson.loads(answer.raw)["ID"])

    async def renew_session(self, session: str) -> None:
        answer: ConsulAnswer = await self.client.http.put(
            _whole, f"/v1/session/renew/{session}", headers=self.client.token_headers
        )
        if answer.code == 404:
            raise NotFound(f"session {session} has ended")
        if answer.code != 200:
            raise HermesUnreachable(f"Consul renews no session: {answer.code} {answer.body[:200]}")

    async def destroy_session(self, session: str) -> None:
        try:
            await self.client.session.destroy(session)
        except LIBRARY_ERRORS as error:
            raise as_error(error) from error

    async def close(self) -> None:
        await self.client.close()

    async def _read(self, key: str, *params: tuple[str, str]) -> ConsulAnswer:
        # The library quotes all but '/' and ':', as Consul wants it.
        answer: ConsulAnswer = await self.client.http.get(
            _whole, f"/v1/kv/{key}", params=params, headers=self.client.token_headers
        )
        if answer.headers.get(_FILTERED) == "true":
            raise PartialRead(f"Consul kept back keys under {key!r} that this token may not read")
        if answer.code not in (200, 404):
            raise HermesUnreachable(f"Consul: {answer.code} {answer.body[:200]} at {quote(key)}")
        return answer


def _whole(answer: ConsulAnswer) -> ConsulAnswer:
    return answer


def _index(answer: ConsulAnswer) -> int:
    # A text: as texts, "9" would be greater than "10".
    return int(answer.headers.get("X-Consul-Index") or 0)


def _entries(answer: ConsulAnswer) -> tuple[Entry, ...]:
    if answer.code == 404:
        return ()
    found = [
        Entry(
            item["Key"],
            base64.b64decode(item["Value"]) if item["Value"] else b"",
            int(item["ModifyIndex"]),
            item.get("Session"),
        )
        for item in orjson.loads(answer.raw)
    ]
    return tuple(sorted(found, key=lambda entry: entry.key))


def _operation(op: Op) -> dict[str, Any]:
    if isinstance(op, DeletePrefix):
        return {"Verb": _VERBS[DeletePrefix], "Key": op.prefix}
    body: dict[str, Any] = {"Verb": _VERBS[type(op)], "Key": op.key}
    if isinstance(op, _SETTING):
        body["Value"] = base64.b64encode(op.value).decode()
    if isinstance(op, Cas | DeleteCas | CheckVersion):
        body["Index"] = op.version
    if isinstance(op, CheckSession | Lock | Unlock):
        body["Session"] = op.session
    return body
