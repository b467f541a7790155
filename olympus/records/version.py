"""A document as a commit found it, and as it left it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Version:
    """before, after: the document as it was written; None: it was not there."""

    revision: str
    author: str
    subject: str
    at: datetime
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
