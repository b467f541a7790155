"""Plans, syncs, tokens, the audit, and what there is in all."""

from __future__ import annotations

from typing import Any

from quart import Response

from olympus.apollo.audit import Audit
from olympus.apollo.ports import Surroundings
from olympus.apollo.problems import Problem
from olympus.apollo.request import Request, json_answer, listed, paged
from olympus.apollo.sight import sight_of
from olympus.apollo.tokens import Tokens
from olympus.hermes import keys
from olympus.records.document import Document
from olympus.records.status import shown_all
from olympus.records.status.declared import specs_status
from olympus.spec.duration import parse_duration
from olympus.spec.expression import ExpressionError, compile_condition, compile_value


class Admin:
    def __init__(self, around: Surroundings, tokens: Tokens, audit: Audit) -> None:
        self._around = around
        self._tokens = tokens
        self._audit = audit

    async def plan(self, request: Request) -> Response:
        """`{"ref": …, "against": "live"}`."""
        body = request.json(optional=True)
        ref, against = body.get("ref"), body.get("against")
        if not isinstance(ref, str | None) or against not in (None, "live"):
            raise Problem(422, 'the body is {"ref": REF}, or {"ref": REF, "against": "live"}')
        made = await self._around.zeus.plan(ref, live=against == "live")
        return json_answer(made.to_json())

    async def sync(self, request: Request) -> Response:
        outcome = await self._around.zeus.sync(prune=bool(request.json(optional=True).get("prune")))
        return json_answer(_said(outcome))

    async def rollback(self, request: Request) -> Response:
        ref = request.json().get("ref")
        if not isinstance(ref, str):
            raise Problem(422, 'the body is {"ref": REF}')
        return json_answer(_said(await self._around.zeus.rollback(ref, by=request.by.name)))

    async def status(self, request: Request) -> Response:
        """What runs, and what is wrong."""
        cluster = await self._around.zeus.cluster()
        root = await self._around.catalogs.root()
        catalog = await self._around.catalogs.load(root) if root else None
        sight = await sight_of(self._around.catalogs, request.by)
        kinds = {
            kind: sight.part(kind, shown_all(kind, catalog, cluster))
            for kind in ("Node", "Service", "Schedule")
        }
        problems = [
            {"kind": kind, "name": item["metadata"]["name"], "reason": c["reason"], "message": c["message"]}
            for kind, items in kinds.items()
            for item in items
            for c in item["status"]["conditions"]
            if c["type"] == "Ready" and c["status"] != "True"
        ]
        live = await self._around.kv.keys(keys.LIVE_RUNS)
        return json_answer(
            {
                "node": self._around.node,
                "version": self._around.version,
                "specs": specs_status(cluster),
                "counts": {kind: len(items) for kind, items in kinds.items()} | {"liveRuns": len(live)},
                "problems": problems,
            }
        )

    async def evaluate(self, request: Request) -> Response:
        """An expression on an event: its value, and as a condition each clause with its reason."""
        body = request.json()
        text, event_id = body.get("expression"), body.get("event")
        if not isinstance(text, str) or not isinstance(event_id, str | None):
            raise Problem(422, 'the body is {"expression": TEXT, "event": ID}')
        event = await self._around.bus.find(event_id) if event_id else None
        if event_id and event is None:
            raise Problem(404, f"there is no event {event_id}, or it is not kept any more")
        raw = event.to_json() if event else {}
        roots = {**raw, "event": raw}
        try:
            verdict = compile_condition(text).evaluate(roots)
        except ExpressionError as error:
            raise Problem(422, str(error)) from error
        try:
            value = compile_value(text).evaluate(roots)
        except ExpressionError:
            value = None
        clauses = [{"clause": c.text, "value": c.value, "because": c.because} for c in verdict.clauses]
        return json_answer({"value": value, "holds": verdict.value, "clauses": clauses})

    async def tokens(self, request: Request) -> Response:
        return paged(await self._tokens.all(), request)

    async def create_token(self, request: Request) -> Response:
        """`{"role": …, "expires": "30d", "name": …}`; the answer alone has the token."""
        body = request.json()
        role, expires, name = body.get("role"), body.get("expires"), body.get("name", "")
        if not isinstance(role, str) or not isinstance(expires, str | None) or not isinstance(name, str):
            raise Problem(422, 'the body is {"role": ROLE, "expires": "30d", "name": TEXT}')
        try:
            lifetime = parse_duration(expires) if expires else None
        except ValueError as error:
            raise Problem(422, str(error)) from error
        shown, token = await self._tokens.create(role, name, lifetime)
        return json_answer(shown | {"token": token}, 201)

    async def revoke_token(self, request: Request) -> Response:
        await self._tokens.revoke(request.params["id"])
        return Response(b"", 204)

    async def audit(self, request: Request) -> Response:
        """Newest first."""
        before = request.cursor
        if before is not None and not before.isdigit():
            raise Problem(400, f"cursor {before!r} is not one that was handed out")
        items, after = await self._audit.page(request.limit, int(before) if before else None)
        return listed(items, None if after is None else str(after))

    async def check_audit(self, _request: Request) -> Response:
        broken = await self._audit.broken()
        return json_answer({"intact": broken is None, "broken": broken})


def _said(outcome: Any) -> Any:
    return outcome.to_json() if isinstance(outcome, Document) else {"applied": False}
