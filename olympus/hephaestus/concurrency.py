"""Which run may begin: each group lets one in at a time, in the order in which they came.

Not stored: it follows from the runs that are not finished, in the order of their ids.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from olympus.records.run import Claim


@dataclass(slots=True)
class Groups:
    """A run joins all its groups at once, so that two that share two groups can't wait for each other."""

    lines: dict[str, list[str]] = field(default_factory=dict)
    _claims: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def join(
        self,
        run: str,
        claims: Iterable[Claim],
        ancestors: frozenset[str] = frozenset(),
        *,
        holds: bool = False,
    ) -> tuple[tuple[str, str] | None, list[tuple[str, str]]]:
        """Stand in line. holds: it has begun already (a new leader learns it), so it stands first.

        ancestors: runs that wait for this one; a group that one of them holds is not waited for.
        Returns (group, run) that turns it away under `skip`, and the (group, run)s that it replaces.
        """
        if run in self._claims:
            return None, []
        mine = [claim for claim in claims if not ancestors.intersection(self.lines.get(claim.group, ())[:1])]
        if not holds:
            for claim in mine:
                line = self.lines.get(claim.group)
                if claim.on_busy == "skip" and line:
                    return (claim.group, line[0]), []
        replaced: list[tuple[str, str]] = []
        for claim in mine:
            line = self.lines.setdefault(claim.group, [])
            if claim.on_busy == "replace" and not holds:
                replaced += [(claim.group, other) for other in line]
            line.insert(0 if holds else len(line), run)
        self._claims[run] = tuple(claim.group for claim in mine)
        return None, replaced

    def first(self, run: str) -> bool:
        """Whether nobody stands before it anywhere."""
        return all(self.lines[group][0] == run for group in self._claims.get(run, ()))

    def leave(self, run: str) -> list[str]:
        """It is over; the runs that are now first in all their groups, and were not before."""
        moved: dict[str, None] = {}
        for group in self._claims.pop(run, ()):
            line = self.lines[group]
            was_first = line[0] == run
            line.remove(run)
            if not line:
                del self.lines[group]
            elif was_first:
                moved[line[0]] = None
        return [other for other in moved if self.first(other)]
