"""Every route, with who may take it: the server, OpenAPI and the tests read this one table."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, Literal, TypeAlias

from quart import Response

from olympus.apollo.access import Role
from olympus.apollo.api_admin import Admin
from olympus.apollo.api_asset_table import AssetTable
from olympus.apollo.api_assets import Assets
from olympus.apollo.api_events import Events
from olympus.apollo.api_explain import Explain
from olympus.apollo.api_incidents import Incidents
from olympus.apollo.api_notes import Notes
from olympus.apollo.api_replay import replay
from olympus.apollo.api_resources import PLURALS, Resources
from olympus.apollo.api_runs import RunHandlers
from olympus.apollo.api_search import Search
from olympus.apollo.api_silences import Silences
from olympus.apollo.api_specs import CHANGE, Specs
from olympus.apollo.api_unmatched import UnmatchedLines
from olympus.apollo.api_users import SessionHandlers, UserHandlers
from olympus.apollo.audit import Audit
from olympus.apollo.output import Output
from olympus.apollo.ports import Surroundings
from olympus.apollo.request import Request
from olympus.apollo.tokens import Tokens
from olympus.apollo.webhooks import Webhooks

Access: TypeAlias = Role | Literal["open"]
Handler: TypeAlias = Callable[[Request], Awaitable[Response]]

API: Final = "/api/v1"


@dataclass(frozen=True, slots=True)
class Route:
    """`path` has its parameters in braces; `body` is the JSON Schema of what is posted.

    peers: another controller may ask it as a viewer, by its signature
    access: the role that is needed at least; `open` for nobody's (a webhook proves itself)
    home:   it is answered where the notes are: other nodes pass it on
    part:   its handler gives who is restricted by Access what is in his part; else it is refused to him
    """

    method: str
    path: str
    access: Access
    summary: str
    handler: Handler
    body: dict[str, Any] | None = None
    query: tuple[str, ...] = ()
    answer: int = 200
    peers: bool = False
    part: bool = False
    home: bool = False

    @property
    def changes(self) -> bool:
        """Whether it goes into the audit."""
        return self.method not in ("GET", "HEAD") and self.access != "open"


_PARAMS: Final = {
    "type": "object",
    "properties": {"params": {"type": "object"}},
    "additionalProperties": False,
}
_ORDER: Final = {"type": "object", "required": ["do"], "properties": {"do": {"type": "string"}}}
_PLAN: Final = {
    "type": "object",
    "properties": {"ref": {"type": ["string", "null"]}, "against": {"enum": ["live", None]}},
}
_REPLAY: Final = {
    "type": "object",
    "properties": {"since": {"type": ["string", "null"]}, "against": {"type": ["string", "null"]}},
    "additionalProperties": False,
}
_REF: Final = {"type": "object", "required": ["ref"], "properties": {"ref": {"type": "string"}}}
_APPROVE: Final = {
    "type": "object",
    "required": ["step"],
    "properties": {"step": {"type": "string"}, "approved": {"type": "boolean"}},
}
_COMMENT: Final = {"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}}}
_SILENCE: Final = {
    "type": "object",
    "required": ["reason"],
    "properties": {
        "rules": {"type": "array", "items": {"type": "string"}},
        "nodes": {"type": "object", "properties": {"selector": {"type": "string"}}},
        "for": {"type": "string"},
        "until": {"type": "string"},
        "reason": {"type": "string"},
    },
}
_EVENT: Final = {
    "type": "object",
    "required": ["type"],
    "properties": {"type": {"type": "string"}, "data": {"type": "object"}, "source": {"type": "string"}},
}
_TOKEN: Final = {
    "type": "object",
    "required": ["role"],
    "properties": {
        "role": {"enum": ["viewer", "operator", "admin"]},
        "expires": {"type": ["string", "null"]},
        "name": {"type": "string"},
    },
}
_USER: Final = {
    "type": "object",
    "required": ["name", "password"],
    "properties": {
        "name": {"type": "string"},
        "password": {"type": "string"},
        "role": {"enum": ["viewer", "operator", "admin", None]},
        "groups": {"type": "array", "items": {"type": "string"}},
    },
}
_PASSWORD: Final = {
    "type": "object",
    "required": ["password"],
    "properties": {"password": {"type": "string"}, "old": {"type": "string"}},
}
_CHANGES: Final = {
    "type": "object",
    "required": ["set"],
    "properties": {"selector": {"type": "string"}, "set": {"type": "object"}},
}
_EVALUATE: Final = {
    "type": "object",
    "required": ["expression"],
    "properties": {"expression": {"type": "string"}, "event": {"type": ["string", "null"]}},
}
_NOTE: Final = {
    "type": "object",
    "required": ["markdown"],
    "properties": {"markdown": {"type": "string"}, "message": {"type": "string"}},
}
_APPEND: Final = {
    "type": "object",
    "required": ["text"],
    "properties": {"text": {"type": "string"}, "message": {"type": "string"}},
}
_RENAME: Final = {
    "type": "object",
    "required": ["to"],
    "properties": {"to": {"type": "string"}, "message": {"type": "string"}},
}
_RESTORE: Final = {
    "type": "object",
    "properties": {"revision": {"type": "string"}, "message": {"type": "string"}},
}
_PAGE: Final = ("limit", "cursor")


def table(
    around: Surroundings, tokens: Tokens, audit: Audit, people: tuple[UserHandlers, SessionHandlers]
) -> tuple[Route, ...]:
    """The API and the webhooks; probes, pages and git have their own (see `http_quart`)."""
    resources, runs, output = Resources(around), RunHandlers(around), Output(around)
    events, admin, hooks = Events(around), Admin(around, tokens, audit), Webhooks(around)
    users, sessions = people
    incidents, silences = Incidents(around), Silences(around)
    unmatched = UnmatchedLines(around)
    assets = Assets(around)
    found: list[Route] = []
    for plural, kind in PLURALS.items():
        base = f"{API}/{plural}"
        found.append(
            Route(
                "GET",
                base,
                "viewer",
                f"All {plural}",
                resources.listed,
                query=(*_PAGE, "selector"),
                part=True,
            )
        )
        found.append(Route("GET", f"{base}/{{name}}", "viewer", f"One {kind}", resources.one, part=True))
    table_of_assets = AssetTable(around)
    found += [
        Route(
            "GET",
            f"{API}/assets.csv",
            "viewer",
            "Assets as CSV",
            table_of_assets.csv,
            query=("selector",),
            part=True,
        ),
        Route(
            "POST",
            f"{API}/assets/changes",
            "admin",
            "Plan or commit changes of many assets",
            table_of_assets.change,
            _CHANGES,
            query=("commit", "message"),
        ),
    ]
    found.append(
        Route(
            "GET",
            f"{API}/assets/{{name}}/history",
            "viewer",
            "Who changed which of its fields",
            assets.history,
            query=(*_PAGE, "field"),
            part=True,
        )
    )
    found.append(
        Route(
            "GET",
            f"{API}/assets/{{name}}/relations",
            "viewer",
            "What it has to do with others",
            assets.relations,
            query=("depth",),
            part=True,
        )
    )
    for plural in ("services", "nodes", "schedules", "checks", "logwatches", "rules"):
        path = f"{API}/{plural}/{{name}}/orders"
        found.append(
            Route(
                "POST", path, "operator", "Order outside git", resources.order, _ORDER, answer=202, part=True
            )
        )
    found += [
        Route(
            "GET",
            f"{API}/schedules/{{name}}/next",
            "viewer",
            "Coming firings",
            resources.upcoming,
            query=("n",),
            part=True,
        ),
        Route(
            "GET",
            f"{API}/services/{{name}}/logs",
            "viewer",
            "What a service writes",
            output.of_service,
            query=("tail", "follow", "node"),
            peers=True,
            part=True,
        ),
        Route(
            "GET",
            f"{API}/logwatches/{{name}}/unmatched",
            "viewer",
            "Samples of the last lines that no pattern of it matches",
            unmatched.of_watch,
            query=("limit", "node"),
            part=True,
        ),
        Route(
            "POST",
            f"{API}/pipelines/{{name}}/runs",
            "operator",
            "Start a run",
            runs.start,
            _PARAMS,
            answer=202,
            part=True,
        ),
        Route(
            "GET",
            f"{API}/runs",
            "viewer",
            "Runs",
            runs.listed,
            query=(*_PAGE, "pipeline", "state"),
            part=True,
        ),
        Route("GET", f"{API}/runs/{{id}}", "viewer", "A run", runs.one, part=True),
        Route(
            "GET",
            f"{API}/runs/{{id}}/logs",
            "viewer",
            "What its steps wrote",
            output.of_run,
            query=("step", "node", "follow"),
            peers=True,
            part=True,
        ),
        Route(
            "POST", f"{API}/runs/{{id}}/cancel", "operator", "End a run", runs.cancel, answer=202, part=True
        ),
        Route(
            "POST",
            f"{API}/runs/{{id}}/retry",
            "operator",
            "Go on from what failed",
            runs.retry,
            answer=202,
            part=True,
        ),
        Route(
            "POST",
            f"{API}/runs/{{id}}/approve",
            "operator",
            "Answer an approval",
            runs.approve,
            _APPROVE,
            answer=202,
            part=True,
        ),
        Route(
            "GET",
            f"{API}/events",
            "viewer",
            "History",
            events.history,
            query=(*_PAGE, "type", "since", "until", "node", "order"),
            part=True,
        ),
        Route(
            "GET",
            f"{API}/events/stream",
            "viewer",
            "Server-sent events",
            events.stream,
            query=("type",),
            part=True,
        ),
        Route("GET", f"{API}/events/{{id}}", "viewer", "An event", events.one, part=True),
        Route("POST", f"{API}/events", "operator", "Emit an event", events.emit, _EVENT, answer=202),
        Route(
            "GET",
            f"{API}/incidents",
            "viewer",
            "Incidents",
            incidents.listed,
            query=(*_PAGE, "state", "rule"),
            part=True,
        ),
        Route("GET", f"{API}/incidents/{{id}}", "viewer", "An incident", incidents.one, part=True),
        Route(
            "POST",
            f"{API}/incidents/{{id}}/ack",
            "operator",
            "Say that you care for it",
            incidents.ack,
            answer=202,
            part=True,
        ),
        Route(
            "POST",
            f"{API}/incidents/{{id}}/comment",
            "operator",
            "Say something about it",
            incidents.comment,
            _COMMENT,
            answer=202,
            part=True,
        ),
        Route(
            "POST",
            f"{API}/silences",
            "operator",
            "No remedies for a while",
            silences.make,
            _SILENCE,
            answer=201,
        ),
        Route("DELETE", f"{API}/silences/{{name}}", "operator", "End a silence", silences.end, answer=204),
        Route("POST", f"{API}/plan", "viewer", "What a commit would do", admin.plan, _PLAN),
        Route(
            "POST",
            f"{API}/replay",
            "viewer",
            "What a commit's rules would have done",
            partial(replay, around),
            _REPLAY,
        ),
        Route("POST", f"{API}/specs", "admin", "Plan or commit specs", Specs(around).change, CHANGE),
        Route("POST", f"{API}/sync", "admin", "Apply main again", admin.sync),
        Route("POST", f"{API}/rollback", "admin", "Apply an earlier commit", admin.rollback, _REF),
        Route("GET", f"{API}/status", "viewer", "What runs, and what is wrong", admin.status, part=True),
        Route(
            "GET",
            f"{API}/explain",
            "viewer",
            "Why something is as it is",
            Explain(around).explain,
            query=("event", "rule", "run", "service", "schedule", "note"),
            part=True,
        ),
        Route("POST", f"{API}/eval", "viewer", "An expression on an event", admin.evaluate, _EVALUATE),
        Route("GET", f"{API}/tokens", "admin", "Tokens", admin.tokens, query=_PAGE),
        Route("POST", f"{API}/tokens", "admin", "Make a token", admin.create_token, _TOKEN, answer=201),
        Route("DELETE", f"{API}/tokens/{{id}}", "admin", "Revoke a token", admin.revoke_token, answer=204),
        Route("GET", f"{API}/users", "admin", "Local users", users.listed, query=_PAGE),
        Route("POST", f"{API}/users", "admin", "Add a user", users.create, _USER, answer=201),
        Route("DELETE", f"{API}/users/{{name}}", "admin", "Remove a user", users.remove, answer=204),
        Route(
            "POST",
            f"{API}/users/{{name}}/password",
            "viewer",
            "Change a password",
            users.change_password,
            _PASSWORD,
            answer=204,
            part=True,
        ),
        Route(
            "GET", f"{API}/sessions", "viewer", "Who is logged in", sessions.listed, query=_PAGE, part=True
        ),
        Route(
            "DELETE",
            f"{API}/sessions/{{id}}",
            "viewer",
            "End a session",
            sessions.revoke,
            answer=204,
            part=True,
        ),
        Route("GET", f"{API}/audit", "admin", "Who did what", admin.audit, query=_PAGE),
        Route("GET", f"{API}/audit/check", "admin", "Whether the audit is whole", admin.check_audit),
        *_notes(Notes(around), Search(around)),
        Route("POST", "/hooks/{name}", "open", "A webhook", hooks.receive, {}, answer=202),
    ]
    return tuple(found)


def _notes(notes: Notes, search: Search) -> list[Route]:
    all_, one, file = f"{API}/notes", f"{API}/notes/{{path}}", f"{API}/note-files/{{path}}"
    listed = (*_PAGE, "tag", "folder", "deleted", "broken")
    found = [
        Route("GET", all_, "viewer", "Notes", notes.listed, query=listed),
        Route("GET", one, "viewer", "A note", notes.one, query=("revision",)),
        Route("PUT", one, "operator", "Write a note", notes.save, _NOTE),
        Route("DELETE", one, "operator", "Delete a note", notes.delete, answer=204),
        Route("GET", f"{one}/history", "viewer", "Its revisions", notes.history, query=_PAGE),
        Route("GET", f"{one}/diff", "viewer", "What changed", notes.diff, query=("from", "to")),
        Route("POST", f"{one}/preview", "viewer", "How a text would look there", notes.preview, _NOTE),
        Route("POST", f"{one}/append", "operator", "Add to its end", notes.append, _APPEND),
        Route("POST", f"{one}/rename", "operator", "Give it another path", notes.rename, _RENAME),
        Route("POST", f"{one}/restore", "operator", "As it was", notes.restore, _RESTORE),
        Route("GET", f"{API}/search", "viewer", "Search", search.found, query=("q", "limit")),
        Route("GET", file, "viewer", "A file beside the notes", notes.file),
        Route("PUT", file, "operator", "Attach a file", notes.attach, answer=201),
    ]
    return [replace(one, part=True, home=True) for one in found]
