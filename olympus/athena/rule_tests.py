"""All RuleTests of a commit: which fail, and which clauses of the rules they have not seen both ways."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from olympus.athena.coverage import Coverage, coverage_of
from olympus.athena.rehearsal import Failure, Rehearsed, rehearse
from olympus.athena.rules import rule_of
from olympus.spec.catalog import Catalog, Resource, digest_of

MAX_STEPS: Final = 300_000
"""Of all the tests of a commit: a push waits for them, about as many seconds as these are tens of thousands."""

_REMEMBERED: Final = 10_000


@dataclass(frozen=True, slots=True)
class Tested:
    """A RuleTest, and what is not as it expects."""

    test: Resource
    failures: tuple[Failure, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """results: in the order of the tests' names. coverage: of every rule, also of those without tests."""

    results: tuple[Tested, ...]
    coverage: Mapping[str, Coverage]


class RuleTests:
    """What was rehearsed is remembered while rule, test and nodes stay as they are. Not thread-safe."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str, str], Rehearsed] = OrderedDict()

    def play(self, catalog: Catalog) -> Report:
        """Of a catalog that is valid."""
        nodes = {one.name: dict(one.labels) for one in catalog.all("Node")}
        cluster = digest_of(nodes)
        coverage = {
            one.name: coverage_of(rule_of(one.name, one.spec.to_json())) for one in catalog.all("Rule")
        }
        results: list[Tested] = []
        steps = 0
        for test in catalog.all("RuleTest"):
            rule = catalog.get("Rule", test.spec.rule)
            if rule is None:
                continue
            at = (rule.name + rule.digest, test.digest, cluster)
            played = self._known.get(at)
            if played is None and steps >= MAX_STEPS:
                late = Failure((), "not rehearsed: the tests before it took all the time that there is")
                results.append(Tested(test, (late,)))
                continue
            if played is None:
                played = rehearse(rule.name, rule.spec.to_json(), test.spec, nodes)
                steps += played.steps
                self._remember(at, played)
            coverage[rule.name].join(played.coverage)
            results.append(Tested(test, played.failures))
        return Report(tuple(results), coverage)

    def _remember(self, at: tuple[str, str, str], played: Rehearsed) -> None:
        self._known[at] = played
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
