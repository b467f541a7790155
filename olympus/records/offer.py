"""A catalog on its way from git to the controller: `offer`, and what became of it: `zeus/outcome`.

Any Olympus that got a push (or fetched a commit) validates it and offers it; the one controller that leads
applies it. So a push works on every host, and git is needed on one only.
"""

from __future__ import annotations

from olympus.records.catalog import CatalogRoot
from olympus.records.document import Document, Moment


class Offer(Document):
    """A later offer replaces an earlier one. by: who pushed; prune: it was confirmed."""

    id: str
    root: CatalogRoot
    at: Moment
    by: str = ""
    prune: bool = False


class SourceState(Document):
    """Whether the remote repository can be fetched: `zeus/source`, written when that changes."""

    url: str
    since: Moment
    error: str = ""


class Outcome(Document):
    """What became of the offer `offer`. lines: what the push shows; summary: `+1 service, ~1 schedule`."""

    offer: str
    revision: str
    applied: bool
    at: Moment
    summary: str = ""
    lines: tuple[str, ...] = ()
