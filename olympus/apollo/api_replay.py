"""What the rules of a commit would have made of the events that were; changes nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from quart import Response

from olympus.apollo.ports import Surroundings
from olympus.apollo.problems import Problem
from olympus.apollo.request import Request, json_answer
from olympus.spec.duration import parse_duration

_FIELDS: Final = frozenset({"since", "against"})
_SECONDS: Final = 60.0
"""Who asks waits; what was not looked at by then is said."""


async def replay(around: Surroundings, request: Request) -> Response:
    """`{"since": "7d", "against": REF}`: a duration or a moment, by default the last day; against what is applied."""
    body = request.json(optional=True)
    since, against = body.get("since"), body.get("against")
    if not isinstance(since, str | None) or not isinstance(against, str | None) or body.keys() - _FIELDS:
        raise Problem(422, 'the body is {"since": "7d", "against": REF}')
    found = await around.hindsight.replay(
        against, _moment(since or "1d", around.clock.now()), seconds=_SECONDS
    )
    return json_answer(found)


def _moment(text: str, now: datetime) -> datetime:
    try:
        if not text[:4].isdigit() or "-" not in text:
            return now - parse_duration(text)
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError) as error:
        raise Problem(422, f"since: {error}") from error
    return moment.astimezone(UTC) if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
