"""Webhooks: open to the world, each by its own proof. Proof comes first, before anything is parsed."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

import orjson
from quart import Response

from olympus.apollo.ports import Surroundings
from olympus.apollo.problems import Problem
from olympus.apollo.request import Request, json_answer
from olympus.hermes.keys import ROOT
from olympus.hermes.kv import CheckAbsent, Put, TransactionConflict
from olympus.kernel.errors import Invalid, NotFound, Refused
from olympus.kernel.events import Event
from olympus.kernel.ids import new_id
from olympus.records.run import Cause
from olympus.spec.catalog import Catalog, Resource
from olympus.spec.expression import ExpressionError, compile_condition, compile_value
from olympus.spec.kinds import WebhookSpec
from olympus.spec.template import as_text, render

_DELIVERIES: Final = ROOT + "deliveries/"
RECEIVED: Final = "olympus.apollo.webhook-received"


class Webhooks:
    def __init__(self, around: Surroundings) -> None:
        self._around = around

    async def receive(self, request: Request) -> Response:
        catalog = await self._catalog()
        hook = catalog.get("Webhook", request.params["name"]) if catalog else None
        if catalog is None or hook is None:
            raise NotFound(f"there is no webhook '{request.params['name']}'")
        spec: WebhookSpec = hook.spec
        proof = self._proof(spec, hook, catalog, request)
        body = _parsed(request)
        roots = {
            "body": body,
            "header": {name.lower().replace("-", "_"): value for name, value in request.headers.items()},
            "query": dict(request.query),
        }
        if spec.where is not None and not compile_condition(spec.where).evaluate(roots).value:
            return Response(b"", 204)
        claims = self._claims(spec, hook.name, proof, roots)
        for key in claims:
            known = await self._around.kv.get(key)
            if known is not None:
                return json_answer({"id": known.value.decode()}, 200)
        return await self._start(hook, roots, claims)

    async def _catalog(self) -> Catalog | None:
        root = await self._around.catalogs.root()
        return await self._around.catalogs.load(root) if root else None

    async def _start(self, hook: Resource, roots: Mapping[str, Any], claims: list[str]) -> Response:
        spec: WebhookSpec = hook.spec
        try:
            params = render(dict(spec.params), roots)
        except ExpressionError as error:
            raise Problem(422, str(error)) from error
        event = Event(
            new_id(),
            RECEIVED,
            f"olympus/apollo/{self._around.node}",
            self._around.clock.now(),
            {"name": hook.name, "pipeline": spec.pipeline, "actor": f"webhook/{hook.name}"},
            subject=hook.name,
            node=self._around.node,
        )
        # The delivery is taken first: of two that come at once, one starts the run and the other learns its id.
        run_key = f"webhook/{hook.name}/{event.id}"
        cause = Cause(event=event.id, kind="webhook", name=hook.name)
        ops = [op for key in claims for op in (CheckAbsent(key), Put(key, event.id.encode()))]
        try:
            await self._around.bus.publish([event], ops)
        except TransactionConflict:
            known = await self._around.kv.get(claims[0])
            return json_answer({"id": known.value.decode() if known else ""}, 200)
        try:
            started = await self._around.runs.start(
                spec.pipeline, params, cause, idempotency_key=run_key, event=event
            )
        except (Invalid, NotFound, Refused) as error:
            raise Problem(422, str(error)) from error
        await self._around.kv.transact([Put(key, started.id.encode()) for key in claims])
        return json_answer({"id": started.id}, 202)

    def _proof(self, spec: WebhookSpec, hook: Resource, catalog: Catalog, request: Request) -> str:
        """What proves this very delivery. Raises Problem 401; says nothing of why."""
        secret = self._secret(spec, hook, catalog)
        verify, headers = spec.verify, request.headers
        if verify.token is not None:
            scheme, _, given = headers.get("authorization", "").partition(" ")
            _demand(scheme.lower() == "bearer" and hmac.compare_digest(given.encode(), secret))
            return ""
        if verify.gitlab is not None:
            _demand(hmac.compare_digest(headers.get("x-gitlab-token", "").encode(), secret))
            return headers.get("x-gitlab-event-uuid", "")
        name = (
            "x-hub-signature-256"
            if verify.github or verify.hmac is None
            else verify.hmac.header.replace("_", "-")
        )
        given = headers.get(name, "").removeprefix("sha256=").lower()
        wanted = hmac.new(secret, request.body, hashlib.sha256).hexdigest()
        _demand(hmac.compare_digest(given.encode(), wanted.encode()))
        # The same signature is the same body: a replay.
        return given

    def _secret(self, spec: WebhookSpec, hook: Resource, catalog: Catalog) -> bytes:
        name = spec.verify.secret
        declared = catalog.get("Secret", name)
        if declared is None or hook.name not in declared.spec.webhooks:
            raise Problem(503, f"webhook '{hook.name}' has no secret that it may use")
        try:
            value = self._around.secrets.read(name, declared.spec.from_.to_json())
        except Refused as error:
            raise Problem(503, f"webhook '{hook.name}' can't be verified here: {error}") from error
        if not value:
            raise Problem(503, f"webhook '{hook.name}' can't be verified here: its secret is empty")
        return value.encode()

    def _claims(self, spec: WebhookSpec, hook: str, proof: str, roots: Mapping[str, Any]) -> list[str]:
        """The keys of what must not have been seen before: the delivery's id, else its signature."""
        seen = []
        if spec.dedupe is not None:
            try:
                seen.append("id:" + as_text(compile_value(spec.dedupe).evaluate(roots)))
            except ExpressionError:
                seen.append("")
        if proof:
            seen.append("proof:" + proof)
        return [_DELIVERIES + hook + "/" + hashlib.sha256(one.encode()).hexdigest() for one in seen if one]


def _demand(holds: bool) -> None:
    if not holds:
        raise Problem(401, "the request is not signed as this webhook wants it")


def _parsed(request: Request) -> Any:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/x-www-form-urlencoded":
        form = dict(parse_qsl(request.body.decode(errors="replace")))
        if "payload" not in form:
            return form
        return _json(form["payload"].encode())
    return _json(request.body) if request.body else {}


def _json(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except ValueError as error:
        raise Problem(400, f"the body is no JSON: {error}") from error
