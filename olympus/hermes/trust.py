"""Whom a node believes: controllers, by the Ed25519 keys that they publish, or that its operator pinned.

A host that runs more than a node's own hands is a controller. It signs what it tells nodes; its public key lies
in `trust/controllers/NAME`, which only controllers may write where Consul's ACLs are on. Where the operator
wrote STATE/controllers.pub, that file counts instead of Hermes.

Events are not signed: Consul's ACLs say who may append to a publisher's log. What follows from that is held here:
a publisher that is no controller is heard only about itself.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal, TypeAlias

import orjson

from olympus.hermes import keys
from olympus.hermes.kv import Entry, Kv, Put
from olympus.host.signing_ed25519 import PrivateKey, PublicKey
from olympus.kernel.errors import HermesUnreachable, Invalid, Refused
from olympus.kernel.events import Event

log = logging.getLogger("olympus.hermes")

What: TypeAlias = Literal["order", "desired", "ask"]
"""What is signed: no signature of the one counts for the other."""

PINS: Final = "controllers.pub"
"""In the state: a line `NAME KEY` for each controller, as STATE/controller.pub of its host has it."""

NODES_TELL: Final = (
    "olympus.argos.",
    "olympus.hephaestus.order-",
    "olympus.zeus.desired-refused",
    "olympus.zeus.healed",
    "olympus.zeus.service-",
)
"""How the types begin of which a node that is no controller is heard, about itself."""

_RETRY: Final = 1.0


@dataclass(frozen=True, slots=True)
class Author:
    """A controller, as which this host signs."""

    name: str
    key: PrivateKey

    @property
    def line(self) -> str:
        """Of a file of pins."""
        return f"{self.name} {self.key.public.text}"

    def sign(self, what: What, said: bytes) -> str:
        """`NAME:BASE64`, for `Trust.objection` on any node."""
        return f"{self.name}:{self.mark(_message(what, said))}"

    def mark(self, message: bytes) -> str:
        """The same message always gets the same one, and what was just signed is soon asked about here."""
        return _signed(self.key, message)


@lru_cache(maxsize=64)
def _signed(key: PrivateKey, message: bytes) -> str:
    return key.sign(message)


class Trust:
    """`run` follows the keys; before it is told of a new one, whoever needs it looks it up."""

    def __init__(
        self, kv: Kv, *, author: Author | None = None, pinned: Mapping[str, PublicKey] | None = None
    ) -> None:
        self._kv = kv
        self._author = author
        self._pinned = pinned is not None
        self._known: Mapping[str, PublicKey] = dict(pinned or {})
        self._changed = asyncio.Condition()

    async def begin(self) -> None:
        """Publish our own key, if we are a controller, and read all. Raises Refused where that is not allowed."""
        if self._author is not None:
            await self._publish(self._author)
        await self._look()

    async def _publish(self, author: Author) -> None:
        if self._pinned and self._key(author.name) != author.key.public.text:
            raise Refused(
                f"{PINS} does not name this controller, so that no node would obey it: "
                f"add the line '{author.line}', here and on every node"
            )
        key, value = keys.controller(author.name), orjson.dumps({"key": author.key.public.text})
        found = await self._kv.get(key)
        if found is not None and found.value == value:
            return
        try:
            await self._kv.transact([Put(key, value)])
        except Refused as exc:
            raise Refused(
                f"{exc}. A host that runs more than --gods steward,worker,argos needs a controller's token"
            ) from exc

    async def run(self) -> None:
        """Until cancelled."""
        if self._pinned:
            return
        async for snapshot in self._kv.watch(keys.CONTROLLERS):
            await self._take(snapshot.entries)

    async def _take(self, entries: Sequence[Entry]) -> None:
        found = {entry.key.removeprefix(keys.CONTROLLERS): _published(entry) for entry in entries}
        known = {name: key for name, key in found.items() if key is not None}
        if {name: key.text for name, key in known.items()} != {n: k.text for n, k in self._known.items()}:
            log.info("controllers_known", extra={"names": ",".join(sorted(known))})
            self._known = known
            async with self._changed:
                self._changed.notify_all()

    async def _look(self) -> None:
        """What the watch has not told yet. While Hermes is away nothing can be said of anybody: wait."""
        while not self._pinned:
            try:
                await self._take((await self._kv.scan(keys.CONTROLLERS)).entries)
            except HermesUnreachable:
                await asyncio.sleep(_RETRY)
            else:
                return

    def _key(self, name: str) -> str | None:
        known = self._known.get(name)
        return None if known is None else known.text

    def signers(self) -> Mapping[str, str]:
        """Controller → its public key, as far as they are known now."""
        return {name: key.text for name, key in self._known.items()}

    async def changed(self, since: Mapping[str, str]) -> Mapping[str, str]:
        """Waits until `signers` are others than `since`."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.signers() != since)
        return self.signers()

    async def objection(self, what: What, said: bytes, signature: str | None) -> str | None:
        """Why `said` is not to be believed: None where a controller signed exactly that."""
        if not signature:
            return "it is not signed"
        name, _, mark = signature.partition(":")
        message = _message(what, said)
        if self._holds(name, message, mark):
            return None
        await self._look()
        if self._holds(name, message, mark):
            return None
        if name not in self._known:
            where = PINS if self._pinned else keys.CONTROLLERS
            return f"it is signed by {name[:80]!r}, who is no controller of {where}"
        return f"its signature is not that of controller {name!r}: it was altered, or signed with another key"

    def _holds(self, name: str, message: bytes, mark: str) -> bool:
        key, author = self._known.get(name), self._author
        if key is None:
            return False
        if author is not None and author.name == name and author.key.public.text == key.text:
            # Signing takes a third of verifying.
            return author.mark(message) == mark
        return key.signed(message, mark)

    async def heard(self, publisher: str, events: tuple[Event, ...]) -> tuple[Event, ...]:
        """Those of `events` that `publisher` may tell."""
        if publisher in self._known or all(_of_itself(publisher, event) for event in events):
            return events
        await self._look()
        if publisher in self._known:
            return events
        kept = tuple(event for event in events if _of_itself(publisher, event))
        refused = sorted({event.type for event in events} - {event.type for event in kept})
        log.warning("events_refused", extra={"of": publisher, "types": ",".join(refused)[:500]})
        return kept


def read_pins(file: Path) -> Mapping[str, PublicKey] | None:
    """The controllers that the operator pinned; None where there is no such file. Raises Invalid, Refused."""
    try:
        text, mode = file.read_text(), file.stat().st_mode
    except FileNotFoundError:
        return None
    if mode & 0o022:
        raise Refused(f"{file} may be written by others than its owner: chmod go-w {file}")
    found: dict[str, PublicKey] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        if len(words) != 2:
            raise Invalid(
                f"{file}:{number}: write 'NAME KEY', as STATE/controller.pub of the controller has it"
            )
        found[words[0]] = PublicKey(words[1])
    if not found:
        raise Invalid(
            f"{file} names no controller: nothing could tell this node anything. Add one, or remove it"
        )
    return found


def _message(what: What, said: bytes) -> bytes:
    return b"olympus %s 1\n%s" % (what.encode(), said)


def _published(entry: Entry) -> PublicKey | None:
    try:
        return PublicKey(str(orjson.loads(entry.value)["key"]))
    except (Invalid, ValueError, KeyError, TypeError) as exc:
        log.warning("key_not_read", extra={"key": entry.key, "why": str(exc)})
        return None


def _of_itself(publisher: str, event: Event) -> bool:
    return (
        event.node == publisher
        and _is_event(event)
        and event.data.get("node", publisher) == publisher
        and event.type.startswith(NODES_TELL)
    )


def _is_event(event: Event) -> bool:
    """Segments are read as our own wrote them: of a node that may have been taken over, the types are checked."""
    texts = (event.id, event.type, event.source, event.subject or "", event.cause or "")
    return (
        all(isinstance(text, str) for text in texts)
        and isinstance(event.data, dict)
        and isinstance(event.depth, int)
        and event.time.tzinfo is not None
    )
