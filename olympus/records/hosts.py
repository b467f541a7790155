"""Every host that registered itself: `zeus/hosts`, written by Zeus's controller.

A host that the registry does not list any more is kept, as lost, while anything is placed on it: what a
registry fails to say must never look like an order to remove.
"""

from __future__ import annotations

from pydantic import Field

from olympus.records.document import Document, Moment


class HostRecord(Document):
    """since: when it became alive or lost; address: as it registered."""

    alive: bool
    since: Moment
    address: str = ""
    reason: str = ""


class Hosts(Document):
    """Name → host."""

    hosts: dict[str, HostRecord] = Field(default_factory=dict)
