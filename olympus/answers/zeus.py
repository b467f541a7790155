"""What Zeus asks of a commit: do its rules do what their tests expect, what would they have done? Athena answers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Final

from olympus.athena.differences import summary
from olympus.athena.hindsight import Hindsight
from olympus.athena.rule_tests import RuleTests
from olympus.kernel.clock import Clock
from olympus.kernel.errors import OlympusError
from olympus.spec.catalog import Catalog
from olympus.zeus.validation import Objection


class RulesJudged:
    """By their RuleTests; see `zeus.validation.Judge`."""

    def __init__(self) -> None:
        self._tests = RuleTests()

    def __call__(self, catalog: Catalog) -> Iterable[Objection]:
        for tested in self._tests.play(catalog).results:
            for failure in tested.failures:
                said = f"rule test {tested.test.name}: {failure.message}"
                yield Objection(tested.test, failure.path, said)


class RulesForeseen:
    """By a replay of the last day; see `zeus.validation.Foresee`."""

    def __init__(self, hindsight: Hindsight, clock: Clock) -> None:
        self._hindsight = hindsight
        self._clock = clock

    async def __call__(self, before: Catalog, after: Catalog) -> Sequence[str]:
        since = self._clock.now() - _LATELY
        try:
            seen = await self._hindsight.replay(before, after, since, seconds=_SECONDS, changed=True)
        except OlympusError as error:
            # It is only said; a push does not hang on it.
            return [f"what the rules would have done in the last day is not known: {error}"]
        if seen is None:
            return []
        return [*summary(seen.rules, seen.since, seen.events), *([seen.cut] if seen.cut else [])]


_LATELY: Final = timedelta(days=1)

_SECONDS: Final = 5.0
"""Who pushes waits for it."""
