"""Notes: all of them, one, its text, its history. What is shown is what the API answers, wherever the notes lie."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from olympus.apollo.api_notes import Notes
from olympus.apollo.pages.from_api import Handler, asked_here
from olympus.apollo.pages.page import Asked, Page, Values
from olympus.apollo.pages.view_words import diff as lines_of
from olympus.apollo.peers import Call

_BASE: Final = "/api/v1/notes"
_MANY: Final = "1000"
_CHANGED: Final = ("olympus.apollo.note-changed",)


async def notes(asked: Asked) -> Values:
    """`?q=`: in path or title; `?tag=`."""
    of = Notes(asked.reader.around)
    q, tag = asked.text("q"), asked.text("tag")
    listed = await _answer(asked, of.listed, "", {"limit": _MANY} | ({"tag": tag} if tag else {}))
    broken = await _answer(asked, of.listed, "", {"limit": _MANY, "broken": "true"})
    gone = await _answer(asked, of.listed, "", {"limit": _MANY, "deleted": "true"})
    all_ = (listed or {}).get("items", [])
    return {
        "notes": [one for one in all_ if q.lower() in f"{one['path']} {one['title']}".lower()],
        "any": bool(all_),
        "tags": sorted({one for note in all_ for one in note["tags"]}),
        "broken": {one["path"]: one["broken"] for one in (broken or {}).get("items", [])},
        "gone": (gone or {}).get("items", []),
        "q": q,
        "tag": tag,
    }


async def note(asked: Asked) -> Values:
    """As it is, or as it was at `?revision=`."""
    of = Notes(asked.reader.around)
    found = await _note(asked)
    revision = asked.text("revision")
    if found is None or not revision:
        return found and {"note": found, "then": None, "may": _may(asked, found["path"])}
    then = await _answer(asked, of.one, f"/{found['path']}", {"revision": revision})
    return then and {"note": found, "then": then, "may": _may(asked, found["path"])}


async def edit(asked: Asked) -> Values:
    """Its text; of one that is not there yet: nothing."""
    path = asked.params["path"]
    if not _may(asked, path):
        return None
    found = await _note(asked)
    fresh = {
        "path": path,
        "markdown": f"# {path.rpartition('/')[2].replace('-', ' ').capitalize()}\n\n",
        "html": "",
    }
    return {"note": found or fresh, "revision": found["revision"] if found else ""}


async def history(asked: Asked) -> Values:
    """Who changed what; `?from=&to=`: the difference."""
    of, path = Notes(asked.reader.around), asked.params["path"]
    changes = await _answer(asked, of.history, f"/{path}/history", {"limit": "200"})
    if changes is None:
        return None
    between = {name: asked.text(name) for name in ("from", "to") if asked.text(name)}
    diff = await _answer(asked, of.diff, f"/{path}/diff", between) if "from" in between else None
    return {
        "path": path,
        "changes": changes["items"],
        "diff": diff and diff | {"lines": lines_of(diff["diff"])},
        "now": await _note(asked),
        "may": _may(asked, path),
    }


def _may(asked: Asked, path: str) -> bool:
    return asked.reader.sight.caller.may_note("operator", path)


async def _note(asked: Asked) -> dict[str, Any] | None:
    return await _answer(asked, Notes(asked.reader.around).one, f"/{asked.params['path']}", {})


async def _answer(
    asked: Asked, handler: Handler, behind: str, query: Mapping[str, str]
) -> dict[str, Any] | None:
    """What the API answers; None where there is nothing, or nothing for this reader."""
    around, path = asked.reader.around, _BASE + behind
    if around.notes is None:
        call = Call("GET", path, query)
        passed = await around.peers.pass_on(around.notes_home, call, asked.reader.sight.caller)
        status, body, location = passed.status, passed.body, passed.headers.get("Location", "")
    else:
        response = await asked_here(asked, handler, path, query)
        if response is None:
            return None
        status, body = response.status_code, await response.get_data(as_text=False)
        location = response.headers.get("Location", "")
    if status == 308 and location:
        moved = asked.moved(location.removeprefix(f"{_BASE}/"))
        return await _answer(moved, handler, f"/{moved.params['path']}", query)
    found: dict[str, Any] | None = orjson.loads(body) if status == 200 else None
    return found


NOTES: Final = (
    Page("/notes", "notes.html", notes, _CHANGED, part=True, nav="Notes", key="w"),
    Page("/notes/{path}", "note.html", note, _CHANGED, part=True),
    Page("/note-edit/{path}", "note_edit.html", edit, (), "operator", part=True),
    Page("/note-history/{path}", "note_history.html", history, _CHANGED, part=True),
)
