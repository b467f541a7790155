"""Composition root: picks the adapters, wires the gods to each other, runs all of it in one TaskGroup.

Nothing else knows more than one god. What a god asks of another is a port that is answered here.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import ssl
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from olympus import __version__
from olympus.answers.apollo import Hindsight, Logs, Repositories, Runs
from olympus.answers.athena import KnowledgeAnswered, ObservationsAnswered, RemediesAnswered
from olympus.answers.hephaestus import NotesAnswered
from olympus.answers.notes import NotesRead
from olympus.answers.zeus import RulesForeseen, RulesJudged
from olympus.apollo.http_quart import App
from olympus.apollo.inventory.reminders import Reminders
from olympus.apollo.inventory.telling import AssetNews
from olympus.apollo.notes.home import claim_home
from olympus.apollo.notes.service import Knowledge
from olympus.apollo.notes.telling import Telling
from olympus.apollo.peers import Peers
from olympus.apollo.ports import Surroundings
from olympus.apollo.provider_joserfc import Client, Provider
from olympus.apollo.server_hypercorn import listen, serve
from olympus.apollo.tokens import Tokens
from olympus.argos.ask import Answering, LinesOfNodes
from olympus.argos.check_service import Checks
from olympus.argos.recent import Recent
from olympus.argos.service import Argos
from olympus.argos.watches import Watches
from olympus.athena.hindsight import Hindsight as Athenas
from olympus.athena.performing import Hands
from olympus.athena.service import ROLE as ATHENA
from olympus.athena.service import Athena
from olympus.chronos.service import Chronos
from olympus.config import Address, Settings
from olympus.hephaestus.artifacts import Artifacts
from olympus.hephaestus.execute_process import Tools
from olympus.hephaestus.secrets import SecretReader
from olympus.hephaestus.service import ROLE as HEPHAESTUS
from olympus.hephaestus.service import Hephaestus
from olympus.hephaestus.signer import OrderSigner
from olympus.hephaestus.specs_catalog import CatalogSpecs
from olympus.hephaestus.starts import Means, Starts
from olympus.hephaestus.worker import Worker
from olympus.hephaestus.workspace import Workspaces, base_folder
from olympus.hermes.bus import Bus
from olympus.hermes.kv import Kv
from olympus.hermes.kv_embedded import EmbeddedKv
from olympus.hermes.lease import Lease, lead
from olympus.hermes.registry import Member, Registry
from olympus.hermes.registry_embedded import EmbeddedRegistry
from olympus.hermes.trust import PINS, Author, Trust, read_pins
from olympus.host.http_aiohttp import HttpClient
from olympus.host.process import become_subreaper, keep_descriptors
from olympus.host.signing_ed25519 import PrivateKey
from olympus.kernel.clock import Clock, SystemClock
from olympus.kernel.errors import OlympusError
from olympus.records.blobs import load_blob
from olympus.records.catalog import CatalogStore
from olympus.records.desired import BlobRef
from olympus.records.seals import Seals
from olympus.zeus.api import Zeus
from olympus.zeus.controller import ROLE as ZEUS
from olympus.zeus.controller import Controller
from olympus.zeus.hooks import write_hooks
from olympus.zeus.push_socket import push_socket
from olympus.zeus.repo_git import SpecRepository
from olympus.zeus.source import Remote, SpecSource
from olympus.zeus.steward.facts import follow_facts, register_facts
from olympus.zeus.steward.service import Steward

log = logging.getLogger("olympus.boot")

CHRONOS: Final = "chronos"
_CLIENT: Final = "client.json"


@dataclass(frozen=True, slots=True)
class Announced:
    """What `olympus up` tells who started it. page, remote, token_file: None where there is none here."""

    node: str
    gods: frozenset[str]
    page: str | None = None
    remote: str | None = None
    token_file: Path | None = None


class _Stopped(Exception):
    """Ctrl-C, or SIGTERM."""


async def run(settings: Settings, announce: Callable[[Announced], None]) -> None:
    """Until SIGINT or SIGTERM; services and steps that run then go on.

    Raises OlympusError where it can't start, with what to do about it.
    """
    become_subreaper()
    keep_descriptors()
    # Programs of unprivileged users pass through it; what is in it closes itself.
    settings.state.mkdir(parents=True, exist_ok=True, mode=0o711)
    sock = listen(settings.listen.host, settings.listen.port) if "apollo" in settings.gods else None
    if sock is not None:
        settings = replace(settings, listen=Address(settings.listen.host, sock.getsockname()[1]))
    clock = SystemClock()
    kv, registry = await _hermes(settings, clock)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    loop.set_exception_handler(_unless_cancelled)
    try:
        house = House(settings, clock, kv, registry)
        await house.live(sock, stopped, announce)
    except BaseExceptionGroup as group:
        expected, others = group.split(OlympusError)
        if expected is None or others is not None:
            raise
        # Whatever part of us it was: what the operator needs is what it says.
        raise _first(expected) from group
    finally:
        await kv.close()


def _first(group: BaseExceptionGroup[OlympusError]) -> OlympusError:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error


def _unless_cancelled(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """The web server's connections complain when they are ended by our end; so do watches that nobody reads on."""
    error = context.get("exception")
    over = (asyncio.CancelledError, GeneratorExit)
    if isinstance(error, BaseExceptionGroup):
        error = error.split(over)[1]
    if context.get("exception") is None or not (error is None or isinstance(error, over)):
        loop.default_exception_handler(context)


async def _until(stopped: asyncio.Event) -> None:
    await stopped.wait()
    raise _Stopped


async def _hermes(settings: Settings, clock: Clock) -> tuple[Kv, Registry]:
    where = settings.hermes
    if where.consul is None:
        return EmbeddedKv.open(settings.state / "hermes.db", clock), EmbeddedRegistry()
    # Its vendor takes a while to import, and one machine does without it.
    from olympus.hermes.consul_client import ConsulAddress  # noqa: PLC0415
    from olympus.hermes.kv_consul import open_consul  # noqa: PLC0415
    from olympus.hermes.registry_consul import ConsulRegistry  # noqa: PLC0415

    kv = await open_consul(
        ConsulAddress(where.consul.host, where.consul.port, tls=where.tls, token=where.token, ca=where.ca)
    )
    return kv, ConsulRegistry(kv.client)


class House:
    """All parts of one host, built; `live` runs them."""

    def __init__(self, settings: Settings, clock: Clock, kv: Kv, registry: Registry) -> None:
        state, node = settings.state, settings.node
        self._settings = settings
        self._clock = clock
        self._kv = kv
        self._registry = registry
        self._author = author = _author(settings) if settings.controls else None
        self._trust = Trust(kv, author=author, pinned=read_pins(state / PINS))
        seals, signer = Seals(kv, self._trust, author), OrderSigner(self._trust, author)
        self.bus = Bus(kv, node, clock=clock, spool=state / "spool", heard=self._trust.heard)
        self._catalogs = CatalogStore(kv)
        self._client = HttpClient()
        self._others = HttpClient(tls=_peers_tls(settings))
        self._hindsight = Athenas(kv, self.bus, clock)
        self._source = self._specs_source() if settings.controls else None
        self._notes: Knowledge | None = None
        self._controller = Controller(kv, self.bus, registry, self._catalogs, clock, seals=seals)
        self._steward = Steward(kv, self.bus, clock, node, state=state, client=self._client, seals=seals)
        checks = Checks(kv, self.bus, clock, node, state=state, client=self._client)
        recent = Recent()
        watches = Watches(kv, self.bus, clock, node, state=state, recent=recent)
        answering = Answering(kv, clock, node, trust=self._trust, recent=recent, unmatched=watches.unmatched)
        self._argos = Argos(
            kv, node, state=state, seals=seals, checks=checks, watches=watches, answering=answering
        )
        self._chronos = Chronos(kv, self.bus, clock, self._catalogs)
        self._specs = CatalogSpecs(kv, self._catalogs, registry)
        self._starts = Starts(kv, self.bus, clock, self._specs)
        self._noted = NotesAnswered(self._peers)
        means = Means(kv, self.bus, clock, self._specs, self._starts, node, self._noted)
        self._hephaestus = Hephaestus(means, signer)
        self._lines = LinesOfNodes(kv, clock, author)
        self._notes_read = NotesRead(self._peers)
        hands = Hands(
            RemediesAnswered(kv, self.bus, self._starts),
            KnowledgeAnswered(
                kv, clock, self._catalogs, lines=self._lines, notes=self._notes_read, client=self._client
            ),
            ObservationsAnswered(kv, clock, self._specs),
        )
        self._athena = Athena(kv, self.bus, clock, self._catalogs, hands)
        self._secrets = SecretReader(os.environ, _credentials())
        runs = state / "runs"
        runs.mkdir(exist_ok=True, mode=0o711)
        self._worker = Worker(
            kv,
            self.bus,
            node,
            Tools(
                runs=runs,
                workspaces=Workspaces(
                    base_folder(state), Artifacts(state / "artifacts", kv, node), self._blob
                ),
                secrets=self._secrets,
                clock=clock,
            ),
            state=state,
            client=self._client,
            objection=signer.objection,
        )
        self._tokens = Tokens(kv, clock)
        self._started = False
        self._specs_known = asyncio.Event()

    def _peers(self) -> Peers:
        if self._author is None:
            raise AssertionError("only controllers ask each other")
        return Peers(self._registry, self._trust, self._author, self._others, self._clock)

    def _specs_source(self) -> SpecSource:
        settings = self._settings
        repository = SpecRepository.open_or_create(
            settings.state / "specs.git", seed=settings.specs, author="olympus", now=self._clock.now()
        )
        write_hooks(repository.path, settings.state)
        remote = Remote(settings.repo) if settings.repo else None
        return SpecSource(
            self._kv,
            self.bus,
            self._catalogs,
            repository,
            self._clock,
            remote=remote,
            judge=RulesJudged(),
            foresee=RulesForeseen(self._hindsight, self._clock),
        )

    async def live(self, sock: Any, stopped: asyncio.Event, announce: Callable[[Announced], None]) -> None:
        """Until `stopped` is set."""
        settings = self._settings
        try:
            await self._trust.begin()
            async with asyncio.TaskGroup() as group, AsyncExitStack() as stack:
                if self._source is not None:
                    await stack.enter_async_context(push_socket(settings.state, self._source))
                group.create_task(self._trust.run())
                group.create_task(self.bus.run())
                await self._registry.register(
                    Member(settings.node, settings.listen.host, meta={"url": settings.url})
                )
                await register_facts(self._kv, settings.node, settings.listen.host, self._clock)
                group.create_task(follow_facts(self._kv, settings.node, settings.listen.host, self._clock))
                group.create_task(self._registry.keep())
                for work in self._work():
                    group.create_task(work)
                if sock is not None and self._source is not None and self._author is not None:
                    home = await claim_home(self._kv, settings.node)
                    self._noted.home = self._notes_read.home = home
                    if home == settings.node:
                        self._noted.notes = self._notes = Knowledge(settings.state, self._clock)
                        group.create_task(Telling(self._notes, self._kv, self.bus, self._clock).run())
                    await self._write_client()
                    group.create_task(self._serve(sock, stopped, self._source, home, self._peers()))
                self._started = True
                announce(self._announced())
                await _until(stopped)
        except* _Stopped:
            log.info("stopped")
        finally:
            if self._notes is not None:
                await self._notes.close()
            await self._client.close()
            await self._others.close()

    def _announced(self) -> Announced:
        settings = self._settings
        told = Announced(settings.node, settings.gods)
        if settings.controls:
            told = replace(told, remote=str(settings.state / "specs.git"))
        if "apollo" in settings.gods:
            told = replace(told, page=settings.url, token_file=settings.state / _CLIENT)
        return told

    def _work(self) -> list[Any]:
        gods, kv, node = self._settings.gods, self._kv, self._settings.node
        work: list[Any] = []
        if self._source is not None:
            work += [self._await_specs(), self._source.run(), self._specs.run(), self._chronos.follow()]
            if "apollo" in gods:
                inventory = kv, self.bus, self._clock, self._catalogs
                work += [AssetNews(*inventory).run(), Reminders(*inventory).run()]
        if "zeus" in gods:
            work.append(self._controller.run(Lease(kv, ZEUS, node)))
        if "chronos" in gods:
            work.append(lead(Lease(kv, CHRONOS, node), self._chronos.lead))
        if "hephaestus" in gods:
            work.append(lead(Lease(kv, HEPHAESTUS, node), self._hephaestus.lead))
        if "athena" in gods:
            work.append(lead(Lease(kv, ATHENA, node), self._athena.lead))
        if "steward" in gods:
            work.append(self._steward.run())
        if "argos" in gods:
            work.append(self._argos.run())
        if "worker" in gods:
            work.append(self._worker.run())
        return work

    async def _await_specs(self) -> None:
        await self._specs.ready()
        self._specs_known.set()

    async def _serve(
        self, sock: Any, stopped: asyncio.Event, source: SpecSource, home: str, peers: Peers
    ) -> None:
        settings = self._settings
        around = Surroundings(
            kv=self._kv,
            bus=self.bus,
            clock=self._clock,
            node=settings.node,
            catalogs=self._catalogs,
            runs=Runs(self._starts),
            zeus=Zeus(self._kv, self._catalogs, source, self._clock),
            hindsight=Hindsight(self._catalogs, source, self._hindsight),
            logs=Logs(settings.state),
            unmatched=self._lines.unmatched,
            peers=peers,
            git=Repositories({"specs": settings.state / "specs.git", "notes": settings.state / "notes.git"}),
            notes=self._notes,
            notes_home=home,
            secrets=self._secrets,
            upcoming=self._chronos.upcoming,
            ready=self._waits_for,
            origins=_origins(settings),
            version=__version__,
            provider=self._provider(),
        )
        app = App(around, self._tokens).build()
        tls = (settings.tls_cert, settings.tls_key) if settings.tls_cert and settings.tls_key else None

        async def until() -> None:
            await stopped.wait()

        await serve(app, sock, stop=until, tls=tls)

    def _provider(self) -> Provider | None:
        said = self._settings.sign_on
        if said is None:
            return None
        client = Client(said.issuer, said.client, said.secret, said.groups)
        client.check()
        return Provider(client, self._client, self._clock)

    def _waits_for(self) -> Sequence[str]:
        """What `/readyz` says no with."""
        gods = self._settings.gods
        parts = {
            "client.json is not written": self._started,
            "specs are not applied": self._source is None or self._source.settled.is_set(),
            "services are not adopted": "steward" not in gods or self._steward.ready.is_set(),
            "pipelines are not known": self._specs_known.is_set(),
        }
        return [what for what, done in parts.items() if not done]

    async def _write_client(self) -> None:
        """`client.json`: the same token as before, while it counts; else a new admin's."""
        file = self._settings.state / _CLIENT
        token: str | None = None
        try:
            token = json.loads(file.read_text())["token"]
        except (FileNotFoundError, ValueError, KeyError):
            token = None
        if token is None or await self._tokens.check(token) is None:
            _, token = await self._tokens.create("admin", f"local admin of {self._settings.node}")
        part = file.with_suffix(".part")
        part.unlink(missing_ok=True)
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w") as content:
            json.dump({"server": self._settings.url, "token": token}, content)
            content.flush()
            os.fsync(descriptor)
        part.rename(file)

    async def _blob(self, ref: BlobRef) -> bytes:
        return await load_blob(self._kv, ref)


def _author(settings: Settings) -> Author:
    """This controller's key, made at its first start; and the line by which nodes may pin it."""
    author = Author(settings.node, PrivateKey.load_or_make(settings.state / "controller.key"))
    (settings.state / "controller.pub").write_text(author.line + "\n")
    return author


def _peers_tls(settings: Settings) -> ssl.SSLContext | None:
    """Whose certificates other hosts may bear: the system's, and those in our own certificate's file."""
    if settings.tls_cert is None:
        return None
    context = ssl.create_default_context()
    context.load_verify_locations(settings.tls_cert)
    return context


def _origins(settings: Settings) -> frozenset[str]:
    """The names under which the page may be asked for."""
    scheme = "https" if settings.tls_cert else "http"
    port = settings.listen.port
    hosts = {settings.listen.host, settings.node}
    if settings.listen.loopback or settings.listen.host in ("0.0.0.0", "::"):  # noqa: S104 - compared
        hosts |= {"127.0.0.1", "localhost", "::1"}
    return frozenset(f"{scheme}://{Address(host, port)}" for host in hosts) | {settings.url}


def _credentials() -> Path | None:
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    return Path(folder) if folder else None
