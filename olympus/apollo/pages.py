"""One plain page that shows Olympus at work, and the login. Rendered here, alive by the event stream."""

from __future__ import annotations

import mimetypes
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

import jinja2
from quart import Quart, Response
from quart import request as quart_request

from olympus.apollo.api_runs import shown
from olympus.apollo.ports import Surroundings
from olympus.apollo.sessions import COOKIE, Session, Sessions
from olympus.apollo.tokens import Tokens
from olympus.hermes import keys
from olympus.kernel.resources import shipped
from olympus.records.run import Run
from olympus.records.status import shown_all

Guard = Callable[..., Awaitable[Response]]
_RUNS = 20
_EVENTS = 50


def visible(value: object) -> str:
    """Control characters and those that turn the direction of text, shown as what they are."""
    return "".join(
        c if c.isprintable() or c in "\n\t" else f"\\u{ord(c):04x}"
        for c in str("" if value is None else value)
    )


class Pages:
    def __init__(self, around: Surroundings, tokens: Tokens, sessions: Sessions) -> None:
        self._around = around
        self._tokens = tokens
        self._sessions = sessions
        self._web = shipped("web")
        self._templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(self._web / "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            # Markup, what our own macros make, is a text too, and must stay what it is.
            finalize=lambda value: visible(value) if type(value) is str else value,
        )

    def add_to(self, app: Quart, guard: Guard) -> None:
        async def overview() -> Response:
            return await guard(self._overview)

        async def run(run_id: str) -> Response:
            return await guard(lambda session: self._run(session, run_id))

        async def login() -> Response:
            return await guard(self._login, open_to_all=True)

        async def logout() -> Response:
            return await guard(self._logout)

        app.add_url_rule("/", "overview", overview, methods=["GET"])
        app.add_url_rule("/runs/<run_id>", "run-page", run, methods=["GET"])
        app.add_url_rule("/login", "login", login, methods=["GET", "POST"])
        app.add_url_rule("/logout", "logout", logout, methods=["POST"])
        app.add_url_rule("/static/<name>", "static-file", self._static, methods=["GET"])

    def _render(self, template: str, status: int = 200, **values: Any) -> Response:
        nonce = secrets.token_urlsafe(16)
        page = self._templates.get_template(template).render(nonce=nonce, node=self._around.node, **values)
        response = Response(page, status, mimetype="text/html")
        response.headers["Content-Security-Policy"] = (
            f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'self'; img-src 'self'; connect-src 'self'; "
            "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
        )
        return response

    async def _overview(self, session: Session) -> Response:
        root = await self._around.catalogs.root()
        catalog = await self._around.catalogs.load(root) if root else None
        cluster = await self._around.zeus.cluster()
        ids = sorted(await self._around.kv.keys(keys.RUNS), reverse=True)[:_RUNS]
        entries = [entry for key in ids if (entry := await self._around.kv.get(key)) is not None]
        events, _ = await self._around.bus.history(limit=_EVENTS)
        return self._render(
            "overview.html",
            session=session,
            revision=root.revision if root else None,
            subject=root.subject if root else "",
            nodes=shown_all("Node", catalog, cluster),
            services=shown_all("Service", catalog, cluster),
            schedules=[self._schedule(item) for item in shown_all("Schedule", catalog, cluster)],
            runs=[shown(Run.from_bytes(entry.value)) for entry in entries],
            events=[event.to_json() for event in events],
        )

    def _schedule(self, item: dict[str, Any]) -> dict[str, Any]:
        slots = self._around.upcoming(item["metadata"]["name"], 1)
        return item | {"next": slots[0].strftime("%Y-%m-%d %H:%M:%S UTC") if slots else "never"}

    async def _run(self, session: Session, run_id: str) -> Response:
        entry = await self._around.kv.get(keys.run(run_id))
        if entry is None:
            return self._render("missing.html", 404, session=session, what=f"run {run_id}")
        return self._render("run.html", session=session, run=shown(Run.from_bytes(entry.value)))

    async def _login(self, session: Session | None) -> Response:
        if quart_request.method == "GET":
            return self._render("login.html", session=session, wrong=False)
        form = await quart_request.form
        caller = await self._tokens.check(form.get("token", "").strip())
        if caller is None:
            return self._render("login.html", 401, session=None, wrong=True)
        cookie = await self._sessions.begin(caller)
        response = Response(b"", 303, headers={"Location": "/"})
        response.set_cookie(
            COOKIE, cookie, httponly=True, samesite="Strict", secure=quart_request.is_secure, path="/"
        )
        return response

    async def _logout(self, session: Session) -> Response:
        form = await quart_request.form
        if form.get("form_token") != session.form_token:
            return self._render("missing.html", 403, session=session, what="a valid form token")
        await self._sessions.end(quart_request.cookies.get(COOKIE, ""))
        response = Response(b"", 303, headers={"Location": "/login"})
        response.delete_cookie(COOKIE, path="/")
        return response

    async def _static(self, name: str) -> Response:
        file = self._web / "static" / name
        if file.parent != self._web / "static" or not file.is_file():
            return Response(b"", 404)
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        response = Response(file.read_bytes(), mimetype=kind)
        response.headers["Cache-Control"] = "max-age=300"
        return response
