"""Silences that people make by hand, beside those of git; both are seen under `/api/v1/silences`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from quart import Response

from olympus.apollo.ports import Surroundings
from olympus.apollo.problems import Problem
from olympus.apollo.request import Request, json_answer
from olympus.hermes import keys
from olympus.hermes.kv import Delete, Op, Put
from olympus.kernel.clock import rfc3339
from olympus.kernel.errors import Conflict, NotFound
from olympus.kernel.ids import new_id
from olympus.records.incident import SilenceRecord
from olympus.records.status.verdict import Verdict
from olympus.spec.duration import parse_duration
from olympus.spec.kinds import API_VERSION
from olympus.spec.selector import parse_selector

_FIELDS: Final = frozenset({"rules", "nodes", "for", "until", "reason"})
_MAX_REASON: Final = 1000
_MAX_RULES: Final = 1000
_FORGOTTEN: Final = timedelta(days=7)
_SWEPT: Final = 20


async def by_hand(around: Surroundings) -> list[dict[str, Any]]:
    """Those that people made, in the shape of a resource."""
    now = around.clock.now()
    return [_shown(record, now) for record in await _records(around)]


async def _records(around: Surroundings) -> list[SilenceRecord]:
    return [SilenceRecord.from_bytes(one.value) for one in (await around.kv.scan(keys.SILENCES)).entries]


def _shown(record: SilenceRecord, now: datetime) -> dict[str, Any]:
    raw = record.to_json()
    counts = record.until > now
    stands = (
        Verdict(record.at, "Silencing", ready="True")
        if counts
        else Verdict(record.until, "Over", f"it ended at {raw['until']}")
    )
    return {
        "apiVersion": API_VERSION,
        "kind": "Silence",
        "metadata": {"name": record.id, "labels": {}, "annotations": {}},
        "spec": {
            "rules": raw["rules"],
            "nodes": {"selector": record.selector},
            "until": raw["until"],
            "reason": record.reason,
        },
        "status": {"by": record.by, "at": raw["at"], "conditions": stands.conditions(None)},
    }


class Silences:
    def __init__(self, around: Surroundings) -> None:
        self._around = around

    async def make(self, request: Request) -> Response:
        """`{rules, nodes: {selector}, for: 1h | until: TIME, reason}`."""
        now = self._around.clock.now()
        record = _read(request.json(), now, request.by.name)
        root = await self._around.catalogs.root()
        catalog = await self._around.catalogs.load(root) if root else None
        for rule in record.rules:
            if catalog is None or catalog.get("Rule", rule) is None:
                raise Problem(422, f"there is no Rule '{rule}'")
        over = [one.id for one in await _records(self._around) if one.until < now - _FORGOTTEN]
        ops: list[Op] = [Delete(keys.silence(one)) for one in over[:_SWEPT]]
        await self._around.kv.transact([Put(keys.silence(record.id), record.to_bytes()), *ops])
        await self._around.kv.flush()
        return json_answer(_shown(record, now), 201, Location=f"/api/v1/silences/{record.id}")

    async def end(self, request: Request) -> Response:
        name = request.params["name"]
        if await self._around.kv.get(keys.silence(name)) is None:
            root = await self._around.catalogs.root()
            catalog = await self._around.catalogs.load(root) if root else None
            if catalog is not None and catalog.get("Silence", name) is not None:
                raise Conflict(f"silence '{name}' is declared in git: remove it there")
            raise NotFound(f"there is no silence '{name}'")
        await self._around.kv.transact([Delete(keys.silence(name))])
        await self._around.kv.flush()
        return Response(b"", 204)


def _read(body: dict[str, Any], now: datetime, by: str) -> SilenceRecord:
    """Raises Problem 422."""
    for name in body:
        if name not in _FIELDS:
            raise Problem(422, f"unknown field {name!r}: there are {', '.join(sorted(_FIELDS))}")
    rules, reason, nodes = body.get("rules") or [], body.get("reason"), body.get("nodes") or {}
    named = isinstance(rules, list) and all(isinstance(one, str) for one in rules)
    if not named or len(rules) > _MAX_RULES:
        raise Problem(422, "rules has to be a list of names")
    if not isinstance(reason, str) or not 1 <= len(reason) <= _MAX_REASON:
        raise Problem(
            422, f"reason has to be a text of 1 to {_MAX_REASON} characters: who comes next reads it"
        )
    selector = nodes.get("selector", "") if isinstance(nodes, dict) else None
    if not isinstance(selector, str):
        raise Problem(422, 'nodes has to be {"selector": TEXT}')
    try:
        parse_selector(selector)
    except ValueError as error:
        raise Problem(422, str(error)) from error
    until = _until(body, now)
    if until <= now:
        raise Problem(422, f"until: {rfc3339(until)} is over already")
    return SilenceRecord(
        id=new_id(), rules=tuple(rules), selector=selector, until=until, reason=reason, by=by, at=now
    )


def _until(body: dict[str, Any], now: datetime) -> datetime:
    """Raises Problem 422."""
    lasts, until = body.get("for"), body.get("until")
    if (lasts is None) == (until is None):
        raise Problem(422, 'say how long, with one of for ("1h") and until ("2026-12-24T20:00:00Z")')
    try:
        if lasts is not None:
            return now + parse_duration(lasts)
        moment = datetime.fromisoformat(str(until))
        return moment.astimezone(UTC) if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    except (TypeError, ValueError, OverflowError) as error:
        raise Problem(422, f"{'for' if lasts is not None else 'until'}: {error}") from error
