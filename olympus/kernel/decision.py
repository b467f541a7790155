"""What a pure core returns: the state after a fact, and what is to be done about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

State = TypeVar("State")
Effect = TypeVar("Effect")


@dataclass(frozen=True, slots=True)
class Decision(Generic[State, Effect]):
    """`state` replaces the one that was decided on; `effects` are performed after it is stored, in order."""

    state: State
    effects: tuple[Effect, ...] = ()
