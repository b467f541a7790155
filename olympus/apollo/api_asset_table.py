"""Assets as a table: out as CSV; in, or many at once, as a plan first and then as a commit to the specs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from quart import Response

from olympus.apollo.inventory.documents import Proposed, proposed
from olympus.apollo.inventory.table import Row, path_of, read, written
from olympus.apollo.ports import Surroundings
from olympus.apollo.problems import Problem
from olympus.apollo.request import Request, json_answer
from olympus.apollo.sight import sight_of
from olympus.kernel.errors import Invalid
from olympus.records.proposal import Proposal
from olympus.spec.catalog import Catalog
from olympus.spec.selector import parse_selector

_BODY: Final = 'a table as text/csv, or {"selector": "team=shop", "set": {"owner": "ann", "fields.ram": 16}}'
_NAMED: Final = 5


class AssetTable:
    def __init__(self, around: Surroundings) -> None:
        self._around = around

    async def csv(self, request: Request) -> Response:
        """Those that `selector` names; the table may be changed and sent to `changes`."""
        sight = await sight_of(self._around.catalogs, request.by)
        root = await self._around.catalogs.root()
        catalog = await self._around.catalogs.load(root) if root else Catalog(())
        matches = _matches(request.query.get("selector", ""))
        shown = [one for one in catalog.all("Asset") if matches(one.labels) and sight.sees("Asset", one.name)]
        response = Response(written(shown), mimetype="text/csv")
        response.headers["Content-Disposition"] = 'attachment; filename="assets.csv"'
        return response

    async def change(self, request: Request) -> Response:
        """The plan, with the commit that it is `base`d on; with `?commit=BASE` that is done: 409 where main moved."""
        sources = await self._around.zeus.sources("Asset")
        rows = _rows(request, sources.catalog)
        made = proposed(sources.catalog, sources.files, rows)
        commit, zeus = request.query.get("commit"), self._around.zeus
        if commit not in (None, sources.revision):
            raise Problem(
                409, f"main is not at {commit[:7]} any more: look at the plan anew", base=sources.revision
            )
        answer: dict[str, Any] = {
            "base": sources.revision,
            "changes": [
                {"name": one.name, "verb": one.verb, "changes": [field.to_json() for field in one.fields]}
                for one in made.changes
            ],
            "warnings": made.warnings,
            "plan": None,
            "revision": None,
        }
        if not made.changes:
            return json_answer(answer)
        message = request.query.get("message") or _message(made)
        proposal = Proposal(sources.revision, made.files, request.by.name, message)
        revision = await zeus.propose(proposal)
        if commit is None:
            return json_answer(answer | {"plan": (await zeus.plan(revision)).to_json()})
        outcome = await zeus.accept(commit, revision, by=request.by.name)
        return json_answer(answer | {"revision": revision, "outcome": outcome.to_json()}, 201)


def _rows(request: Request, catalog: Catalog) -> list[Row]:
    """Raises Problem 422, Invalid."""
    if request.headers.get("content-type", "").partition(";")[0].strip() == "text/csv":
        try:
            return read(request.body.decode())
        except UnicodeDecodeError as error:
            raise Invalid(f"assets.csv is not UTF-8: {error}") from error
    body = request.json()
    selector, given = body.get("selector", ""), body.get("set")
    if set(body) - {"selector", "set"} or not isinstance(selector, str) or not isinstance(given, Mapping):
        raise Problem(422, f"the body is {_BODY}")
    matches = _matches(selector)
    values = {path_of(column): value for column, value in given.items()}
    return [Row(one.name, values) for one in catalog.all("Asset") if matches(one.labels)]


def _matches(selector: str) -> Any:
    try:
        return parse_selector(selector).matches
    except ValueError as error:
        raise Problem(400, f"selector: {error}") from error


def _message(made: Proposed) -> str:
    names = [one.name for one in made.changes]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"Change assets: {', '.join(names[:_NAMED])}{more}"
