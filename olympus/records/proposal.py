"""A commit that somebody wants to make without a push, and what it begins with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from olympus.spec.catalog import Catalog


@dataclass(frozen=True, slots=True)
class Sources:
    """What a commit declares, and the files that declare some kind of it, by path."""

    revision: str
    catalog: Catalog
    files: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Proposal:
    """files: as they are to be, all others as in the commit `base`."""

    base: str
    files: Mapping[str, str]
    author: str
    message: str
