"""`http` steps: one request; 2xx and 3xx succeed."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson

from olympus.hephaestus.attempt import Attempt
from olympus.hephaestus.execute_process import Tools
from olympus.hephaestus.mask import Masker
from olympus.hephaestus.orders import MAX_OUTPUT, HttpAction, Order, Outcome, SecretRef
from olympus.host.http_aiohttp import HttpClient, HttpFailed, Response

_DEFAULT_TIMEOUT = 30.0


async def execute(order: Order, cancel: asyncio.Event, tools: Tools, client: HttpClient) -> Outcome:
    """Raises OlympusError where the request may not be made."""
    action = order.action
    if not isinstance(action, HttpAction):
        raise TypeError(action)
    started = tools.clock.now()
    attempt = Attempt.of(order, tools.runs)
    refs = [value for value in action.headers.values() if isinstance(value, SecretRef)]
    values = {ref.secret: tools.secrets.read(ref.secret, ref.source) for ref in refs}
    masker = Masker(values.values())
    headers = {
        name: value.prefix + values[value.secret] if isinstance(value, SecretRef) else value
        for name, value in action.headers.items()
    }
    body = _body(action.body, headers)
    attempt.begun()
    asking = asyncio.ensure_future(
        client.request(
            action.method, action.url, headers=headers, body=body, timeout=order.timeout or _DEFAULT_TIMEOUT
        )
    )
    stopping = asyncio.ensure_future(cancel.wait())
    await asyncio.wait((asking, stopping), return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not asking.done():
        asking.cancel()
        # It may have arrived: what was asked for is not known to be undone.
        return Outcome(
            state="cancelled", error="cancelled", started_at=started, finished_at=tools.clock.now()
        )
    try:
        answer = asking.result()
    except HttpFailed as error:
        said = masker.text(str(error))
        attempt.log.write_text(f"{action.method} {masker.text(action.url)}\n{said}\n")
        return Outcome(state="failed", error=said, started_at=started, finished_at=tools.clock.now())
    succeeded = 200 <= answer.status < 400
    asked = f"{action.method} {masker.text(action.url)} → {answer.status}\n".encode()
    attempt.log.write_bytes(asked + masker.data(answer.body).rstrip(b"\n") + b"\n")
    return Outcome(
        state="succeeded" if succeeded else "failed",
        exit=answer.status,
        output=masker.json(_output(answer)),
        error="" if succeeded else f"the answer was {answer.status}",
        started_at=started,
        finished_at=tools.clock.now(),
    )


def _body(body: Any, headers: dict[str, str]) -> bytes | None:
    if body is None:
        return None
    if isinstance(body, str):
        return body.encode()
    if not any(name.lower() == "content-type" for name in headers):
        headers["Content-Type"] = "application/json"
    return orjson.dumps(body)


def _output(answer: Response) -> dict[str, Any]:
    text = answer.body[:MAX_OUTPUT].decode(errors="replace")
    try:
        body: Any = orjson.loads(answer.body) if len(answer.body) <= MAX_OUTPUT // 2 else text
    except ValueError:
        body = text
    return {"status": answer.status, "headers": dict(answer.headers), "body": body}
