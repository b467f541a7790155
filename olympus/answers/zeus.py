"""What Zeus asks before he takes a commit: whether its rules do what their tests expect. Athena answers."""

from __future__ import annotations

from collections.abc import Iterable

from olympus.athena.rule_tests import RuleTests
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
