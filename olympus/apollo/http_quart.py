"""The app: who may take a route, what errors look like, what is refused before it is read.

The order is fixed: host and origin, then who asks, then the role, then the body. 401 comes before parsing and
before 404; what is not in the tables is refused.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlsplit

from quart import Quart, Response
from quart import request as quart_request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from olympus.apollo import openapi, problems
from olympus.apollo.access import Caller, Role, narrowed
from olympus.apollo.api_users import SessionHandlers, UserHandlers
from olympus.apollo.audit import Audit
from olympus.apollo.login import Login
from olympus.apollo.metrics import Metrics
from olympus.apollo.pages import Pages
from olympus.apollo.peers import HEADER, PASSED, Call
from olympus.apollo.ports import GitCall, Surroundings
from olympus.apollo.problems import Problem
from olympus.apollo.request import MAX_BODY, Request, json_answer
from olympus.apollo.routes import API, Route, table
from olympus.apollo.sessions import COOKIE, Session, Sessions
from olympus.apollo.tokens import Tokens
from olympus.apollo.users import Users
from olympus.kernel.errors import OlympusError

log = logging.getLogger("olympus.apollo")

_MAX_PUSH: Final = 512 * 1024 * 1024
_PUSHERS: Final[dict[str, Role]] = {"notes": "operator"}
_PASSED_ON: Final = ("content-type", "if-match", "if-none-match", "idempotency-key", "accept")
_PASSED_BACK: Final = (
    "content-type",
    "content-disposition",
    "etag",
    "location",
    "retry-after",
)
_FROM_OTHERS: Final = ("/", "/login/callback")
"""Where pages of other sites may lead to."""

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class App:
    """Builds the Quart app around what boot gives."""

    def __init__(self, around: Surroundings, tokens: Tokens) -> None:
        self._around = around
        self._tokens = tokens
        self._audit = Audit(around.kv, around.clock)
        users = Users(around.kv, around.clock)
        self._sessions = Sessions(around.kv, around.clock, tokens, users)
        login = Login(around, tokens, users)
        self._metrics = Metrics(around)
        self._pages = Pages(around, tokens, self._sessions, self._audit, login)
        people = UserHandlers(users, login), SessionHandlers(self._sessions)
        self.routes = table(around, tokens, self._audit, people)
        self._document = openapi.document(self.routes, around.version)

    def build(self) -> Quart:
        app = Quart("olympus", static_folder=None, template_folder=None)
        app.config.update(MAX_CONTENT_LENGTH=_MAX_PUSH, PROVIDE_AUTOMATIC_OPTIONS=False, BODY_TIMEOUT=None)
        for route in self.routes:
            # A plural is part of the path, for the handler it is a parameter.
            kind = {"kind": route.path.split("/")[3]} if route.path.startswith(API) else {}
            self._add(app, route, kind)
        document = Route("GET", f"{API}/openapi.json", "viewer", "This document", self._openapi)
        self._add(app, document, {})
        for path, probe in (("/healthz", self._healthz), ("/readyz", self._readyz), ("/metrics", self._text)):
            self._add(app, Route("GET", path, "open", "", probe), {})
        self._add_git(app)
        self._pages.add_to(app, self._page)
        app.add_url_rule(
            f"{API}/<path:rest>", "api-unknown", self._unknown, methods=["GET", "POST", "PUT", "DELETE"]
        )
        app.register_error_handler(HTTPException, self._http_error)
        app.register_error_handler(Exception, self._broken)
        app.before_request(self._check_host)
        app.after_request(self._headers)
        return app

    # --- routes ------------------------------------------------------------------------------------------

    def _add(self, app: Quart, route: Route, fixed: dict[str, str]) -> None:
        async def view(**params: str) -> Response:
            return await self._serve(route, {**fixed, **params})

        rule = route.path.replace("{path}", "<path:path>").replace("{", "<").replace("}", ">")
        app.add_url_rule(
            rule,
            f"{route.method} {route.path}",
            view,
            methods=[route.method],
            provide_automatic_options=False,
        )

    async def _serve(self, route: Route, params: dict[str, str]) -> Response:
        caller: Caller | None = None
        peer: str | None = None
        passed: str | None = None
        digest: str | None = None
        try:
            if route.access != "open":
                peer = quart_request.headers.get(HEADER) if route.peers else None
                passed = quart_request.headers.get(PASSED) if route.home else None
                session: Session | None = None
                if passed is not None:
                    caller, digest = await self._passed(passed)
                else:
                    caller, session = await (self._caller() if peer is None else self._peer(peer))
                if session is not None:
                    self._check_form(session)
                _demand(caller, route.access, part=route.part)
            request = await self._request(params, caller, from_peer=peer is not None)
            _check_digest(request.body, digest)
            if route.home and self._around.notes is None and caller is not None:
                response = await self._pass_on(request, caller, passed=digest is not None)
            else:
                response = await route.handler(request)
        except Problem as problem:
            response = problems.answer(problem)
        except OlympusError as error:
            response = problems.answer(problems.of_error(error))
        except RequestEntityTooLarge:
            response = problems.answer(Problem(413, f"the body may have {MAX_BODY} bytes"))
        if route.changes and caller is not None and digest is None:
            subject = "/".join(params.values())
            await self._audit.record(caller, f"{route.method} {route.path}", subject, response.status_code)
        self._metrics.answered(route.method, response.status_code)
        return response

    async def _request(self, params: dict[str, str], caller: Caller | None, *, from_peer: bool) -> Request:
        length = quart_request.content_length
        if length is not None and length > MAX_BODY:
            raise Problem(413, f"the body may have {MAX_BODY} bytes")
        return Request(
            method=quart_request.method,
            path=quart_request.path,
            params=params,
            query=quart_request.args.to_dict(),
            queries=quart_request.args.to_dict(flat=False),
            headers={name.lower(): value for name, value in quart_request.headers.items()},
            body=await _body() if quart_request.method not in _SAFE else b"",
            caller=caller,
            address=quart_request.remote_addr or "",
            from_peer=from_peer,
        )

    async def _peer(self, header: str) -> tuple[Caller, None]:
        """Raises Problem 401."""
        asked = quart_request.args.to_dict()
        caller = await self._around.peers.caller(header, quart_request.path, asked)
        if caller is None:
            raise Problem(401, "no controller signed this request for this host, or not just now")
        return caller, None

    async def _passed(self, header: str) -> tuple[Caller, str]:
        """Raises Problem 401."""
        call = Call(quart_request.method, quart_request.path, quart_request.args.to_dict())
        found = await self._around.peers.passed(header, call)
        if found is None:
            raise Problem(401, "no controller passed this request on to this host, or not just now")
        return await self._narrowed(found[0]), found[1]

    async def _pass_on(self, request: Request, caller: Caller, *, passed: bool) -> Response:
        """What the host that has the notes answers."""
        home = self._around.notes_home
        if passed:
            raise Problem(503, f"the notes are not here: they are on node '{home}'")
        given = {name: request.headers[name] for name in _PASSED_ON if name in request.headers}
        call = Call(request.method, request.path, request.query, request.body, given)
        answer = await self._around.peers.pass_on(home, call, caller)
        response = Response(answer.body, answer.status)
        for name in _PASSED_BACK:
            if name in answer.headers:
                response.headers[name] = answer.headers[name]
        return response

    async def _caller(self) -> tuple[Caller, Session | None]:
        """Raises Problem 401. A token counts before a session."""
        header = quart_request.headers.get("Authorization")
        if header is not None:
            caller = await self._tokens.check(_token_in(header))
            if caller is None:
                raise Problem(401, "the token is not known, is over, or was revoked")
            return await self._narrowed(caller), None
        cookie = quart_request.cookies.get(COOKIE)
        session = await self._sessions.check(cookie) if cookie else None
        if session is None:
            raise Problem(401, "a token is needed: Authorization: Bearer …")
        return await self._narrowed(session.caller), session

    async def _narrowed(self, caller: Caller) -> Caller:
        root = await self._around.catalogs.root()
        return narrowed(caller, await self._around.catalogs.load(root)) if root else caller

    def _check_form(self, session: Session) -> None:
        """What a browser posts with its cookie has to say what only our own page can know."""
        if quart_request.method in _SAFE:
            return
        if quart_request.headers.get("X-Olympus-Form") != session.form_token:
            raise Problem(403, "the request has no valid form token: use a bearer token, or the page")

    async def _unknown(self, **_params: str) -> Response:
        try:
            await self._caller()
        except Problem as problem:
            return problems.answer(problem)
        return problems.answer(Problem(404, f"there is no route {quart_request.method} {quart_request.path}"))

    # --- probes ------------------------------------------------------------------------------------------

    async def _healthz(self, _request: Request) -> Response:
        return json_answer({"status": "ok"})

    async def _readyz(self, _request: Request) -> Response:
        reasons = list(self._around.ready())
        return json_answer({"ready": not reasons, "waitsFor": reasons}, 503 if reasons else 200)

    async def _text(self, _request: Request) -> Response:
        return Response(await self._metrics.text(), mimetype="text/plain")

    async def _openapi(self, _request: Request) -> Response:
        return json_answer(self._document)

    # --- git ---------------------------------------------------------------------------------------------

    def _add_git(self, app: Quart) -> None:
        async def view(repository: str, rest: str) -> Response:
            return await self._git(repository, rest)

        app.add_url_rule(
            "/git/<repository>.git/<path:rest>",
            "git",
            view,
            methods=["GET", "POST"],
            provide_automatic_options=False,
        )

    async def _git(self, repository: str, rest: str) -> Response:
        call = GitCall(
            repository,
            quart_request.method,
            rest,
            quart_request.query_string.decode("latin-1"),
            {name.lower(): value for name, value in quart_request.headers.items()},
            "",
            quart_request.remote_addr or "",
        )
        try:
            caller, _ = await self._caller()
            pushes = self._around.git.pushes(call)
            # A clone shows everything.
            _demand(caller, _PUSHERS.get(repository, "admin") if pushes else "viewer")
            if repository == "notes" and self._around.notes is None:
                return await self._at_home(call)
            call = replace(call, user=caller.name)
            serving = self._around.git.serve(call, _pieces())
            answer = await serving.__aenter__()
        except Problem as problem:
            response = problems.answer(problem)
            if problem.status == 401:
                response.headers["WWW-Authenticate"] = (
                    'Basic realm="Olympus: any user name, a token as password"'
                )
            return response
        except OlympusError as error:
            return problems.answer(problems.of_error(error))
        if pushes and rest == "git-receive-pack":
            await self._audit.record(caller, "git push", repository, answer.status)

        async def body() -> AsyncIterator[bytes]:
            try:
                async for piece in answer.body:
                    yield piece
            finally:
                await serving.__aexit__(None, None, None)
                if self._around.notes is not None:
                    self._around.notes.stirred.set()

        response = Response(body(), answer.status, headers=dict(answer.headers))
        response.timeout = None
        return response

    async def _at_home(self, call: GitCall) -> Response:
        url = await self._around.peers.url(self._around.notes_home)
        query = f"?{call.query}" if call.query else ""
        return Response(b"", 307, headers={"Location": f"{url}/git/notes.git/{call.path}{query}"})

    # --- pages -------------------------------------------------------------------------------------------

    async def _page(self, handler: Any, *, open_to_all: bool = False) -> Response:
        """A page's handler with the session; without one, to the login."""
        cookie = quart_request.cookies.get(COOKIE)
        session = await self._sessions.check(cookie) if cookie else None
        if session is None and not open_to_all:
            return Response(b"", 303, headers={"Location": "/login"})
        if session is not None:
            session = replace(session, caller=await self._narrowed(session.caller))
        response: Response = await handler(session)
        return response

    # --- around each request -----------------------------------------------------------------------------

    async def _check_host(self) -> Response | None:
        """Names that rebind to us, and pages of other sites, get nothing."""
        if quart_request.path in ("/healthz", "/readyz", "/metrics"):
            return None
        hosts = {urlsplit(origin).netloc for origin in self._around.origins}
        if quart_request.host not in hosts:
            return problems.answer(Problem(421, f"this is not {quart_request.host!r}"))
        origin = quart_request.headers.get("Origin")
        if origin is not None and origin not in self._around.origins:
            return problems.answer(Problem(403, "requests from pages of other sites are refused"))
        if (
            quart_request.headers.get("Sec-Fetch-Site") == "cross-site"
            and quart_request.path not in _FROM_OTHERS
        ):
            return problems.answer(Problem(403, "requests from pages of other sites are refused"))
        return None

    async def _headers(self, response: Response) -> Response:
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        # Not no-referrer: with that, browsers say `Origin: null` for our own forms.
        response.headers.setdefault("Referrer-Policy", "same-origin")
        response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        response.headers.setdefault("Cache-Control", "no-store")
        response.headers.setdefault("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
        return response

    async def _http_error(self, error: HTTPException) -> Response:
        status = error.code or 500
        if quart_request.path.startswith(API) and status in (404, 405):
            # Who may not know anything learns no more from a path that is not there.
            try:
                await self._caller()
            except Problem as problem:
                return problems.answer(problem)
        return problems.answer(Problem(status, error.description or error.name))

    async def _broken(self, error: Exception) -> Response:
        log.error("request_broke", exc_info=error, extra={"path": quart_request.path})
        return problems.answer(Problem(500, "Olympus made a mistake; its log says which"))


def _demand(caller: Caller, role: Role, *, part: bool = False) -> None:
    """Raises Problem 403. part: who may it on a part of the cluster gets that."""
    if not caller.may(role):
        raise Problem(403, f"the role {role} is needed, and '{caller.name}' is {caller.role}")
    if not part and not caller.may_all(role):
        raise Problem(
            403, f"the role {role} is needed on everything, and Access gives '{caller.name}' a part"
        )


def _check_digest(body: bytes, digest: str | None) -> None:
    if digest is not None and hashlib.sha256(body).hexdigest() != digest:
        raise Problem(400, "the body is not the one that was passed on")


def _token_in(header: str) -> str:
    scheme, _, value = header.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return ""


async def _body() -> bytes:
    found = bytearray()
    async for piece in quart_request.body:
        found += piece
        if len(found) > MAX_BODY:
            raise Problem(413, f"the body may have {MAX_BODY} bytes")
    return bytes(found)


async def _pieces() -> AsyncIterator[bytes]:
    async for piece in quart_request.body:
        yield piece
