"""Athena's ports, answered by the other gods. Part of the composition root: nothing else knows more than one god."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

import orjson

from olympus.answers.notes import NotesRead
from olympus.argos.ask import LinesOfNodes
from olympus.argos.recent import Question as LinesQuestion
from olympus.athena.model import Looked, RunEnded, StartRun
from olympus.athena.rules import Question
from olympus.hephaestus.observation import observe
from olympus.hephaestus.ports import Specs
from olympus.hephaestus.starts import Asked, Starts
from olympus.hermes import keys
from olympus.hermes.bus import Bus
from olympus.hermes.kv import Kv, TransactionConflict
from olympus.host.http_aiohttp import HttpClient
from olympus.kernel.clock import Clock
from olympus.kernel.errors import Invalid, NotFound, Refused
from olympus.kernel.events import Event
from olympus.records.catalog import CatalogStore
from olympus.records.check import checks_of, standing
from olympus.records.cluster import read_cluster
from olympus.records.incident import Incident
from olympus.records.inventory import asset_of
from olympus.records.run import Cause, Run
from olympus.records.status import shown, shown_all
from olympus.records.watch import watches_of
from olympus.spec.duration import parse_duration

_MATCH: Final = "olympus.argos.match"
_CHECKS: Final = "olympus.argos.check-"


class RemediesAnswered:
    """By Hephaestus: runs whose ids follow from the incident."""

    def __init__(self, kv: Kv, bus: Bus, starts: Starts) -> None:
        self._kv = kv
        self._bus = bus
        self._starts = starts

    async def begin(self, start: StartRun, incident: Incident) -> RunEnded | None:
        entry = await self._kv.get(keys.run(start.run))
        if entry is not None:
            run = Run.from_bytes(entry.value)
            return RunEnded(run.id, run.state, run.message) if run.finished else None
        event = Event.from_json(incident.event)
        asked = Asked(
            pipeline=start.pipeline,
            params=start.params,
            cause=Cause(event=event.id, kind="incident", name=incident.id),
            run=start.run,
            event=event,
            approve=start.approve,
        )
        try:
            await self._starts.start(asked)
        except (Invalid, NotFound, Refused) as error:
            # So that people see which run could not be started; that it ended is told as of every run.
            refused = self._starts.refused(asked, str(error))
            try:
                await self._bus.publish([refused.event], refused.ops)
            except TransactionConflict:
                return None
        return None


class KnowledgeAnswered:
    """By whom a question names. `lines`: asks nodes, through Hermes."""

    def __init__(  # noqa: PLR0913 - the parts that boot wires
        self,
        kv: Kv,
        clock: Clock,
        catalogs: CatalogStore,
        *,
        lines: LinesOfNodes,
        notes: NotesRead,
        client: HttpClient,
    ) -> None:
        self._kv = kv
        self._clock = clock
        self._catalogs = catalogs
        self._lines = lines
        self._notes = notes
        self._client = client
        self._asked: Mapping[str, Callable[[Question], Awaitable[Any]]] = {
            "argos": self._argos,
            "apollo": self._apollo,
            "zeus": self._zeus,
            "hephaestus": self._hephaestus,
            "http": self._http,
        }

    async def answer(self, question: Question) -> Any:
        return await self._asked[question.of](question)

    async def _argos(self, question: Question) -> list[dict[str, Any]]:
        what = question.what
        wanted = LinesQuestion(
            contains=what.get("contains"),
            pattern=what.get("pattern"),
            last=parse_duration(what.get("last") or "5m"),
        )
        # Who asks gives up first: then it is he who says that nobody answered.
        timeout = question.timeout + timedelta(seconds=1)
        return await self._lines.lines(str(what["node"]), wanted, timeout=timeout)

    async def _apollo(self, question: Question) -> Any:
        what = question.what
        if what.get("note") is not None:
            return await self._notes.note(str(what["note"]))
        if what.get("search") is not None:
            return await self._notes.search(str(what["search"]))
        name = what["asset"]
        root = await self._catalogs.root()
        catalog = await self._catalogs.load(root) if root is not None else None
        found = asset_of(catalog, str(name)) if catalog is not None else None
        if found is None:
            raise NotFound(f"there is no Asset '{name}', and none whose fields.addresses have it")
        spec: dict[str, Any] = found.spec.to_json()
        return spec

    async def _zeus(self, question: Question) -> dict[str, Any]:
        kind = "Service" if question.what.get("service") is not None else "Node"
        name = str(question.what[kind.lower()])
        root = await self._catalogs.root()
        catalog = await self._catalogs.load(root) if root is not None else None
        cluster = await read_cluster(self._kv, self._clock.now())
        found = catalog.get(kind, name) if catalog is not None else None
        if found is not None:
            item = shown(found, cluster)
        else:
            items = shown_all(kind, catalog, cluster)
            item = next((one for one in items if one["metadata"]["name"] == name), {})
        if not item:
            raise NotFound(f"there is no {kind} '{name}'")
        status: dict[str, Any] = item["status"]
        return status

    async def _hephaestus(self, question: Question) -> list[dict[str, Any]]:
        """The last runs of a pipeline, newest first."""
        name, count = question.what["pipeline"], int(question.what.get("runs") or 1)
        found: list[dict[str, Any]] = []
        ids = sorted((key.removeprefix(keys.RUNS) for key in await self._kv.keys(keys.RUNS)), reverse=True)
        for run_id in ids:
            if len(found) == count:
                break
            entry = await self._kv.get(keys.run(run_id))
            run = Run.from_bytes(entry.value) if entry is not None else None
            if run is not None and run.pipeline == name:
                raw = run.to_json()
                found.append({key: raw[key] for key in _OF_A_RUN})
        return found

    async def _http(self, question: Question) -> Any:
        """JSON where it is some, else `{status, body}` with the text."""
        url = str(question.what["url"])
        answer = await self._client.request("GET", url, timeout=question.timeout.total_seconds() + 1)
        if answer.status >= 400:
            raise Refused(f"{url} answered {answer.status}")
        try:
            return orjson.loads(answer.body)
        except ValueError:
            return {"status": answer.status, "body": answer.body.decode(errors="replace")}


_OF_A_RUN: Final = ("id", "pipeline", "state", "params", "createdAt", "startedAt", "finishedAt", "message")


class ObservationsAnswered:
    """From what lies in Hermes."""

    def __init__(self, kv: Kv, clock: Clock, specs: Specs) -> None:
        self._kv = kv
        self._clock = clock
        self._specs = specs

    async def state(self, what: Mapping[str, Any]) -> Looked:
        seen = await observe(self._kv, self._specs, what, None)
        return Looked(seen.value, seen.because)

    async def witness(self, absent: Mapping[str, Any], event: Mapping[str, Any]) -> Looked:
        """Of matches the watch on the node that told of the first one, of checks the check, else the node."""
        type_, data = str(absent["event"]), event.get("data") or {}
        node = event.get("node")
        same = str(event.get("type") or "").split("-")[0] == type_.split("-", maxsplit=1)[0]
        if type_ == _MATCH and same and node is not None and data.get("watch"):
            return await self._watch(str(data["watch"]), str(node))
        if type_.startswith(_CHECKS) and same and data.get("check"):
            return await self._check(str(data["check"]), [str(node)] if node is not None else None)
        if type_.startswith("olympus.argos.") and node is not None:
            return self._node(str(node))
        return Looked(value=True, because="nobody is known who would have to be alive to tell of it")

    async def _watch(self, name: str, node: str) -> Looked:
        alive = self._node(node)
        if not alive.value:
            return alive
        entry = await self._kv.get(keys.watch(node, name))
        record = watches_of([entry]).get(node, {}).get(name) if entry is not None else None
        if record is None:
            return Looked(value=False, because=f"watch {name} is not kept on {node}: nobody would tell of it")
        if record.state != "watching":
            return Looked(value=False, because=f"watch {name} on {node} is dead: {record.message}")
        return Looked(value=True, because=f"watch {name} on {node} is alive")

    async def _check(self, name: str, only: Sequence[str] | None) -> Looked:
        nodes = {node.name: node for node in self._specs.checked(name) if only is None or node.name in only}
        if not nodes:
            return Looked(value=False, because=f"check {name} is made nowhere: nobody would tell of it")
        found = [await self._kv.get(keys.check(node, name)) for node in nodes]
        records = checks_of(entry for entry in found if entry is not None)
        lost = {node: None for node, one in nodes.items() if not one.alive}
        for one in standing(name, nodes, records, lost):
            if one.state == "unknown":
                return Looked(value=False, because=f"check {name} on {one.node} is unknown: {one.message}")
        return Looked(value=True, because=f"check {name} is alive")

    def _node(self, name: str) -> Looked:
        alive = next((one.alive for one in self._specs.nodes() if one.name == name), False)
        if alive:
            return Looked(value=True, because=f"node {name} is alive")
        return Looked(value=False, because=f"node {name} is lost: nobody would tell of it")
