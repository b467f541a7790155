"""Which pages there are: path, role, template, and what each shows. Whoever may not see one gets 403."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final
from urllib.parse import urlencode

import orjson

from olympus.apollo.api_assets import Assets
from olympus.apollo.api_resources import ORDERS
from olympus.apollo.api_runs import shown as shown_run
from olympus.apollo.pages import view_forms, view_graph, view_incidents, view_lists, view_problems, view_runs
from olympus.apollo.pages.from_api import asked_here
from olympus.apollo.pages.page import Asked, Page, Values
from olympus.apollo.pages.page_notes import NOTES
from olympus.apollo.pages.page_specs import SPECS
from olympus.apollo.pages.reader import PLURAL, Item
from olympus.apollo.pages.view_words import fitting, indented
from olympus.kernel.clock import parse_rfc3339, rfc3339
from olympus.kernel.errors import OlympusError

_MANY: Final = 100
_FIRINGS: Final = 10
_MATCH: Final = "olympus.argos.match"
_MATCHES: Final = 1000
_SHOWN: Final = 30
_LATELY: Final = 200
_PROBLEMS: Final = 50


async def overview(asked: Asked) -> Values:
    """What is wrong, and how much there is of everything."""
    reader = asked.reader
    kinds = {kind: await reader.standing(kind) for kind, _, _ in _LISTED if kind not in ("Pipeline", "Asset")}
    runs = await reader.runs(_MANY)
    incidents = await reader.incidents(_MANY)
    found = view_problems.of_incidents(incidents)
    if reader.sight.everything:
        found += view_problems.of_specs(await reader.specs())
    for kind, items in kinds.items():
        found += view_problems.of_resources(kind, items)
    root = await reader.root()
    problems = view_problems.worst_first(found + view_problems.of_runs(runs))
    return {
        "problems": problems[:_PROBLEMS],
        "count": len(problems),
        "tiles": [view_problems.tile(kind, _WORDS[kind], items) for kind, items in kinds.items() if items],
        "runs": [view_runs.row(run, reader.now) for run in runs[:8]],
        "events": await reader.events(12),
        "root": root,
    }


def resources(kind: str, words: str) -> Callable[[Asked], Awaitable[Values]]:
    """All of a kind, with the columns that it has."""

    async def view(asked: Asked) -> Values:
        shown = await asked.reader.part(kind, asked.text("q"), asked.number("from") or 0)
        items = shown.items
        last: dict[str, Item] = {}
        if kind == "Pipeline":
            for run in await asked.reader.runs(_LATELY):
                last.setdefault(run["pipeline"], view_runs.row(run, asked.reader.now))
        upcoming = {}
        if kind == "Schedule":
            upcoming = {i["metadata"]["name"]: _firings(asked, i["metadata"]["name"], 1) for i in items}
        matches = await asked.reader.events(_MATCHES, (_MATCH,)) if kind == "LogWatch" else []
        silences = await asked.reader.all("Silence") if kind == "Rule" else []
        return {
            "kind": kind,
            "words": words,
            "plural": PLURAL[kind],
            "shown": shown,
            "rows": [(item, view_problems.ready(item)) for item in items],
            "last": last,
            "upcoming": upcoming,
            "matches": matches[:_SHOWN],
            "rate": view_lists.rate((one["time"] for one in matches), asked.reader.now),
            "silences": [(one, view_problems.ready(one)) for one in silences],
        }

    return view


def _firings(asked: Asked, name: str, count: int) -> list[str]:
    return [rfc3339(slot) for slot in asked.reader.around.upcoming(name, count)]


def resource(kind: str) -> Callable[[Asked], Awaitable[Values]]:
    """One: its conditions, what is known of it, what may be done, and what happened."""

    async def view(asked: Asked) -> Values:
        name, reader = asked.params["name"], asked.reader
        item = await reader.one(kind, name)
        if item is None:
            return None
        values: dict[str, Any] = {
            "kind": kind,
            "plural": PLURAL[kind],
            "item": item,
            "name": name,
            "declared": indented({key: value for key, value in item.items() if key != "status"}),
            "ready": view_problems.ready(item),
            "orders": fitting(ORDERS.get(kind, ()), item),
            "events": await reader.about(_FIELD.get(kind, kind.lower()), name),
            "runs": [],
            "firings": _firings(asked, name, _FIRINGS) if kind == "Schedule" else [],
            "fields": [],
            "incidents": [],
            "pipeline": "",
            "given": {},
            "around": None,
        }
        if kind in ("Pipeline", "Schedule"):
            pipeline = name if kind == "Pipeline" else item["spec"]["pipeline"]
            declared = item if kind == "Pipeline" else await reader.one("Pipeline", pipeline)
            runs = await reader.runs(20, lambda run: run.pipeline == pipeline)
            values["runs"] = [view_runs.row(run, reader.now) for run in runs]
            values["fields"] = view_forms.fields(declared["spec"].get("params")) if declared else []
            values["pipeline"] = pipeline
            values["given"] = item["spec"].get("params") or {} if kind == "Schedule" else {}
        if kind == "Asset":
            values["around"] = await _around(asked)
        if kind == "Rule":
            incidents = await reader.incidents(20, lambda one: one.rule == name)
            values["incidents"] = [view_incidents.row(one) for one in incidents]
        return values

    return view


async def _around(asked: Asked) -> dict[str, Any]:
    """What an asset has to do with others, and what became of its fields."""
    of, path = Assets(asked.reader.around), f"/api/v1/assets/{asked.params['name']}"
    relations = await asked_here(asked, of.relations, f"{path}/relations", {"depth": "2"})
    history = await asked_here(asked, of.history, f"{path}/history", {"limit": "50"})
    found = orjson.loads(await relations.get_data(as_text=False)) if relations else {}
    changes = orjson.loads(await history.get_data(as_text=False))["items"] if history else []
    picture = view_graph.picture(found.get("nodes", []), found.get("items", []))
    return {"picture": picture, "changes": changes, "notes": [], "incidents": [], "items": []} | found


async def runs(asked: Asked) -> Values:
    """`?pipeline=`, `?state=`."""
    pipeline, state = asked.text("pipeline"), asked.text("state")
    found = await asked.reader.runs(
        _MANY, lambda run: pipeline in ("", run.pipeline) and state in ("", run.state)
    )
    names = [item["metadata"]["name"] for item in await asked.reader.all("Pipeline")]
    rows = [view_runs.row(run, asked.reader.now) for run in found]
    return {"runs": rows, "pipeline": pipeline, "state": state, "pipelines": names}


async def run(asked: Asked) -> Values:
    """One run: steps as bars, output, causes, effects."""
    reader = asked.reader
    record = await reader.run(asked.params["id"])
    if record is None:
        return None
    chain = await reader.causes(record.begun or record.cause.event)
    effects = await reader.effects(record.begun, record.created_at) if record.begun else []
    told = [one for one in effects if "step-finished" not in one["type"]]
    one = {name: asked.text(name) for name in ("step", "node") if asked.text(name)}
    return {
        "run": view_runs.page(shown_run(record), reader.now),
        "chain": chain,
        "effects": told,
        "step": one.get("step", ""),
        "on": one.get("node", ""),
        "source": f"/api/v1/runs/{record.id}/logs?{urlencode(one)}",
    }


async def incidents(asked: Asked) -> Values:
    """Those that go on, and those that are over."""
    rows = [view_incidents.row(one) for one in await asked.reader.incidents(_MANY)]
    return {"going": [one for one in rows if not one["over"]], "over": [one for one in rows if one["over"]]}


async def incident(asked: Asked) -> Values:
    """One incident: each clause with its value, the time line, and what people may say."""
    found = await asked.reader.incident(asked.params["id"])
    if found is None:
        return None
    records = [await asked.reader.run(one["run"]) for one in found["attempts"]]
    pages = [view_runs.page(shown_run(one), asked.reader.now) for one in records if one is not None]
    return {
        "incident": view_incidents.page(found),
        "asking": [one for one in pages if one["asking"]],
        "trigger": indented(found["trigger"]),
    }


async def events(asked: Asked) -> Values:
    """`?type=`: exact, or a prefix with `*`; `?node=`; `?after=` goes on with earlier ones."""
    type_, node = asked.text("type"), asked.text("node")
    found, after = await asked.reader.history(
        _MANY, (type_,) if type_ else (), node=node or None, after=asked.text("after") or None
    )
    return {"events": found, "after": after, "type": type_, "on": node}


async def event(asked: Asked) -> Values:
    """One event between what caused it and what it led to."""
    chain = await asked.reader.causes(asked.params["id"])
    if not chain:
        return None
    own = chain[-1]
    since = parse_rfc3339(own["time"])
    return {
        "event": own,
        "chain": chain,
        "effects": await asked.reader.effects(own["id"], since),
        "raw": indented({name: value for name, value in own.items() if name != "says"}),
    }


async def sync(asked: Asked) -> Values:
    """What is in force, what a sync would do, and which commits came."""
    root, reader = await asked.reader.root(), asked.reader
    plan, trouble = None, ""
    try:
        async with asyncio.timeout(5):
            plan = (await reader.around.zeus.plan(None, live=True)).to_json() if root else None
    except (OlympusError, TimeoutError) as error:
        trouble = str(error) or "it took longer than 5 s"
    commits = await reader.events(30, ("olympus.zeus.applied", "olympus.zeus.refused"))
    specs = await reader.specs()
    return {
        "root": root,
        "committed": rfc3339(root.committed_at) if root else None,
        "plan": plan,
        "trouble": trouble,
        "commits": commits,
        "ready": view_problems.ready({"status": specs}),
    }


async def audit(asked: Asked) -> Values:
    """`?before=`: the entries before that number."""
    entries, after = await asked.audit.page(_MANY, asked.number("before"))
    return {"entries": entries, "after": after, "broken": await asked.audit.broken()}


async def settings(asked: Asked) -> Values:
    """Tokens that count, those that were revoked, and who is logged in."""
    tokens = await asked.tokens.all()
    return {
        "tokens": [one for one in tokens if one["revokedAt"] is None],
        "revoked": [one for one in tokens if one["revokedAt"] is not None],
        "sessions": await asked.sessions.all(),
    }


_FIELD: Final = {"LogWatch": "watch"}
"""How events name it, where it is not the kind."""
_ALSO: Final = {
    "Node": ("olympus.zeus.",),
    "Service": ("olympus.zeus.",),
    "Check": ("olympus.argos.check-",),
    "Schedule": ("olympus.chronos.", "olympus.hephaestus.run-"),
    "Pipeline": ("olympus.hephaestus.run-",),
    "Rule": ("olympus.athena.",),
    "LogWatch": ("olympus.argos.",),
}
"""What changes a kind's pages, beside a push."""
_LISTED: Final = (
    ("Node", "Nodes", "n"),
    ("Service", "Services", "s"),
    ("Check", "Checks", "c"),
    ("Schedule", "Schedules", "h"),
    ("Pipeline", "Pipelines", "p"),
    ("Rule", "Rules", "u"),
    ("LogWatch", "Log watches", "l"),
    ("Asset", "Assets", "b"),
)
_WORDS: Final = {kind: words for kind, words, _ in _LISTED}


def _of(kind: str, nav: str, key: str) -> tuple[Page, Page]:
    base, live = f"/{PLURAL[kind]}", ("olympus.zeus.applied", *_ALSO.get(kind, ()))
    return (
        Page(
            base,
            "resources.html",
            resources(kind, nav or f"{kind}s"),
            live,
            part=True,
            nav=nav,
            key=key,
            gap=kind == "Node",
        ),
        Page(f"{base}/{{name}}", "resource.html", resource(kind), live, part=True),
    )


_RUN: Final = ("olympus.hephaestus.",)
_INCIDENT: Final = ("olympus.athena.", "olympus.hephaestus.", "olympus.apollo.incident-")
_PUSH: Final = ("olympus.zeus.",)

PAGES: Final[tuple[Page, ...]] = (
    Page("/", "overview.html", overview, part=True, nav="Overview", key="o"),
    Page("/incidents", "incidents.html", incidents, _INCIDENT, part=True, nav="Incidents", key="i"),
    Page("/incidents/{id}", "incident.html", incident, _INCIDENT, part=True),
    Page("/runs", "runs.html", runs, _RUN, part=True, nav="Runs", key="r"),
    Page("/runs/{id}", "run.html", run, _RUN, part=True),
    *(page for row in _LISTED for page in _of(*row)),
    *(page for kind in PLURAL if kind not in _WORDS for page in _of(kind, "", "")),
    *NOTES,
    *SPECS,
    Page("/events", "events.html", events, part=True, nav="Events", key="e", gap=True),
    Page("/events/{id}", "event.html", event, part=True),
    Page("/sync", "sync.html", sync, _PUSH, nav="Sync", key="y"),
    Page("/audit", "audit.html", audit, (), "admin", nav="Audit", key="a"),
    Page("/settings", "settings.html", settings, (), "admin", nav="Settings", key="t"),
)
