"""Pages are rendered and sent here, also the login, and the files that they need."""

from __future__ import annotations

import mimetypes
import secrets
from collections.abc import Awaitable, Callable
from typing import Any, Final

import jinja2
from quart import Quart, Response
from quart import request as quart_request

from olympus.apollo.access import Caller
from olympus.apollo.audit import Audit
from olympus.apollo.login import Denied, Login
from olympus.apollo.pages import view_words
from olympus.apollo.pages.page import Asked, Page
from olympus.apollo.pages.reader import PLURAL, Reader
from olympus.apollo.pages.table import PAGES
from olympus.apollo.ports import Surroundings
from olympus.apollo.provider_joserfc import Attempt
from olympus.apollo.sessions import COOKIE, Session, Sessions
from olympus.apollo.sight import sight_of
from olympus.apollo.tokens import Tokens
from olympus.kernel.resources import shipped

ATTEMPT: Final = "olympus_login"
_ATTEMPT_SECONDS: Final = 600
_GO_ON: Final = (
    '<!doctype html><html lang="en"><title>Olympus</title>'
    '<meta http-equiv="refresh" content="0;url=/"><a href="/">Go on</a></html>'
)
Guard = Callable[..., Awaitable[Response]]
_WORDS: Final = {
    word.__name__: word
    for word in (
        *(view_words.runs_what, view_words.looks_at, view_words.when, view_words.in_zone),
        *(view_words.listens_to, view_words.does, view_words.tone_of_instance, view_words.diff),
    )
}
"""What templates may say of specs."""


def _callback() -> str:
    """Where the provider leads back to; whether the host is ours was asked already."""
    return f"{quart_request.scheme}://{quart_request.host}/login/callback"


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
        self._templates.globals["single_sign_on"] = around.provider is not None

    def add_to(self, app: Quart, guard: Guard) -> None:
        for page in PAGES:
            self._add(app, guard, page)

        async def login() -> Response:
            return await guard(self._login, open_to_all=True)

        async def logout() -> Response:
            return await guard(self._logout)

        app.add_url_rule("/login", "login", login, methods=["GET", "POST"])

        async def begin() -> Response:
            return await guard(self._begin, open_to_all=True)

        async def back() -> Response:
            return await guard(self._back, open_to_all=True)

        if self._around.provider is not None:
            app.add_url_rule("/login/begin", "login-begin", begin, methods=["GET"])
            app.add_url_rule("/login/callback", "login-callback", back, methods=["GET"])
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
        form = await quart_request.form
        found = await self._door.enter(form, quart_request.remote_addr or "")
        if isinstance(found, Denied):
            return self._denied(found, form.get("name", "")[:63])
        return await self._entered(found, Response(b"", 303, headers={"Location": "/"}))

    def _denied(self, found: Denied, name: str = "") -> Response:
        denied = self._render("login.html", found.status, session=None, wrong=found.why, name=name)
        if found.wait:
            denied.headers["Retry-After"] = str(max(1, round(found.wait)))
        return denied

    async def _entered(self, caller: Caller, response: Response) -> Response:
        address, agent = quart_request.remote_addr or "", quart_request.headers.get("User-Agent", "")
        cookie = await self._sessions.begin(caller, address, agent)
        await self._audit.record(caller, "login", caller.name, response.status_code)
        response.set_cookie(
            COOKIE, cookie, httponly=True, samesite="Strict", secure=quart_request.is_secure, path="/"
        )
        return response

    async def _begin(self, _session: Session | None) -> Response:
        """To the provider of single sign-on."""
        found = await self._door.begin(_callback())
        if isinstance(found, Denied):
            return self._denied(found)
        attempt, url = found
        response = Response(b"", 303, headers={"Location": url})
        # Lax: the provider's page leads back here, and the cookie has to come along.
        response.set_cookie(
            ATTEMPT, attempt.to_cookie(), httponly=True, samesite="Lax", secure=quart_request.is_secure,
            path="/login", max_age=_ATTEMPT_SECONDS,
        )  # fmt: skip
        return response

    async def _back(self, _session: Session | None) -> Response:
        """From there."""
        attempt = Attempt.of_cookie(quart_request.cookies.get(ATTEMPT, ""))
        found = await self._door.by_provider(attempt, quart_request.args.to_dict(), _callback())
        if isinstance(found, Denied):
            response = self._denied(found)
        else:
            # A redirect would still come from the provider's site, and without the new session's strict cookie.
            response = await self._entered(found, Response(_GO_ON, 200, mimetype="text/html"))
        response.delete_cookie(ATTEMPT, path="/login")
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
