"""The narrow port: the few operations that Consul's KV and an embedded store can both do alike.

Versions are Consul's ModifyIndex: integers of the whole store that only grow (until it is restored from
a backup: then they may go back, and watchers start anew).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from olympus.kernel.errors import Conflict, OlympusError, Refused

MAX_OPS: Final = 64
"""Operations in a transaction (Consul before 1.13 takes no more; later ones take 128)."""

MAX_BODY: Final = 380 * 1024
"""Bytes of all values in a transaction: Consul limits the request to 512 KiB with base64 in it."""

MAX_PREFIX: Final = 8 * 1024 * 1024
"""Bytes that a watched prefix may hold: Consul sends the whole prefix at each change."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A key with its value. `version` is that of its last change; `session` holds its lock, if any."""

    key: str
    value: bytes
    version: int
    session: str | None = None


@dataclass(frozen=True, slots=True)
class Put:
    """Set, whatever is there."""

    key: str
    value: bytes


@dataclass(frozen=True, slots=True)
class Cas:
    """Set where the key's version is `version`; 0 means that the key is absent."""

    key: str
    value: bytes
    version: int


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove; absent is fine."""

    key: str


@dataclass(frozen=True, slots=True)
class DeleteCas:
    """Remove where the key's version is `version`."""

    key: str
    version: int


@dataclass(frozen=True, slots=True)
class DeletePrefix:
    """Remove every key that begins with `prefix`."""

    prefix: str


@dataclass(frozen=True, slots=True)
class CheckAbsent:
    """Guard: the key does not exist."""

    key: str


@dataclass(frozen=True, slots=True)
class CheckVersion:
    """Guard: the key's version is `version`."""

    key: str
    version: int


@dataclass(frozen=True, slots=True)
class CheckSession:
    """Guard: `session` holds the key's lock."""

    key: str
    session: str


@dataclass(frozen=True, slots=True)
class Lock:
    """Set, and take the lock for `session`: fails while another session holds it."""

    key: str
    value: bytes
    session: str


@dataclass(frozen=True, slots=True)
class Unlock:
    """Set, and give up the lock that `session` holds."""

    key: str
    value: bytes
    session: str


Op: TypeAlias = (
    Put | Cas | Delete | DeleteCas | DeletePrefix | CheckAbsent | CheckVersion | CheckSession | Lock | Unlock
)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What lies under a prefix, ordered by key, at `index` of the store."""

    entries: tuple[Entry, ...]
    index: int


class TransactionConflict(Conflict):
    """A guard failed, so nothing was done. `failed` are the indexes of the operations that failed."""

    def __init__(self, failed: Sequence[int], ops: Sequence[Op]) -> None:
        named = ", ".join(f"{type(ops[i]).__name__} {_name(ops[i])}" for i in failed)
        super().__init__(f"conflict: {named}")
        self.failed = tuple(failed)


class TooLarge(Refused):
    """A transaction or a watched prefix is over the limits above: split it."""


class PartialRead(OlympusError):
    """The store kept back keys that this token may not read: nothing may be concluded from their absence."""


def _name(op: Op) -> str:
    return op.prefix if isinstance(op, DeletePrefix) else op.key


def check_size(ops: Sequence[Op]) -> None:
    """Raises TooLarge where Consul would refuse: what works on one machine has to work in a cluster."""
    if len(ops) > MAX_OPS:
        raise TooLarge(f"{len(ops)} operations in a transaction, {MAX_OPS} are allowed: split it")
    size = sum(len(op.value) for op in ops if isinstance(op, Put | Cas | Lock | Unlock))
    if size > MAX_BODY:
        raise TooLarge(f"{size} bytes in a transaction, {MAX_BODY} are allowed: split it, or store chunks")


class Kv(Protocol):
    """Every method raises HermesUnreachable while the store does not answer; the call may then be repeated.

    A transaction that was repeated after HermesUnreachable may already have been done: guard it (Cas,
    CheckAbsent), or make it idempotent.
    """

    async def get(self, key: str) -> Entry | None:
        """The key as it is now (a consistent read)."""
        ...

    async def scan(self, prefix: str) -> Snapshot:
        """Everything under `prefix`. Raises PartialRead where the store filtered the answer."""
        ...

    async def keys(self, prefix: str) -> list[str]:
        """The names alone, in order."""
        ...

    async def transact(self, ops: Sequence[Op]) -> dict[str, int]:
        """All of `ops` or nothing; the new version of each key that was set.

        Raises TransactionConflict (a guard failed) or TooLarge (over MAX_OPS or MAX_BODY). On return the
        change is visible to all; `flush` tells when it also survives a power cut.
        """
        ...

    async def flush(self) -> None:
        """Return when all that was committed before the call survives a power cut. Calls share one sync."""
        ...

    def watch(self, prefix: str) -> AsyncGenerator[Snapshot, None]:
        """The prefix as it is now, then again after each change of it; changes in between may coalesce.

        Yields only where content changed; goes on by itself after a restart of the store, an index that goes
        back, and time-outs. Raises TooLarge over MAX_PREFIX. Raises HermesUnreachable never: it retries.
        """
        ...

    async def create_session(self, ttl: float, *, lock_delay: float = 0.0) -> str:
        """A session that is destroyed, and its locks freed, when it is not renewed for `ttl` seconds.

        Expiry may come up to twice `ttl` late. On Consul, the session also ends with its node's serf check.
        """
        ...

    async def renew_session(self, session: str) -> None:
        """Raises NotFound when the session has ended."""
        ...

    async def destroy_session(self, session: str) -> None:
        """Frees the session's locks; one that has ended is fine."""
        ...

    async def close(self) -> None:
        """Give up connections and files; what was committed stays."""
        ...
