"""Label selectors as in Kubernetes: `role=web,zone!=c`, `role in (web,api)`, `tier notin (db)`, `spot`, `!spot`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal, TypeAlias

Verb: TypeAlias = Literal["in", "notin", "exists", "absent"]

_KEY: Final = r"(?:[a-zA-Z0-9.-]+/)?[a-zA-Z0-9](?:[a-zA-Z0-9_.-]*[a-zA-Z0-9])?"
_VALUE: Final = r"[a-zA-Z0-9](?:[a-zA-Z0-9_.-]*[a-zA-Z0-9])?|"
_TERM = re.compile(
    rf"\s*(?:"
    rf"(?P<key>{_KEY})\s*(?P<op>==|!=|=)\s*(?P<value>{_VALUE})"
    rf"|(?P<set>{_KEY})\s+(?P<verb>in|notin)\s*\(\s*(?P<values>[^()]*)\)"
    rf"|(?P<not>!?)\s*(?P<bare>{_KEY})"
    rf")\s*(?P<end>,|$)"
)
_PLAIN = re.compile(rf"(?:{_VALUE})\Z")


@dataclass(frozen=True, slots=True)
class Requirement:
    """`key verb values`; `values` is empty for exists and absent."""

    key: str
    verb: Verb
    values: frozenset[str] = frozenset()

    def met_by(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.key)
        match self.verb:
            case "in":
                return value in self.values
            case "notin":
                # As in Kubernetes: a missing label is not one of the values.
                return value not in self.values
            case "exists":
                return value is not None
            case "absent":
                return value is None


@dataclass(frozen=True, slots=True)
class Selector:
    """All requirements have to be met; none: everything matches."""

    requirements: tuple[Requirement, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        return all(requirement.met_by(labels) for requirement in self.requirements)


@lru_cache(maxsize=4096)
def parse_selector(text: str) -> Selector:
    """Raises ValueError, saying at which column (from 1) it can't go on."""
    requirements = []
    at = 0
    while text[at:].strip():
        match = _TERM.match(text, at)
        if match is None:
            column = at + 1 + len(text[at:]) - len(text[at:].lstrip())
            raise ValueError(
                f"selector {text!r} is wrong at column {column}: "
                "write role=web, role!=web, role in (web,api), role notin (db), role or !role"
            )
        requirements.append(_requirement(match))
        at = match.end()
        if match["end"] == "," and not text[at:].strip():
            raise ValueError(f"selector {text!r} ends with a comma")
    return Selector(tuple(requirements))


def _requirement(match: re.Match[str]) -> Requirement:
    if match["key"]:
        return Requirement(
            match["key"], "notin" if match["op"] == "!=" else "in", frozenset({match["value"]})
        )
    if match["set"]:
        values = [value.strip() for value in match["values"].split(",")]
        wrong = next((value for value in values if not _PLAIN.match(value)), None)
        if wrong is not None:
            raise ValueError(f"{wrong!r} is no label value: use letters, digits, '-', '_' and '.'")
        return Requirement(match["set"], "in" if match["verb"] == "in" else "notin", frozenset(values))
    return Requirement(match["bare"], "absent" if match["not"] else "exists")
