"""What was ordered outside git: `intents/KIND/NAME`, written by Apollo (people) and Hephaestus (steps).

Only the last order of a resource is kept, with the marks that orders before it left. Zeus honours it:
`restart` by making `id` the instances' `restart_token`, `start` and `stop`, `suspend`, `drain` by the marks.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal, TypeAlias

from olympus.records.document import Document, Moment
from olympus.records.instance import Instance

Do: TypeAlias = Literal["restart", "start", "stop", "suspend", "resume", "drain", "uncordon"]

ALL_RULES: Final = "all"
"""`intents/rule/all`, the kill switch: a suspend of every rule."""

_MARKS: dict[str, dict[str, bool]] = {
    "start": {"stopped": False},
    "stop": {"stopped": True},
    "suspend": {"suspended": True},
    "resume": {"suspended": False},
    "drain": {"drained": True},
    "uncordon": {"drained": False},
}


class Intent(Document):
    """The last order, `do`, with its `id`; and what stands.

    by:      who ordered: a user's name, or `run/ID`
    cause:   id of the event behind it
    restart: id of the last order to restart: it stays when another order follows
    """

    id: str
    do: Do
    at: Moment
    by: str = ""
    cause: str | None = None
    restart: str = ""
    stopped: bool = False
    suspended: bool = False
    drained: bool = False


def ordered(before: Intent | None, do: Do, order_id: str, at: datetime, by: str) -> Intent:
    """The intent after this order; marks of `before` that it doesn't touch stand."""
    standing = before.model_dump(include={"restart", "stopped", "suspended", "drained"}) if before else {}
    marks: dict[str, object] = dict(_MARKS.get(do, {}))
    if do == "restart":
        marks = {"restart": order_id, "stopped": False}
    return Intent.model_validate({"id": order_id, "do": do, "at": at, "by": by, **standing, **marks})


def honoured(do: Do, order_id: str, instances: Sequence[Instance]) -> bool:
    """Whether a service's instances, as their stewards see them, are as the order wants them."""
    if do == "stop":
        return all(one.state == "stopped" for one in instances)
    if not instances:
        return False
    return all(
        one.state == "running"
        and one.healthy is not False
        and (do != "restart" or one.restart_token == order_id)
        for one in instances
    )
