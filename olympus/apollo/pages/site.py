"""Pages are rendered and sent here, also the login, and the files that they need."""

from __future__ import annotations

import mimetypes
import secrets
from collections.abc import Awaitable, Callable
from typing import Any, Final

import jinja2
from quart import Quart, Response
from quart import request as quart_request

from olympus.apollo.audit import Audit
from olympus.apollo.login import Denied, Login
from olympus.apollo.pages import view_words
from olympus.apollo.pages.page import Asked, Page
from olympus.apollo.pages.reader import PLURAL, Reader
from olympus.apollo.pages.table import PAGES
from olympus.apollo.ports import Surroundings
from olympus.apollo.sessions import COOKIE, Session, Sessions
from olympus.apollo.sight import sight_of
from olympus.apollo.tokens import Tokens
from olympus.kernel.resources import shipped

Guard = Callable[..., Awaitable[Response]]
_WORDS: Final = {
    word.__name__: word
    for word in (
        *(view_words.runs_what, view_words.looks_at, view_words.when, view_words.in_zone),
        *(view_words.listens_to, view_words.does, view_words.tone_of_instance, view_words.diff),
    )
}
"""What templates may say of specs."""


def visible(text: str) -> str:
    """Control characters and those that turn the direction of text, shown as what they are."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else f"\\u{ord(c):04x}" for c in text)


class Pages:
    def __init__(
        self, around: Surroundings, tokens: Tokens, sessions: Sessions, audit: Audit, login: Login
    ) -> None:
        self._around = around
        self._tokens = tokens
        self._sessions = sessions
        self._audit = audit
        self._door = login
        self._web = shipped("web")
        self._templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(self._web / "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            # Markup, what our own macros make, is a text too, and must stay what it is.
            finalize=lambda value: visible(value) if type(value) is str else value,
        )
        self._templates.globals |= {"pages": PAGES, "plurals": PLURAL, **_WORDS}

    def add_to(self, app: Quart, guard: Guard) -> None:
        for page in PAGES:
            self._add(app, guard, page)

        async def login() -> Response:
            return await guard(self._login, open_to_all=True)

        async def logout() -> Response:
            return await guard(self._logout)

        app.add_url_rule("/login", "login", login, methods=["GET", "POST"])
        app.add_url_rule("/logout", "logout", logout, methods=["POST"])
        app.add_url_rule("/static/<name>", "static-file", self._static, methods=["GET"])

    def _add(self, app: Quart, guard: Guard, page: Page) -> None:
        async def view(**params: str) -> Response:
            return await guard(lambda session: self._show(session, page, params))

        rule = page.path.replace("{path}", "<path:path>").replace("{", "<").replace("}", ">")
        app.add_url_rule(rule, f"page {page.path}", view, methods=["GET"])

    async def _show(self, session: Session, page: Page, params: dict[str, str]) -> Response:
        if not session.caller.may(page.access):
            what = f"the role {page.access} is needed, and you are {session.caller.role}"
            return self._render("missing.html", 403, session=session, what=what, title="Not for you")
        if not page.part and not session.caller.may_all(page.access):
            what = "it shows everything, and Access gives you a part"
            return self._render("missing.html", 403, session=session, what=what, title="Not for you")
        reader = Reader(self._around, await sight_of(self._around.catalogs, session.caller))
        asked = Asked(reader, params, quart_request.args.to_dict(), self._tokens, self._audit, self._sessions)
        values = await page.view(asked)
        if values is None:
            what = f"there is no {' '.join(quart_request.path.strip('/').split('/'))}, or it is not kept any more"
            return self._render("missing.html", 404, session=session, what=what, title="Not here")
        return self._render(page.template, session=session, live=" ".join(page.live), **values)

    def _render(self, template: str, status: int = 200, *, live: str = "", **values: Any) -> Response:
        nonce = secrets.token_urlsafe(16)
        first = quart_request.path.split("/")[1]
        here = "/notes" if first.startswith("note-") else f"/{first}"
        text = self._templates.get_template(template).render(
            nonce=nonce, node=self._around.node, here=here, version=self._around.version, live=live, **values
        )
        response = Response(text, status, mimetype="text/html")
        response.headers["Content-Security-Policy"] = (
            f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'self'; img-src 'self'; connect-src 'self'; "
            "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
        )
        return response

    async def _login(self, session: Session | None) -> Response:
        if quart_request.method == "GET":
            return self._render("login.html", session=session, wrong="", name="")
        form, address = await quart_request.form, quart_request.remote_addr or ""
        found = await self._door.enter(form, address)
        if isinstance(found, Denied):
            name = form.get("name", "")[:63]
            denied = self._render("login.html", found.status, session=None, wrong=found.why, name=name)
            if found.wait:
                denied.headers["Retry-After"] = str(max(1, round(found.wait)))
            return denied
        cookie = await self._sessions.begin(found, address, quart_request.headers.get("User-Agent", ""))
        await self._audit.record(found, "login", found.name, 303)
        response = Response(b"", 303, headers={"Location": "/"})
        response.set_cookie(
            COOKIE, cookie, httponly=True, samesite="Strict", secure=quart_request.is_secure, path="/"
        )
        return response

    async def _logout(self, session: Session) -> Response:
        form = await quart_request.form
        if form.get("form_token") != session.form_token:
            what = "the form is an old one: load the page anew"
            return self._render("missing.html", 403, session=session, what=what, title="Refused")
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
