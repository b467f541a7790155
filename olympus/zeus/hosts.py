"""Which hosts there are: what the registry lists, and patience with those that it lists no more."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from olympus.hermes.registry import Member
from olympus.kernel.events import Event
from olympus.kernel.ids import new_id
from olympus.records.hosts import HostRecord, Hosts

_PATIENCE: Final = timedelta(seconds=15)


class HostCount:
    """`known` is what lies in Hermes, `members` what the registry listed last."""

    def __init__(self) -> None:
        self.known = Hosts()
        self.members: tuple[Member, ...] = ()
        self._missing: dict[str, datetime] = {}

    def listed(self, members: Sequence[Member]) -> bool:
        """Whether the registry lists others than before, or others live."""
        before, self.members = self.members, tuple(members)
        return self.members != before

    def count(self, now: datetime) -> tuple[Hosts, list[Event], datetime | None]:
        """What is known now, the events of what changed, and when to look again."""
        waited_for, again = self._patience(now)
        known, events = counted(self.known, self.members + waited_for, now)
        return known, events, again

    def _patience(self, now: datetime) -> tuple[tuple[Member, ...], datetime | None]:
        """Hosts that the registry does not list since a moment: they may be about to register again."""
        listed = {member.name for member in self.members}
        missing = {name for name, host in self.known.hosts.items() if name not in listed and host.alive}
        self._missing = {name: self._missing.get(name, now) for name in missing}
        patient = [name for name, since in sorted(self._missing.items()) if now - since < _PATIENCE]
        waited_for = tuple(Member(name, self.known.hosts[name].address) for name in patient)
        return waited_for, min(self._missing.values()) + _PATIENCE if patient else None


def counted(known: Hosts, members: Iterable[Member], now: datetime) -> tuple[Hosts, list[Event]]:
    """What is known of hosts after the registry said `members`, and the events of what changed."""
    after: dict[str, HostRecord] = {}
    events: list[Event] = []
    listed = {member.name: member for member in members}
    for name in sorted({*known.hosts, *listed}):
        old, member = known.hosts.get(name), listed.get(name)
        was_alive = old is not None and old.alive
        if member is None:
            if was_alive:
                events.append(_node_event("node-lost", name, "deregistered", now))
            continue
        reason = "" if member.alive else "its check fails"
        since = old.since if old is not None and old.alive == member.alive else now
        after[name] = HostRecord(alive=member.alive, since=since, address=member.address, reason=reason)
        if member.alive and not was_alive:
            events.append(_node_event("node-joined", name, "new" if old is None else "back", now))
        elif was_alive and not member.alive:
            events.append(_node_event("node-lost", name, reason, now))
    return Hosts(hosts=after), events


def _node_event(what: str, node: str, reason: str, now: datetime) -> Event:
    return Event(
        id=new_id(),
        type=f"olympus.zeus.{what}",
        source="olympus/zeus",
        time=now,
        data={"node": node, "reason": reason},
        node=node,
        subject=node,
    )
