"""What people and programs may ask of Zeus, on any host: the controller need not be here."""

from __future__ import annotations

from olympus.hermes.kv import Kv
from olympus.kernel.clock import Clock
from olympus.records.catalog import CatalogStore
from olympus.records.cluster import Cluster, read_cluster
from olympus.records.hosts import Hosts
from olympus.records.offer import Outcome
from olympus.records.plan import Plan
from olympus.records.proposal import Proposal, Sources
from olympus.records.version import Version
from olympus.zeus.compile import Contents, compile_hosts, declaration
from olympus.zeus.contents import contents, unsaved
from olympus.zeus.model import World
from olympus.zeus.plan import Declaration, plan, prune_refused
from olympus.zeus.source import SpecSource


class Zeus:
    """Reads Hermes and the specs repository of this host; changes them only through offers."""

    def __init__(self, kv: Kv, catalogs: CatalogStore, source: SpecSource, clock: Clock) -> None:
        self._kv = kv
        self._catalogs = catalogs
        self._source = source
        self._clock = clock

    async def plan(self, ref: str | None = None, *, live: bool = False) -> Plan:
        """What applying a branch, tag or commit (None: main) would do now. live: also what would be healed.

        Raises Invalid, with diagnostics, where it does not validate; Refused or NotFound for the ref.
        """
        checked = await self._source.checked(ref)
        catalog = checked.catalog_or_raise()
        cluster = await read_cluster(self._kv, self._clock.now())
        root = await self._catalogs.root()
        known = Hosts(hosts=dict(cluster.hosts))
        before, old = Declaration(), None
        if root is not None:
            old = await self._catalogs.load(root)
            files = await self._catalogs.files(root)
            before = declaration(old, root.revision, Contents(files), cluster.intents)
        hosts = compile_hosts(catalog, known, cluster.intents)

        async def read(path: str) -> bytes:
            return checked.files[path]

        refs = {path: await unsaved(content) for path, content in checked.files.items()}
        made_of = await contents(catalog, refs, hosts.values(), read=read, save=unsaved)
        after = declaration(catalog, checked.revision, made_of, cluster.intents)
        made = plan(before, after, World(hosts, cluster.told, cluster.seen, cluster.rollouts), live=live)
        foreseen = await self._source.foreseen(checked.revision, old) if old is not None else []
        made = made.model_copy(update={"foreseen": tuple(foreseen)})
        refused = prune_refused(before.resources, after.resources)
        if refused is not None:
            return made.model_copy(update={"warnings": (f"refused: {refused}", *made.warnings)})
        return made

    async def sync(self, *, prune: bool = False) -> Outcome | None:
        """Fetch (from a remote, if there is one) and apply main's head; None before the first commit.

        prune: also where it removes so much that it would be refused.
        """
        return await self._source.sync(prune=prune)

    async def rollback(self, ref: str, *, by: str) -> Outcome:
        """Apply the files of an earlier commit, as a new commit of main."""
        return await self._source.rollback(ref, by=by)

    async def sources(self, kind: str) -> Sources:
        """What main's head declares, and the files that declare a kind. Raises Invalid."""
        return await self._source.sources(kind)

    async def propose(self, proposal: Proposal) -> str:
        """A commit that may be planned and accepted. Raises Invalid, Conflict, Refused."""
        return await self._source.propose(proposal)

    async def accept(self, base: str, revision: str, *, by: str) -> Outcome:
        """Main is that commit from now on. Raises Conflict where it was moved meanwhile."""
        return await self._source.accept(base, revision, by=by)

    async def versions(self, kind: str, name: str) -> list[Version]:
        """Each commit of this host's specs repository that changed the document, newest first."""
        return await self._source.versions(kind, name)

    async def cluster(self) -> Cluster:
        """What statuses are made of (see `records.status`)."""
        return await read_cluster(self._kv, self._clock.now())
