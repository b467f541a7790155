"""A push as git's hooks tell it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

from olympus.kernel.errors import Invalid

Hook: TypeAlias = Literal["pre-receive", "post-receive"]

PRUNE_CONFIRM: Final = "prune=confirm"


@dataclass(frozen=True, slots=True)
class RefUpdate:
    """`old` is NOTHING where the ref is new, `new` where it is deleted."""

    old: str
    new: str
    ref: str

    @property
    def deletes(self) -> bool:
        return set(self.new) == {"0"}

    @property
    def creates(self) -> bool:
        return set(self.old) == {"0"}


@dataclass(frozen=True, slots=True)
class Push:
    """quarantine: git's variables that name where the pushed objects are until the hook agrees."""

    hook: Hook
    updates: tuple[RefUpdate, ...]
    options: tuple[str, ...] = ()
    quarantine: Mapping[str, str] = field(default_factory=dict)
    pusher: str = ""

    @property
    def prune_confirmed(self) -> bool:
        return PRUNE_CONFIRM in self.options


def push_from_json(raw: Mapping[str, Any]) -> Push:
    """The message of `hook_script`. Raises Invalid where it is none."""
    try:
        hook = raw["hook"]
        if hook not in ("pre-receive", "post-receive"):
            raise Invalid(f"no such hook: {hook!r}")
        return Push(
            hook=hook,
            updates=tuple(RefUpdate(_text(old), _text(new), _text(ref)) for old, new, ref in raw["refs"]),
            options=tuple(_text(one) for one in raw["options"]),
            quarantine={_text(name): _text(value) for name, value in raw["quarantine"].items()},
            pusher=_text(raw["pusher"]),
        )
    except (TypeError, KeyError, ValueError, AttributeError) as exc:
        raise Invalid(f"not the message of a hook: {exc!r}") from exc


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise Invalid(f"not a text: {value!r}")
    return value


def printable(line: str) -> str:
    """`line` as a terminal may show it: control and direction characters escaped (pushers chose them)."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in line)
