"""Where catalogs come from: pushes to the specs repository of this host, or a remote one that is fetched.

Every commit of every branch is validated before git takes it. A commit of main becomes an offer; the
controller, here or on another host, applies it, and the outcome is what the push shows.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from olympus.hermes import keys
from olympus.hermes.bus import Bus
from olympus.hermes.kv import Kv, Put
from olympus.host.repository_git import MAIN
from olympus.kernel.clock import Clock
from olympus.kernel.errors import HermesUnreachable, Invalid, OlympusError, Refused, RetryLater
from olympus.kernel.events import Event
from olympus.kernel.ids import new_id
from olympus.records.catalog import CatalogStore
from olympus.records.offer import Offer, Outcome, SourceState
from olympus.records.proposal import Proposal, Sources
from olympus.records.version import Version
from olympus.spec.catalog import Catalog
from olympus.zeus import proposals
from olympus.zeus.history import versions
from olympus.zeus.plan import prune_refused
from olympus.zeus.push import Push, RefUpdate
from olympus.zeus.push_socket import Say
from olympus.zeus.repo_git import SpecRepository, check_branch, check_url, without_password
from olympus.zeus.validation import Checked, Foresee, Judge, Validator, nothing_foreseen, refusal

log = logging.getLogger("olympus.zeus")

POLL_SECONDS: Final = 30.0
OUTCOME_SECONDS: Final = 60.0
_OFFERED: Final = "olympus-offered"
_REMEMBERED: Final = 4


@dataclass(frozen=True, slots=True)
class Remote:
    """A repository elsewhere that the specs come from."""

    url: str
    branch: str = "main"
    poll: float = POLL_SECONDS


class SpecSource:
    """Answers the hooks (see `push_socket`), follows main or a remote, does what operators ask of git.

    Raises Refused where the remote's URL or branch is one that is never fetched.
    """

    def __init__(  # noqa: PLR0913 - the parts that boot wires
        self,
        kv: Kv,
        bus: Bus,
        catalogs: CatalogStore,
        repository: SpecRepository,
        clock: Clock,
        *,
        remote: Remote | None = None,
        judge: Judge = lambda _: (),
        foresee: Foresee = nothing_foreseen,
    ) -> None:
        if remote is not None:
            check_url(remote.url)
            check_branch(remote.branch)
        self._kv = kv
        self._bus = bus
        self._catalogs = catalogs
        self._repository = repository
        self._clock = clock
        self._remote = remote
        self._validator = Validator(repository, judge)
        self._foresee = foresee
        self._offering = asyncio.Lock()
        self._stirred = asyncio.Event()
        self.settled = asyncio.Event()
        """Set once what main had at the start was applied, or can not be."""
        # What was last told of main or the remote; None: nothing yet.
        self._told: str | None = None
        self._refused: str | None = None
        self._head_seen: str | None = None

    # ── what the hooks ask ──

    async def check(self, push: Push, say: Say) -> bool:
        """Whether git may take the push: all of it or nothing."""
        agreed = True
        for update in push.updates:
            lines = await self._objections(update, push)
            for line in lines:
                await say(f"refused: {line}")
                agreed = False
            if lines and update.ref == MAIN:
                await self._refuse_push(update, push, lines)
        return agreed

    async def _refuse_push(self, update: RefUpdate, push: Push, lines: Sequence[str]) -> None:
        author = push.pusher
        if not update.deletes:
            commit = await asyncio.to_thread(self._repository.commit, update.new, push.quarantine)
            author = commit.author
        await self._publish_refused(update.new, author, lines)

    async def _publish_refused(self, revision: str, author: str, lines: Sequence[str]) -> None:
        refused = Event(
            id=new_id(),
            type="olympus.zeus.refused",
            source="olympus/zeus",
            time=self._clock.now(),
            data={"revision": revision, "author": author, "errors": list(lines)},
        )
        await self._bus.publish([refused], durable=False)

    async def _objections(self, update: RefUpdate, push: Push) -> Sequence[str]:
        lines = refusal(update, remote=None if self._remote is None else self._remote.url)
        if lines or update.deletes or not update.ref.startswith("refs/heads/"):
            return lines
        checked = await asyncio.to_thread(self._validator.check, update.new, push.quarantine)
        if checked.diagnostics:
            return checked.lines()
        if update.ref == MAIN and not push.prune_confirmed:
            return await self._prune_objection(checked)
        return ()

    async def _prune_objection(self, checked: Checked) -> Sequence[str]:
        try:
            root = await self._catalogs.root()
            before = [] if root is None else refs(await self._catalogs.load(root))
        except HermesUnreachable:
            # The controller asks again before it applies.
            return ()
        reason = prune_refused(before, refs(checked.catalog_or_raise()))
        return () if reason is None else (reason,)

    async def received(self, push: Push, say: Say) -> None:
        """Git has taken the push: apply what is main's, and say what came of it."""
        for update in push.updates:
            if update.ref == MAIN:
                await self._main_moved(update, push, say)
            elif update.ref.startswith("refs/heads/") and not update.deletes:
                branch = update.ref.removeprefix("refs/heads/")
                await say(f"valid: {branch} {update.new[:7]}; only main is applied")
                for line in await self.foreseen(update.new, await self._applied()):
                    await say(line)

    async def _main_moved(self, update: RefUpdate, push: Push, say: Say) -> None:
        if not update.creates:
            kept = await asyncio.to_thread(self._keep_history, update)
            if kept is not None:
                await say(f"history of main was replaced; its old head is kept as {kept}")
        before = await self._applied()
        try:
            outcome = await self._offer(update.new, by=push.pusher, prune=push.prune_confirmed)
        except RetryLater as exc:
            log.warning("offer_delayed", extra={"revision": update.new, "reason": str(exc)})
            self._stirred.set()
            await say(f"accepted {update.new[:7]}: applies when Hermes answers ({exc})")
            return
        if outcome is None:
            await say(f"accepted {update.new[:7]}: no controller has applied it yet")
            return
        for line in said(outcome):
            await say(line)
        if outcome.applied:
            for line in await self.foreseen(update.new, before):
                await say(line)

    async def _applied(self) -> Catalog | None:
        """What counts now; None before the first, and where nobody can tell."""
        try:
            root = await self._catalogs.root()
            return None if root is None else await self._catalogs.load(root)
        except RetryLater:
            return None

    async def foreseen(self, revision: str, before: Catalog | None) -> list[str]:
        """What the commit's rules would have done lately, in words."""
        if before is None:
            return []
        checked = await asyncio.to_thread(self._validator.check, revision)
        after = checked.catalog
        return [] if after is None else [f"foreseen: {one}" for one in await self._foresee(before, after)]

    def _keep_history(self, update: RefUpdate) -> str | None:
        if self._repository.contains(update.new, update.old):
            return None
        return self._repository.keep_replaced(update.old)

    # ── what goes on by itself ──

    async def run(self) -> None:
        """Offer main's head if it was not yet, then look for another now and then. Until cancelled.

        Pushes tell of themselves; looking finds what a hook could not tell (another user's push, a moved ref).
        """
        while True:
            pause = POLL_SECONDS if self._remote is None else self._remote.poll
            try:
                await self._follow()
            except RetryLater as exc:
                log.warning("specs_wait", extra={"reason": str(exc)})
                pause = min(pause, exc.after)
            except OlympusError as exc:
                log.warning("specs_refused", extra={"reason": str(exc)})
                await self._tell_refused(exc)
            self.settled.set()
            self._stirred.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._stirred.wait()

    async def _follow(self) -> None:
        self._head_seen = revision = await self._head()
        if revision == self._refused and revision is not None:
            return
        if revision is not None and revision != await asyncio.to_thread(self._offered):
            await self._offer_unless_known(revision)
        await self._tell_state("")

    async def _offer_unless_known(self, revision: str) -> None:
        root = await self._catalogs.root()
        if root is not None and root.revision == revision:
            # Another host that follows the same remote was quicker.
            await self._mark_offered(revision)
        elif root is not None and await self._is_mere_seed():
            log.warning("seed_not_applied", extra={"revision": revision})
        else:
            await self._offer(revision, by="")

    async def _head(self) -> str | None:
        if self._remote is None:
            return await asyncio.to_thread(self._repository.head)
        try:
            return await asyncio.to_thread(self._repository.fetch, self._remote.url, self._remote.branch)
        except OlympusError as exc:
            await self._tell_state(str(exc))
            raise

    async def _tell_refused(self, error: OlympusError) -> None:
        revision = self._head_seen
        if revision is None or revision == self._refused:
            return
        self._refused = revision
        lines = [str(one) for one in error.diagnostics] if isinstance(error, Invalid) else []
        commit = await asyncio.to_thread(self._repository.commit, revision)
        await self._publish_refused(revision, commit.author, lines or [str(error)])
        await self._tell_state(f"{revision[:7]} is refused: {error}")

    async def _tell_state(self, error: str) -> None:
        if self._told == error or (self._told is None and not error):
            return
        url = str(self._repository.path) if self._remote is None else without_password(self._remote.url)
        state = SourceState(url=url, since=self._clock.now(), error=error)
        await self._kv.transact([Put(keys.SOURCE, state.to_bytes())])
        self._told = error

    async def _mark_offered(self, revision: str) -> None:
        await asyncio.to_thread((self._repository.path / _OFFERED).write_text, revision + "\n")

    async def _is_mere_seed(self) -> bool:
        """A new repository's first commit must not replace what a cluster already runs."""
        return self._remote is None and await asyncio.to_thread(self._offered) is None

    def _offered(self) -> str | None:
        try:
            return (self._repository.path / _OFFERED).read_text().strip() or None
        except FileNotFoundError:
            return None

    # ── what operators ask ──

    async def sync(self, *, prune: bool = False) -> Outcome | None:
        """Fetch now, and apply main's head even if it was applied before; None before the first commit.

        prune: as `-o prune=confirm` of a push.
        Raises RetryLater (the remote does not answer, or nobody applies), Refused, Invalid.
        """
        revision = await self._head()
        if revision is None:
            return None
        return await self._awaited(revision, by="sync", prune=prune)

    async def rollback(self, ref: str, *, by: str) -> Outcome:
        """Make main's files those of `ref` by a new commit, and apply it."""
        if self._remote is not None:
            raise Refused(f"the specs come from {self._remote.url}: revert there")
        revision = await asyncio.to_thread(self._repository.resolve, ref)
        checked = await asyncio.to_thread(self._validator.check, revision)
        checked.catalog_or_raise()
        commit = await asyncio.to_thread(
            lambda: self._repository.restore(
                revision,
                author=by or "olympus",
                message=f"Roll back to {revision[:7]}",
                now=self._clock.now(),
            )
        )
        return await self._awaited(commit, by=by)

    async def sources(self, kind: str) -> Sources:
        """What main's head declares, and the files that declare a kind. Raises Invalid."""
        checked = await self.checked(None)
        catalog = checked.catalog_or_raise()
        return await asyncio.to_thread(proposals.sources, self._repository, catalog, checked.revision, kind)

    async def propose(self, proposal: Proposal) -> str:
        """A commit on top of main, which is as fit to be applied as one that is pushed; nothing is moved to it.

        Raises Invalid, with diagnostics; Conflict where main is not its base any more; Refused.
        """
        if self._remote is not None:
            raise Refused(f"the specs come from {self._remote.url}: change them there")
        revision = await asyncio.to_thread(proposals.write, self._repository, proposal, self._clock.now())
        checked = await asyncio.to_thread(self._validator.check, revision)
        checked.catalog_or_raise()
        for line in await self._prune_objection(checked):
            raise Refused(line)
        return revision

    async def accept(self, base: str, revision: str, *, by: str) -> Outcome:
        """Main is that proposed commit, and applied. Raises Conflict where main is not at `base` any more."""
        await asyncio.to_thread(proposals.take, self._repository, base, revision)
        return await self._awaited(revision, by=by)

    async def versions(self, kind: str, name: str) -> list[Version]:
        """Each commit of main that changed the document, newest first."""
        head = await self._head()
        return await asyncio.to_thread(versions, self._repository, head, kind, name) if head else []

    async def checked(self, ref: str | None) -> Checked:
        """The catalog of a branch, tag or commit (None: main), valid or not."""
        if ref is None:
            head = await self._head()
            if head is None:
                raise Invalid("the specs repository is still empty")
            revision = head
        else:
            revision = await asyncio.to_thread(self._repository.resolve, ref)
        return await asyncio.to_thread(self._validator.check, revision)

    async def _awaited(self, revision: str, *, by: str, prune: bool = False) -> Outcome:
        outcome = await self._offer(revision, by=by, prune=prune)
        if outcome is None:
            raise RetryLater(f"{revision[:7]} is offered, but no controller has applied it yet", after=5)
        return outcome

    # ── the offer ──

    async def _offer(self, revision: str, *, by: str, prune: bool = False) -> Outcome | None:
        checked = await asyncio.to_thread(self._validator.check, revision)
        catalog = checked.catalog_or_raise()
        commit = await asyncio.to_thread(self._repository.commit, revision)
        async with self._offering:
            root = await self._catalogs.save(catalog, checked.files, commit)
            offer = Offer(id=new_id(), root=root, at=self._clock.now(), by=by, prune=prune)
            await self._kv.transact([Put(keys.OFFER, offer.to_bytes())])
            await self._kv.flush()
            await self._mark_offered(revision)
        try:
            async with asyncio.timeout(OUTCOME_SECONDS):
                return await self._outcome(offer.id)
        except TimeoutError:
            return None

    async def _outcome(self, offer: str) -> Outcome:
        async for found in self._kv.watch(keys.OUTCOME):
            for entry in found.entries:
                outcome = Outcome.from_bytes(entry.value)
                if outcome.offer == offer or await self._is_overtaken(offer, outcome):
                    return outcome
        raise RetryLater("Hermes stopped watching")

    async def _is_overtaken(self, offer: str, outcome: Outcome) -> bool:
        """A later offer took its place before the controller saw it: what counts is what is applied now.

        Ids of two hosts must not be compared: their clocks may differ.
        """
        found = await self._kv.get(keys.OFFER)
        return found is not None and Offer.from_bytes(found.value).id == outcome.offer != offer


def refs(catalog: Catalog) -> list[tuple[str, str]]:
    """(kind, name) of all that is declared."""
    return [one.ref for one in catalog.resources]


def said(outcome: Outcome) -> list[str]:
    """What a push shows of it."""
    if not outcome.applied:
        return [f"refused: {line}" for line in outcome.lines]
    return [
        f"applied {outcome.revision[:7]}: {outcome.summary}",
        *(f"warning: {line}" for line in outcome.lines),
    ]
