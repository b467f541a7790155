"""Every host that registered itself: `zeus/hosts`, written by Zeus's controller.

A host is lost while its check fails, and forgotten when the registry has not listed it for a while.
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
