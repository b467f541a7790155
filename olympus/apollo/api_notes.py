"""Notes over HTTP: shapes and statuses as the contract has them."""

from __future__ import annotations

import mimetypes
import re
from dataclasses import replace
from typing import Any, Final
from urllib.parse import quote

from quart import Response

from olympus.apollo.access import Role
from olympus.apollo.notes.model import (
    Changed,
    Condition,
    Diverged,
    NeedsMatch,
    Note,
    Saved,
    Stale,
    Why,
)
from olympus.apollo.notes.notes import Notes as Stored
from olympus.apollo.notes.paths import SUFFIX, file_path, note_path
from olympus.apollo.notes.service import Knowledge
from olympus.apollo.notes.telling import APPENDED, CAUSE, DEPTH
from olympus.apollo.ports import Surroundings
from olympus.apollo.problems import Problem
from olympus.apollo.request import Request, json_answer, listed, paged
from olympus.kernel.clock import rfc3339
from olympus.kernel.errors import Invalid, RetryLater
from olympus.kernel.ids import new_id

_BASE: Final = "/api/v1/notes/"
_TAG: Final = re.compile(r'(?:W/)?"([^"]*)"|([^",\s]+)')
_INLINE: Final = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
_MAX_MESSAGE: Final = 1000


class Notes:
    def __init__(self, around: Surroundings) -> None:
        self._around = around

    @property
    def _knowledge(self) -> Knowledge:
        if self._around.notes is None:
            raise RetryLater(f"the notes are on node '{self._around.notes_home}'")
        return self._around.notes

    # --- read --------------------------------------------------------------------------------------------

    async def listed(self, request: Request) -> Response:
        """`tag`, `folder`; `deleted`: those that were; `broken`: those whose links lead nowhere."""
        if request.flag("deleted"):
            gone = await self._knowledge.ask(lambda notes: notes.gone())
            shown = [
                {"path": one.path, "title": one.title, "revision": one.revision, "last": one.last,
                 "author": one.author, "deletedAt": rfc3339(one.at)}
                for one in gone
            ]  # fmt: skip
            return paged([one for one in shown if _sees(request, one["path"])], request)
        found = await self._knowledge.ask(lambda notes: notes.all())
        tag, folder = request.query.get("tag"), request.query.get("folder", "").strip("/")
        notes = [
            one
            for one in found
            if _sees(request, one.path)
            and (tag is None or tag in one.tags)
            and (not folder or one.path.startswith(f"{folder}/"))
        ]
        if request.flag("broken"):
            broken = await self._knowledge.ask(lambda notes: notes.broken())
            return paged(
                [_head(one) | {"broken": broken[one.path]} for one in notes if one.path in broken], request
            )
        return paged([_head(one) for one in notes], request)

    async def one(self, request: Request) -> Response:
        """`revision`: as it was then. A note that was renamed is elsewhere (308)."""
        path = _path(request, "viewer")
        note, shown = await self._knowledge.ask(lambda notes: _whole(notes, notes.get(path)))
        if note.path != path:
            _demand(request, "viewer", note.path)
            return Response(b"", 308, headers={"Location": _BASE + quote(note.path)})
        revision = request.query.get("revision")
        if revision is not None and revision != note.revision:
            return json_answer(await self._knowledge.ask(lambda notes: _at(notes, note, revision)))
        if note.revision in _tags(request.headers.get("if-none-match", "")):
            return Response(b"", 304, headers={"ETag": _etag(note)})
        return json_answer(_only_seen(request, shown), ETag=_etag(note))

    async def history(self, request: Request) -> Response:
        """Newest first."""
        path, limit = _path(request, "viewer"), request.limit
        cursor = request.cursor or "0"
        if not cursor.isdecimal():
            raise Problem(400, f"cursor {cursor!r} is not one that was handed out")
        skip = int(cursor)
        found = await self._knowledge.ask(lambda notes: notes.history(path, skip=skip, limit=limit + 1))
        items = [_change(one) for one in found[:limit]]
        return listed(items, str(skip + limit) if len(found) > limit else None)

    async def diff(self, request: Request) -> Response:
        """From one revision to another; without `to`: to what it is now."""
        path = _path(request, "viewer")
        before = request.query.get("from")
        if not before:
            raise Problem(400, "from=REVISION is needed: the history has them")
        after = request.query.get("to") or (await self._knowledge.ask(lambda notes: notes.get(path))).revision
        text = await self._knowledge.ask(lambda notes: notes.diff(path, before, after))
        return json_answer({"path": path, "from": before, "to": after, "diff": text})

    async def preview(self, request: Request) -> Response:
        """How a text would look there; nothing is saved."""
        path, markdown = _path(request, "viewer"), _text(request.json(), "markdown")
        return json_answer({"html": await self._knowledge.ask(lambda notes: notes.html(path, markdown))})

    async def file(self, request: Request) -> Response:
        """A file beside the notes. Only pictures are shown by browsers; nothing of it is run."""
        file = file_path(request.params["path"])
        _demand(request, "viewer", file)
        content = await self._knowledge.ask(lambda notes: notes.attachment(file))
        kind = mimetypes.guess_type(file)[0] or "application/octet-stream"
        inline = kind in _INLINE
        response = Response(content, mimetype=kind if inline else "application/octet-stream")
        response.headers["Content-Disposition"] = (
            "inline" if inline else f"attachment; filename*=UTF-8''{quote(file.rpartition('/')[2])}"
        )
        return response

    # --- write -------------------------------------------------------------------------------------------

    async def save(self, request: Request) -> Response:
        """`{"markdown": …, "message": …}`."""
        path, body = _path(request, "operator"), request.json()
        markdown, why = _text(body, "markdown"), _why(request, body)
        when = Condition(_tags(request.headers.get("if-match", "")), "if-none-match" in request.headers)
        try:
            saved, shown = await self._knowledge.change(
                lambda notes: _saved(notes, notes.save(path, markdown, when, why))
            )
        except Diverged as error:
            texts = {"base": error.base, "theirs": error.theirs, "yours": error.yours}
            raise Problem(409, str(error), revision=error.revision, **texts) from error
        except (NeedsMatch, Stale) as error:
            raise _failed(error) from error
        shown = _only_seen(request, shown) | {"merged": saved.merged}
        return json_answer(shown, 201 if saved.created else 200, ETag=_etag(saved.note))

    async def delete(self, request: Request) -> Response:
        path = _path(request, "operator")
        when, why = _when(request), _why(request, request.json(optional=True))
        try:
            await self._knowledge.change(lambda notes: notes.delete(path, when, why))
        except Stale as error:
            raise _failed(error) from error
        return Response(b"", 204)

    async def append(self, request: Request) -> Response:
        """`{"text": …}`, as its last lines; once for each Idempotency-Key."""
        path, body = _path(request, "operator"), request.json()
        text, why, whole = _text(body, "text"), _why(request, body), body.get("whole") is True
        if not request.by.token and isinstance(body.get("cause"), str):
            # A step of a pipeline, passed on by its coordinator.
            led_to = ((CAUSE, body["cause"]), (DEPTH, str(int(body.get("depth") or 0))))
            why = replace(why, trailers=led_to)
        key = request.headers.get("idempotency-key") or new_id()
        if not re.fullmatch(r"[\x21-\x7e]{1,200}", key):
            raise Problem(400, "an Idempotency-Key has up to 200 characters of ASCII, and no spaces")
        mark = (APPENDED, f"{request.by.name} {key}")
        note, shown = await self._knowledge.change(
            lambda notes: _whole(notes, notes.append(path, text, mark, why, whole=whole))
        )
        return json_answer(_only_seen(request, shown), ETag=_etag(note))

    async def rename(self, request: Request) -> Response:
        """`{"to": …}`."""
        path, body = _path(request, "operator"), request.json()
        to = note_path(_text(body, "to"))
        _demand(request, "operator", to)
        when, why = _when(request), _why(request, body)
        try:
            note, shown = await self._knowledge.change(
                lambda notes: _whole(notes, notes.rename(path, to, when, why))
            )
        except Stale as error:
            raise _failed(error) from error
        return json_answer(_only_seen(request, shown), ETag=_etag(note))

    async def restore(self, request: Request) -> Response:
        """`{"revision": …}`; without one, of what was deleted: as it was."""
        path, body = _path(request, "operator"), request.json(optional=True)
        revision = _text(body, "revision") if "revision" in body else None
        when, why = _when(request), _why(request, body)
        try:
            note, shown = await self._knowledge.change(
                lambda notes: _whole(notes, notes.restore(path, revision, when, why))
            )
        except Stale as error:
            raise _failed(error) from error
        return json_answer(_only_seen(request, shown), ETag=_etag(note))

    async def attach(self, request: Request) -> Response:
        """The body is the file's content."""
        file = file_path(request.params["path"])
        _demand(request, "operator", file)
        why = Why(request.by.name)
        revision = await self._knowledge.change(lambda notes: notes.attach(file, request.body, why))
        return json_answer({"path": file, "revision": revision}, 201)


def _path(request: Request, role: Role) -> str:
    """Raises Invalid, or Problem where the caller may not."""
    path = note_path(request.params["path"])
    _demand(request, role, path)
    return path


def _demand(request: Request, role: Role, path: str) -> None:
    """Raises Problem 404 where the note is not for the caller to see, 403 where it is not for them to change."""
    if not _sees(request, path):
        raise Problem(404, f"there is no note '{path}'")
    if not request.by.may_note(role, path):
        raise Problem(403, f"the role {role} is needed on note '{path}'")


def _sees(request: Request, path: str) -> bool:
    return request.by.may_note("viewer", path)


def _only_seen(request: Request, shown: dict[str, Any]) -> dict[str, Any]:
    return shown | {"backlinks": [one for one in shown["backlinks"] if _sees(request, one)]}


def _whole(notes: Stored, note: Note) -> tuple[Note, dict[str, Any]]:
    """A note and how it is shown."""
    links, backlinks = notes.links(note.path)
    shown = _head(note) | {
        "markdown": note.markdown,
        "html": notes.html_of(note),
        "links": [{"target": target, "path": path} for target, path in links],
        "backlinks": backlinks,
    }
    return note, shown


def _saved(notes: Stored, saved: Saved) -> tuple[Saved, dict[str, Any]]:
    return saved, _whole(notes, saved.note)[1]


def _at(notes: Stored, note: Note, revision: str) -> dict[str, Any]:
    text = notes.at(note.path, revision)
    return {"path": note.path, "revision": revision, "markdown": text, "html": notes.html_at(note.path, text)}


def _head(note: Note) -> dict[str, Any]:
    return {
        "path": note.path,
        "title": note.title,
        "tags": list(note.tags),
        "review": note.review,
        "revision": note.revision,
        "author": note.author,
        "updatedAt": rfc3339(note.updated_at),
    }


def _change(one: Changed) -> dict[str, Any]:
    return {
        "revision": one.revision,
        "author": one.author,
        "at": rfc3339(one.at),
        "message": one.message,
        "change": one.kind,
        "path": one.file.removesuffix(SUFFIX),
        "was": None if one.was is None else one.was.removesuffix(SUFFIX),
    }


def _etag(note: Note) -> str:
    return f'"{note.revision}"'


def _tags(header: str) -> tuple[str, ...]:
    """The revisions in If-Match or If-None-Match."""
    return tuple(quoted or plain for quoted, plain in _TAG.findall(header))


def _when(request: Request) -> Condition:
    return Condition(_tags(request.headers.get("if-match", "")))


def _why(request: Request, body: dict[str, Any]) -> Why:
    message = body.get("message") or ""
    if not isinstance(message, str) or len(message) > _MAX_MESSAGE:
        raise Problem(422, f"message is a text of at most {_MAX_MESSAGE} characters")
    return Why(request.by.name, message)


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str):
        raise Invalid(f'the body is {{"{name}": …}}, a text')
    return value


def _failed(error: NeedsMatch | Stale) -> Problem:
    return Problem(428 if isinstance(error, NeedsMatch) else 412, str(error))
