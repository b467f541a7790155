"""Is a commit fit to be applied? The same answer for hooks, plans and the controller's offers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from olympus.kernel.diagnostics import Diagnostic
from olympus.kernel.errors import Invalid
from olympus.spec.catalog import Catalog
from olympus.zeus.push import MAIN, RefUpdate

_MAX_LINES: Final = 50
_REMEMBERED: Final = 4


@dataclass(frozen=True, slots=True)
class Checked:
    """A commit, validated. files: what specs refer to, by path; no catalog where there are errors."""

    revision: str
    catalog: Catalog | None
    diagnostics: tuple[Diagnostic, ...] = ()
    files: Mapping[str, bytes] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """The errors as a push shows them."""
        shown = [str(one) for one in self.diagnostics[:_MAX_LINES]]
        more = len(self.diagnostics) - len(shown)
        return [*shown, f"… and {more} errors more"] if more else shown

    def catalog_or_raise(self) -> Catalog:
        """Raises Invalid, with the diagnostics, where it is not valid."""
        if self.catalog is None or self.diagnostics:
            raise Invalid("; ".join(self.lines()) or "no catalog", self.diagnostics)
        return self.catalog


def refusal(update: RefUpdate, *, remote: str | None = None) -> Sequence[str]:
    """Why this ref may not be pushed at all, whatever it holds."""
    if not update.ref.startswith(("refs/heads/", "refs/tags/")):
        return (f"{update.ref}: only branches and tags are taken",)
    if update.ref != MAIN:
        return ()
    if remote is not None:
        return (f"the specs come from {remote}: push there",)
    if update.deletes:
        return ("main is what runs: it can not be deleted; push a commit that declares nothing",)
    return ()
