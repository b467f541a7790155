"""What a page is, and what it is asked with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias
from urllib.parse import unquote

from olympus.apollo.access import Role
from olympus.apollo.audit import Audit
from olympus.apollo.pages.reader import Reader
from olympus.apollo.sessions import Sessions
from olympus.apollo.tokens import Tokens

Values: TypeAlias = dict[str, Any] | None
ANY: Final = ("*",)


@dataclass(frozen=True, slots=True)
class Asked:
    """params: of the path; query: what stands behind it."""

    reader: Reader
    params: Mapping[str, str]
    query: Mapping[str, str]
    tokens: Tokens
    audit: Audit
    sessions: Sessions

    def text(self, name: str) -> str:
        return self.query.get(name, "").strip()

    def moved(self, path: str) -> Asked:
        """For the note that is at `path` now; as it is written in a URL."""
        return replace(self, params={**self.params, "path": unquote(path)})

    def number(self, name: str) -> int | None:
        text = self.text(name)
        return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


@dataclass(frozen=True, slots=True)
class Page:
    """view: what the template is filled with; None: there is no such thing.

    live: events whose types begin so change what it shows; `*`: all do
    part: who is restricted by Access gets his part of it; else it is refused to him
    nav:  its name in the navigation, where `gap` sets it off; key: what `g` and this letter lead to
    """

    path: str
    template: str
    view: Callable[[Asked], Awaitable[Values]]
    live: tuple[str, ...] = ANY
    access: Role = "viewer"
    part: bool = False
    nav: str = ""
    key: str = ""
    gap: bool = False
